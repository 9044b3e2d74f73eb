"""Estimators that bring their framework along: what they install, how they are distributed, what they refuse."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from azureml._run_impl.definition import run_definition
from azureml.core.runconfig import EnvironmentDefinition
from azureml.exceptions import TrainingException, UserErrorException
from azureml.train import _framework_packages
from azureml.train._framework_packages import Framework
from azureml.train.dnn import Chainer, Gloo, Mpi, Nccl, ParameterServer, PyTorch, TensorFlow
from azureml.train.estimator import MMLBaseEstimator
from azureml.train.sklearn import SKLearn

ALL = [PyTorch, TensorFlow, Chainer, SKLearn]
_TABLE = Path(__file__).parents[2] / "docs" / "frameworks.md"


def made(kind: Any, **arguments: Any) -> Any:
    return kind(".", **{"compute_target": "cpu", "entry_script": "train.py", **arguments})


def definition(kind: Any, **arguments: Any) -> dict[str, Any]:
    return run_definition(made(kind, **arguments).run_config)


def pip(kind: Any, **arguments: Any) -> list[str]:
    packages: list[str] = made(kind, **arguments).conda_dependencies.pip_packages
    return [package for package in packages if package != "azureml-defaults"]


class TestPackages:
    def test_without_a_version_the_newest(self) -> None:
        assert pip(PyTorch) == ["torch", "torchvision"]
        assert pip(TensorFlow) == ["tensorflow"]
        assert pip(SKLearn) == ["scikit-learn"]
        for kind in (PyTorch, TensorFlow, SKLearn):
            estimator = made(kind)
            assert estimator.framework_version is None
            assert estimator.conda_dependencies.get_python_version() is None

    def test_with_a_version_exactly_this_one(self) -> None:
        estimator = made(PyTorch, framework_version="1.4")
        assert estimator.framework_version == "1.4"
        assert estimator.conda_dependencies.pip_packages[1:3] == ["torch==1.4.0", "torchvision==0.5.0"]
        assert estimator.conda_dependencies.get_python_version() == "3.7"
        assert "tensorflow==1.13.1" in pip(TensorFlow, framework_version="1.13")

    @pytest.mark.parametrize("kind", ALL)
    def test_versions_are_azures(self, kind: Any) -> None:
        supported = {
            PyTorch: ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6"],
            TensorFlow: ["1.10", "1.12", "1.13", "2.0", "2.1", "2.2", "2.3"],
            Chainer: ["5.1.0", "7.0.0"],
            SKLearn: ["0.20.3"],
        }
        default = {PyTorch: "1.4", TensorFlow: "1.13", Chainer: "5.1.0", SKLearn: "0.20.3"}
        assert kind.get_supported_versions() == supported[kind]
        assert default[kind] == kind.DEFAULT_VERSION and kind.__name__ == kind.FRAMEWORK_NAME
        for version in ("9.9", 1.4, ""):
            with pytest.raises(TrainingException, match=f"{kind.__name__}.*{supported[kind][-1]}"):
                made(kind, framework_version=version)

    def test_what_the_user_names_is_not_added(self) -> None:
        assert pip(PyTorch, pip_packages=["torch==2.1", "pandas"]) == ["torch==2.1", "pandas", "torchvision"]
        assert pip(PyTorch, conda_packages=["pytorch", "torchvision"]) == []
        assert pip(TensorFlow, pip_packages=["TensorFlow-GPU==1.9"]) == ["TensorFlow-GPU==1.9"]
        assert pip(SKLearn, conda_packages=["scikit-learn=0.22"]) == []
        estimator = made(PyTorch, framework_version="1.4", conda_packages=["python=3.6"])
        assert estimator.conda_dependencies.get_python_version() == "3.6"

    def test_nothing_is_added_to_environments_of_the_users_own(self) -> None:
        assert "condaDependencies" not in definition(PyTorch, user_managed=True)["environment"]["python"]
        own = EnvironmentDefinition("mine")
        conda = definition(PyTorch, environment_definition=own)["environment"]["python"].get("condaDependencies", {})
        assert "torch" not in str(conda)

    def test_gpu_is_taken_with_a_word(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            docker = definition(TensorFlow, use_gpu=True)["environment"]["docker"]
        assert docker["gpuSupport"] is True
        assert "packages of TensorFlow that need no GPU" in caplog.text
        assert pip(TensorFlow, use_gpu=True) == ["tensorflow"]

    def test_horovod_is_named_when_the_script_needs_it(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "train.py").write_text("import os\nimport horovod.torch as hvd\n")

        def warned(**arguments: Any) -> bool:
            caplog.clear()
            PyTorch(str(tmp_path), compute_target="cpu", entry_script="train.py", **arguments)
            return "imports horovod" in caplog.text

        with caplog.at_level(logging.WARNING):
            assert warned(distributed_backend="mpi", node_count=2)
            assert not warned(pip_packages=["horovod==0.28"])
            assert not warned(user_managed=True)
        (tmp_path / "train.py").write_text("print('horovod')\n")
        with caplog.at_level(logging.WARNING):
            assert not warned()

    def test_the_documented_table_is_the_real_one(self) -> None:
        table = _rendered()
        assert table in _TABLE.read_text(encoding="utf-8"), f"docs/frameworks.md has to hold:\n\n{table}"


def _rendered() -> str:
    """The table of docs/frameworks.md."""
    lines = ["| Estimator | `framework_version` | Installed | Python |", "|---|---|---|---|"]
    tables = {
        "PyTorch": _framework_packages.PYTORCH,
        "TensorFlow": _framework_packages.TENSORFLOW,
        "Chainer": _framework_packages.CHAINER,
        "SKLearn": _framework_packages.SCIKIT_LEARN,
    }
    for name, framework in tables.items():
        assert isinstance(framework, Framework)
        for version, release in {"not given": framework.newest, **framework.releases}.items():
            packages = ", ".join(f"`{package}`" for package in release.packages)
            lines.append(f"| `{name}` | {version} | {packages} | {release.python or 'any'} |")
    return "\n".join(lines) + "\n"


class TestDistribution:
    @pytest.mark.parametrize(
        ("kind", "how"),
        [
            (PyTorch, {"distributed_backend": "mpi", "process_count_per_node": 2}),
            (TensorFlow, {"distributed_backend": "MPI", "process_count_per_node": 2}),
            (Chainer, {"distributed_training": Mpi(2)}),
            (PyTorch, {"distributed_training": Mpi(2), "process_count_per_node": 2}),
        ],
    )
    def test_mpi(self, kind: Any, how: dict[str, Any]) -> None:
        got = definition(kind, node_count=3, **how)
        assert (got["framework"], got["communicator"], got["nodeCount"]) == ("Python", "Mpi", 3)
        assert got["mpi"] == {"processCountPerNode": 2, "nodeCount": 3}

    @pytest.mark.parametrize(
        "how",
        [
            {"distributed_backend": "ps", "worker_count": 2, "parameter_server_count": 3},
            {"distributed_training": ParameterServer(2, 3)},
            {"distributed_training": ParameterServer(worker_count=2, parameter_server_count=3), "worker_count": 2},
        ],
    )
    def test_parameter_servers(self, how: dict[str, Any]) -> None:
        got = definition(TensorFlow, node_count=2, **how)
        assert (got["framework"], got["communicator"], got["nodeCount"]) == ("TensorFlow", "ParameterServer", 2)
        assert got["tensorflow"] == {"workerCount": 2, "parameterServerCount": 3}

    @pytest.mark.parametrize(
        "how", [{"distributed_backend": "gloo"}, {"distributed_training": Gloo()}, {"distributed_training": Gloo}]
    )
    def test_gloo(self, how: dict[str, Any]) -> None:
        got = definition(PyTorch, node_count=2, **how)
        assert (got["framework"], got["communicator"], got["nodeCount"]) == ("PyTorch", "Gloo", 2)
        assert got["pytorch"] == {"communicationBackend": "Gloo", "nodeCount": 2}

    def test_one_of_each_is_fine(self) -> None:
        assert definition(PyTorch, distributed_training=Nccl())["communicator"] == "Nccl"
        assert definition(TensorFlow, distributed_backend="ps")["communicator"] == "ParameterServer"
        assert definition(PyTorch, distributed_backend="")["communicator"] == "None"

    @pytest.mark.parametrize(
        ("kind", "arguments", "words"),
        [
            (PyTorch, {"distributed_backend": "ps"}, "'ps'.*'mpi' or 'gloo' or 'nccl'"),
            (PyTorch, {"distributed_backend": "horovod"}, "'horovod'.*'mpi'"),
            (TensorFlow, {"distributed_backend": "gloo"}, "'gloo'.*'mpi' or 'ps'"),
            (TensorFlow, {"distributed_backend": "nccl"}, "'nccl'"),
            (Chainer, {"distributed_backend": "ps"}, "'ps'"),
            (Chainer, {"distributed_backend": "gloo"}, "'gloo'"),
            (PyTorch, {"distributed_training": ParameterServer()}, "ParameterServer"),
            (TensorFlow, {"distributed_training": Gloo()}, "Gloo"),
            (TensorFlow, {"distributed_training": Nccl()}, "Nccl"),
            (Chainer, {"distributed_training": Nccl()}, "Nccl"),
            (PyTorch, {"distributed_training": "mpi"}, "must be Mpi"),
            (PyTorch, {"node_count": 2}, "node_count is more than 1"),
            (PyTorch, {"process_count_per_node": 2}, "process_count_per_node is more than 1"),
            (TensorFlow, {"worker_count": 2}, "worker_count is more than 1"),
            (TensorFlow, {"parameter_server_count": 2}, "parameter_server_count is more than 1"),
            (TensorFlow, {"distributed_backend": "ps", "worker_count": 0}, "worker_count must be at least 1"),
            (TensorFlow, {"distributed_backend": "ps", "worker_count": "x"}, "worker_count"),
            (TensorFlow, {"distributed_backend": "mpi", "worker_count": 2}, "belongs to ParameterServer"),
            (TensorFlow, {"distributed_training": ParameterServer(2), "worker_count": 3}, "do not go together"),
            (PyTorch, {"distributed_training": Gloo(), "process_count_per_node": 2}, "belongs to Mpi"),
            (PyTorch, {"distributed_training": Mpi(), "distributed_backend": "mpi"}, "not both"),
            (PyTorch, {"distributed_backend": "gloo", "node_count": 2, "compute_target": "local"}, "one node"),
            (TensorFlow, {"compute_target": None}, "compute_target or vm_size"),
        ],
    )
    def test_refusals(self, kind: Any, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises(TrainingException, match=words):
            made(kind, **arguments)

    @pytest.mark.parametrize("counts", [(0, 1), (1, -1), ("a", 1), (1, 1.5)])
    def test_counts_of_servers_are_checked(self, counts: tuple[Any, Any]) -> None:
        with pytest.raises(TrainingException):
            ParameterServer(*counts)


@pytest.mark.parametrize("kind", ALL)
def test_they_are_estimators(kind: Any) -> None:
    estimator = made(kind, script_params={"--a": 1}, max_run_duration_seconds=60, shm_size="4g", use_docker=False)
    assert isinstance(estimator, MMLBaseEstimator) and estimator.source_directory == "."
    got = run_definition(estimator.run_config)
    assert (got["script"], got["arguments"], got["maxRunDurationSeconds"]) == ("train.py", ["--a", "1"], "60")
    assert got["environment"]["docker"]["shmSize"] == "4g"
    with pytest.raises(UserErrorException):
        made(kind, user_managed=True, pip_packages=["x"])
    with pytest.raises(TypeError):
        made(kind, no_such_argument=1)
