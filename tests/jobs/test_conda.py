"""Conda environment files and pip lists become requirements for the Python package index."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from localaml.domain.redaction import redact
from localaml.errors import InvalidArgument
from localaml.jobs.environments.conda import EnvironmentRequest, read_conda_dependencies
from localaml.jobs.environments.conda_names import LEFT_OUT, REFUSED, RENAMED
from localaml.jobs.environments.requirements import read_pip_list


def _read(*dependencies: Any, **more: Any) -> EnvironmentRequest:
    return read_conda_dependencies({"dependencies": list(dependencies), **more})


@pytest.mark.parametrize(
    ("conda", "pip"),
    [
        ("numpy", "numpy"),
        ("numpy=1.15", "numpy==1.15.*"),
        ("numpy=1.15.*", "numpy==1.15.*"),
        ("numpy=1.15*", "numpy==1.15.*"),
        ("numpy 1.15.*", "numpy==1.15.*"),
        ("numpy==1.15.4", "numpy==1.15.4"),
        ("numpy 1.15.4", "numpy==1.15.4"),
        ("numpy=1.15.4=py36_0", "numpy==1.15.4"),
        ("numpy 1.15.4 py36_0", "numpy==1.15.4"),
        ("numpy>=1.15,<2", "numpy<2,>=1.15"),
        ("numpy >= 1.15, < 2", "numpy<2,>=1.15"),
        ("numpy!=1.3", "numpy!=1.3"),
        ("numpy~=1.2", "numpy~=1.2"),
        ("numpy=*", "numpy"),
        ("conda-forge::numpy=1.2", "numpy==1.2.*"),
        ("numpy[version='>=1.2', build=x]", "numpy>=1.2"),
        ("NumPy", "numpy"),
        ("pytorch::pytorch=1.0", "torch==1.0.*"),
        ("tensorflow-gpu==1.10.0", "tensorflow==1.10.0"),
        ("ruamel_yaml", "ruamel.yaml"),
        ("scikit-learn==0.20.*  # pinned", "scikit-learn==0.20.*"),
    ],
)
def test_conda_specifications(conda: str, pip: str) -> None:
    assert _read(conda).requirements == (pip,)


@pytest.mark.parametrize(
    "name", ["pip", "pip=19", "openmpi", "mpi=*=openmpi", "nomkl", "ca-certificates=2018", "_libgcc_mutex=0.1=main"]
)
def test_what_a_job_has_anyway_is_left_out_with_a_note(name: str) -> None:
    request = _read(name, "numpy")
    assert request.requirements == ("numpy",)
    assert len(request.notes) == 1


@pytest.mark.parametrize(
    "name", ["cudatoolkit=10.0", "gcc", "openjdk=8", "r-base", "r-ggplot2", "git", "mpich", "graphviz"]
)
def test_what_is_no_python_package_fails_by_name(name: str) -> None:
    with pytest.raises(InvalidArgument, match=name.split("=")[0]) as error:
        _read(name)
    assert error.value.reason == "ENVIRONMENT_INVALID"


@pytest.mark.parametrize(
    "dependencies",
    [
        "numpy",
        [["numpy"]],
        [{"npm": ["left-pad"]}],
        [{"pip": [1]}],
        ["numpy=1.1|1.2"],
        ["a b c d"],
        ["numpy=1.1k"],
        ["=1"],
        [3],
        ["numpy; rm"],
    ],
)
def test_what_cannot_be_read_is_refused(dependencies: Any) -> None:
    with pytest.raises(InvalidArgument) as error:
        read_conda_dependencies({"dependencies": dependencies})
    assert error.value.reason == "ENVIRONMENT_INVALID"


def test_azure_mls_own_packages_are_served_by_our_sdk() -> None:
    request = _read(
        "azureml-core", {"pip": ["azureml-sdk[notebooks]==1.0.8", "azureml_defaults", "azureml-dataprep", "six"]}
    )
    assert request.requirements == ("six",)
    assert sum("LocalAML's own SDK" in note for note in request.notes) == 4


def test_extras_of_azure_mls_packages_bring_what_reads_tables() -> None:
    def packages(*lines: str) -> tuple[str, ...]:
        return read_pip_list(lines).requirements

    assert packages("azureml-dataset-runtime[pandas,fuse]", "pandas<2") == ("pandas<2", "pandas", "pyarrow")
    assert packages("azureml-dataprep[pandas]", "azureml-sdk") == ("pandas", "pyarrow")
    assert packages("azureml-dataprep[parquet]") == ("pyarrow",)
    assert packages("azureml-dataset-runtime[fuse]", "azureml-defaults") == ()


def test_packages_of_the_launch_are_added_unless_they_are_named() -> None:
    assert read_conda_dependencies({}, ["mpi4py"]).requirements == ("mpi4py",)
    assert read_conda_dependencies({"dependencies": ["mpi4py=3"]}, ["mpi4py"]).requirements == ("mpi4py==3.*",)
    assert read_conda_dependencies({"dependencies": [{"pip": ["MPI4PY>3"]}]}, ["mpi4py"]).requirements == ("MPI4PY>3",)


@pytest.mark.parametrize(
    ("python", "fits", "does_not_fit", "patch"),
    [
        ("python=3.6.2", "3.6.15", "3.7.0", "3.6.2"),
        ("python==3.7", "3.7.16", "3.8.0", ""),
        ("python 3.7.*", "3.7.16", "3.8.0", ""),
        ("python=3", "3.13.0", "4.0.0", ""),
        ("python>=3.6,<3.8", "3.7.1", "3.8.0", ""),
        ("python", "3.13.0", "", ""),
    ],
)
def test_the_wish_for_a_python(python: str, fits: str, does_not_fit: str, patch: str) -> None:
    wish = _read(python).python
    assert wish.fits(fits)
    assert not does_not_fit or not wish.fits(does_not_fit)
    assert wish.patch == patch


def test_python_2_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"python=2\.7"):
        _read("python=2.7")


def test_options_of_a_pip_list() -> None:
    lines = [
        "# comment",
        "",
        "--index-url https://user:secret@index.example/simple",
        "--extra-index-url=https://other.example/simple",
        "-f /wheels",
        "--pre",
        "--no-binary a,b",
        "six  # six",
    ]
    request = _read({"pip": lines})
    options = request.options
    assert options.index_url == "https://user:secret@index.example/simple"
    assert options.extra_index_urls == ("https://other.example/simple",)
    assert options.find_links == ("/wheels",)
    assert options.pre
    assert options.no_binary == ("a", "b")
    assert request.requirements == ("six",)
    assert "secret" not in repr(request)


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "-c constraints.txt",
        "-e .",
        "./wheel.whl",
        "/abs/wheel.whl",
        "x @ file:///abs/x.whl",
        "six --hash=sha256:00",
        "--find-links wheels",
        "--no-such-option 1",
        "six ==",
        "hg+https://example/x",
    ],
)
def test_lines_that_a_node_could_not_use_are_refused_by_name(line: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        _read({"pip": [line]})
    assert error.value.reason == "ENVIRONMENT_INVALID"
    assert line.split()[0] in error.value.message


def test_addresses_of_packages_are_passed_on() -> None:
    lines = ["git+https://example.com/x.git@v1", "x @ https://example.com/x.whl", "https://example.com/y.whl"]
    assert _read({"pip": lines}).requirements == tuple(lines)


def test_variables_of_the_environment_file() -> None:
    assert _read(variables={"A": 1, "B": "x"}).variables == {"A": "1", "B": "x"}


def test_secrets_in_addresses_are_not_shown() -> None:
    text = "from https://me:pa55@host/simple and https://h/x?sig=abc123&y=1 and git+ssh://tok3n@host/r"
    assert redact(text) == "from https://***@host/simple and https://h/x?sig=***&y=1 and git+ssh://***@host/r"


def test_the_tables_hold_canonical_names_and_real_requirements() -> None:
    for name in [*RENAMED, *LEFT_OUT, *REFUSED]:
        assert canonicalize_name(name) == name
    for name, (target, _) in RENAMED.items():
        assert Requirement(target).name == target
        assert target != name
    assert not set(RENAMED) & set(LEFT_OUT)
    assert not set(RENAMED) & set(REFUSED)
    assert not set(LEFT_OUT) & set(REFUSED)
