"""Run configurations, conda dependencies and environments: what they hold, how they are written and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml._run_impl.definition import run_definition, shown_definition
from azureml._run_impl.requirements import read_requirements_file
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.environment import Environment
from azureml.core.runconfig import DataReferenceConfiguration, EnvironmentDefinition, RunConfiguration
from azureml.exceptions import RunConfigurationException, UserErrorException

CONDA_FILE = """\
# The packages.
name: project_environment
channels: [conda-forge, defaults]
dependencies:
  # Python itself
  - python=3.6.2
  - scikit-learn>=0.20   # no newer one is wanted
  - pip:
    - azureml-defaults
    - "mpi4py>=3.0"
    - git+https://example.org/repo.git@main#egg=thing
"""


class TestCondaDependencies:
    def test_default_has_the_sdk_and_no_python(self) -> None:
        dependencies = CondaDependencies()
        assert dependencies.as_dict() == {
            "name": "project_environment",
            "dependencies": [{"pip": ["azureml-defaults"]}],
        }
        assert dependencies.get_python_version() is None

    def test_create(self) -> None:
        made = CondaDependencies.create(
            pip_indexurl="https://example.org/simple",
            pip_packages=["azureml-sdk", "joblib==0.13"],
            conda_packages=["scikit-learn", "numpy=1.16"],
            python_version="3.6.2",
        )
        assert made.conda_packages == ["scikit-learn", "numpy=1.16"]
        assert made.pip_packages == ["azureml-defaults", "azureml-sdk", "joblib==0.13"]
        assert made.pip_options == ["--index-url https://example.org/simple"]
        assert made.get_python_version() == "3.6.2"
        assert made.as_dict()["dependencies"][0] == "python=3.6.2"

    def test_adding_replaces_the_same_package(self) -> None:
        made = CondaDependencies.create(pip_packages=["Scikit_Learn==0.19"], conda_packages=["numpy=1.15"])
        made.add_pip_package("scikit-learn[extra]==0.20")
        made.add_conda_package("conda-forge::numpy>=1.16")
        made.set_python_version("3.7")
        made.set_python_version("3.8")
        assert made.pip_packages == ["azureml-defaults", "scikit-learn[extra]==0.20"]
        assert made.conda_packages == ["conda-forge::numpy>=1.16"]
        assert made.get_python_version() == "3.8"

    def test_removing(self) -> None:
        made = CondaDependencies.create(pip_packages=["a"], conda_packages=["b"])
        made.add_channel("conda-forge")
        made.set_pip_option("--pre")
        for remove, word in (
            (made.remove_pip_package, "a"),
            (made.remove_pip_package, "azureml-defaults"),
            (made.remove_pip_package, "never-there"),
            (made.remove_conda_package, "b"),
            (made.remove_channel, "conda-forge"),
            (made.remove_pip_option, "--pre"),
        ):
            remove(word)
        assert made.as_dict() == {"name": "project_environment", "dependencies": []}

    def test_cntk_and_tensorflow(self) -> None:
        made = CondaDependencies()
        made.add_cntk_package("gpu")
        made.add_tensorflow_pip_package(version="1.10.0")
        made.add_tensorflow_conda_package(core_type="gpu", version="1.12")
        assert made.pip_packages == ["azureml-defaults", "cntk-gpu", "tensorflow==1.10.0"]
        assert made.conda_packages == ["tensorflow-gpu=1.12"]
        with pytest.raises(UserErrorException, match="'cpu' or 'gpu'"):
            made.add_cntk_package("tpu")

    def test_file_round_trip(self, tmp_path: Path) -> None:
        (tmp_path / "in.yml").write_text(CONDA_FILE)
        read = CondaDependencies(str(tmp_path / "in.yml"))
        assert read.save_to_file(str(tmp_path), "sub/out.yml") == "sub/out.yml"
        assert CondaDependencies(str(tmp_path / "sub/out.yml")) == read
        assert read.serialize_to_string() == (tmp_path / "sub/out.yml").read_text()

    @pytest.mark.parametrize(
        "text", ["just text", "dependencies: numpy", "dependencies:\n- {}\n", "dependencies:\n- conda: [a]\n"]
    )
    def test_refuses_what_is_no_conda_file(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "bad.yml").write_text(text)
        with pytest.raises(UserErrorException, match=r"bad\.yml"):
            CondaDependencies(str(tmp_path / "bad.yml"))

    def test_lists_must_be_lists(self) -> None:
        with pytest.raises(UserErrorException, match="must be a list"):
            CondaDependencies.create(pip_packages="scikit-learn")
        with pytest.raises(UserErrorException, match="package names"):
            CondaDependencies.create(conda_packages=[None])  # type: ignore[list-item]  # the wrong thing on purpose

    def test_merge_requirements(self) -> None:
        assert CondaDependencies.merge_requirements(["a>=1", "b", "A<3", "a>=1"]) == ["a>=1,<3", "b"]


def test_requirements_file(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("numpy==1.16  # why\n")
    (tmp_path / "all.txt").write_text(
        "# comment\n-r base.txt\n\nscipy>=1 \\\n  ,<2\n--extra-index-url https://e.org/s\n"
    )
    assert read_requirements_file(str(tmp_path / "all.txt")) == [
        "numpy==1.16",
        "scipy>=1    ,<2",
        "--extra-index-url https://e.org/s",
    ]
    (tmp_path / "loop.txt").write_text("-r loop.txt\n")
    with pytest.raises(UserErrorException, match="includes itself"):
        read_requirements_file(str(tmp_path / "loop.txt"))
    with pytest.raises(FileNotFoundError, match=r"missing\.txt"):
        read_requirements_file(str(tmp_path / "missing.txt"))


class TestDefinition:
    def test_defaults(self) -> None:
        config = RunConfiguration(script="train.py")
        definition = run_definition(config)
        assert definition["script"] == "train.py"
        assert definition["target"] == "local"
        assert (definition["framework"], definition["communicator"]) == ("Python", "None")
        assert definition["nodeCount"] == 1
        assert "command" not in definition
        assert "maxRunDurationSeconds" not in definition

    def test_is_what_the_protocol_takes(self) -> None:
        from google.protobuf import json_format

        from localaml_proto.v1 import run_definition_pb2

        config = RunConfiguration(script="train.py", arguments=["--alpha", 0.5, 3, True])
        config.target = "cpu"
        config.max_run_duration_seconds = 60
        config.environment_variables = {"A": 1}  # type: ignore[dict-item]  # numbers are taken
        config.data_references["data"] = DataReferenceConfiguration("store", "download", "in", "/tmp/in", True)
        config.environment.docker.base_image_registry.address = "registry.example"
        message = json_format.ParseDict(run_definition(config), run_definition_pb2.RunDefinition())
        assert list(message.arguments) == ["--alpha", "0.5", "3", "True"]
        assert message.max_run_duration_seconds == 60
        assert message.data_references["data"].path_on_compute == "/tmp/in"
        assert message.environment_variables["A"] == "1"
        assert message.environment.docker.base_image_registry.address == "registry.example"
        assert message.environment.python.conda_dependencies["name"] == "project_environment"

    def test_user_managed_python_has_no_packages(self) -> None:
        config = RunConfiguration(script="train.py")
        config.environment.python.user_managed_dependencies = True
        config.environment.python.interpreter_path = "/usr/bin/python3"
        python = run_definition(config)["environment"]["python"]
        assert python == {"interpreterPath": "/usr/bin/python3", "userManagedDependencies": True}

    def test_commands(self) -> None:
        assert run_definition(RunConfiguration(command=["python", "-c", "pass"]))["command"] == ["python", "-c", "pass"]
        line = run_definition(RunConfiguration(command="echo $HOME && ls"))
        assert line["command"] == ["/bin/sh", "-c", "echo $HOME && ls"]
        assert "script" not in line
        both = RunConfiguration(script="train.py", command="ls")
        with pytest.raises(UserErrorException, match="not both"):
            run_definition(both)

    @pytest.mark.parametrize(
        ("attribute", "value", "said"),
        [
            ("node_count", 0, "at least 1"),
            ("node_count", "two", "whole number"),
            ("max_run_duration_seconds", -1, "at least 1"),
            ("environment_variables", ["A=1"], "must be a dict"),
            ("data", {"x": object()}, "names no dataset"),
        ],
    )
    def test_refuses(self, attribute: str, value: object, said: str) -> None:
        config = RunConfiguration(script="train.py")
        setattr(config, attribute, value)
        with pytest.raises(UserErrorException, match=said):
            run_definition(config)

    def test_refuses_an_unknown_mode(self) -> None:
        config = RunConfiguration(script="train.py")
        config.data_references["data"] = DataReferenceConfiguration("store", "teleport")
        with pytest.raises(UserErrorException, match="'mount', 'download' or 'upload'"):
            run_definition(config)

    def test_target_takes_an_object_with_a_name(self) -> None:
        class Target:
            name = "gpu"

        config = RunConfiguration()
        config.target = Target()
        assert config.target == "gpu"
        with pytest.raises(UserErrorException, match="compute target"):
            config.target = None

    def test_is_shown_in_both_spellings(self) -> None:
        shown = shown_definition({"script": "a.py", "arguments": ["--x"], "dataReferences": {"d": {"mode": "mount"}}})
        assert shown["Arguments"] == shown["arguments"] == ["--x"]
        assert shown["Environment"]["Python"]["InterpreterPath"] == "python"
        assert shown["AmlCompute"]["VmSize"] is None
        assert shown["dataReferences"]["d"]["Mode"] == "Mount"
        assert "Script" in shown
        assert "nothing" not in shown
        assert shown.get("nothing", 1) == 1
        with pytest.raises(KeyError):
            shown["nothing"]


class TestFiles:
    def test_round_trip(self, tmp_path: Path) -> None:
        config = RunConfiguration(script="train.py", arguments=["--a", "1"])
        config.target = "cpu"
        config.node_count = 2
        config.communicator = "Mpi"
        config.mpi.process_count_per_node = 3
        config.data_references["d"] = DataReferenceConfiguration("store", path_on_datastore="in")
        config.environment.python.conda_dependencies = CondaDependencies.create(conda_packages=["scikit-learn"])
        config.environment.environment_variables = {"A": "b"}
        config.save(str(tmp_path), "mine")
        assert (tmp_path / ".azureml" / "mine.runconfig").is_file()
        loaded = RunConfiguration.load(str(tmp_path), "mine")
        assert run_definition(loaded) == run_definition(config)
        assert isinstance(loaded.data_references["d"], DataReferenceConfiguration)

    def test_environment_in_a_file_of_its_own(self, tmp_path: Path) -> None:
        config = RunConfiguration(script="train.py")
        config.environment.docker.enabled = True
        config.save(str(tmp_path / "run.yml"), separate_environment_yaml=True)
        assert "environment: environment.yml" in (tmp_path / "run.yml").read_text()
        assert RunConfiguration.load(str(tmp_path / "run.yml")).environment.docker.enabled is True

    def test_conda_file_of_an_old_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "aml_config").mkdir()
        (tmp_path / "aml_config" / "conda.yml").write_text(CONDA_FILE)
        (tmp_path / "aml_config" / "local.runconfig").write_text(
            "script: train.py\ntarget: local\n"
            "environment:\n  python:\n    condaDependenciesFile: aml_config/conda.yml\n"
        )
        loaded = RunConfiguration.load(str(tmp_path), "local")
        assert loaded.environment.python.conda_dependencies is not None
        assert loaded.environment.python.conda_dependencies.get_python_version() == "3.6.2"

    def test_missing_and_broken(self, tmp_path: Path) -> None:
        with pytest.raises(UserErrorException, match="no run configuration"):
            RunConfiguration.load(str(tmp_path), "none")
        (tmp_path / "broken.runconfig").write_text("- a\n")
        with pytest.raises(RunConfigurationException, match="holds no run configuration"):
            RunConfiguration.load(str(tmp_path / "broken.runconfig"))

    def test_delete(self, tmp_path: Path) -> None:
        RunConfiguration(script="a.py").save(str(tmp_path), "gone")
        RunConfiguration.delete(str(tmp_path), "gone")
        with pytest.raises(UserErrorException):
            RunConfiguration.delete(str(tmp_path), "gone")


class TestEnvironment:
    def test_constructors(self, tmp_path: Path) -> None:
        (tmp_path / "conda.yml").write_text(CONDA_FILE)
        (tmp_path / "pip.txt").write_text("joblib\n")
        conda = Environment.from_conda_specification("c", str(tmp_path / "conda.yml"))
        assert conda.python.conda_dependencies is not None
        assert conda.python.conda_dependencies.conda_packages == ["scikit-learn>=0.20"]
        pip = Environment.from_pip_requirements("p", str(tmp_path / "pip.txt"), pip_version="20.0")
        assert pip.python.conda_dependencies is not None
        assert pip.python.conda_dependencies.pip_packages == ["joblib"]
        assert pip.python.conda_dependencies.conda_packages == ["pip=20.0"]
        image = Environment.from_docker_image("i", "some/image:1")
        assert image.docker.base_image == "some/image:1"
        assert image.python.user_managed_dependencies is True
        with pytest.raises(UserErrorException, match="not both"):
            Environment.from_docker_image("i", "x", conda_specification="a", pip_requirements="b")

    def test_clone_is_independent(self) -> None:
        first = EnvironmentDefinition("first")
        second = first.clone("second")
        second.environment_variables["A"] = "1"
        assert (first.name, second.name, first.environment_variables) == ("first", "second", {})

    def test_directory_round_trip(self, tmp_path: Path) -> None:
        environment = Environment("e")
        environment.docker.base_image = "some/image"
        environment.python.conda_dependencies = CondaDependencies.create(conda_packages=["numpy"])
        environment.save_to_directory(str(tmp_path / "e"))
        assert Environment.load_from_directory(str(tmp_path / "e")) == environment
        with pytest.raises(FileExistsError, match="exists"):
            environment.save_to_directory(str(tmp_path / "e"))
