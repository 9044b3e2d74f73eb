"""Estimators and ScriptRunConfig: what they check, and the run definition they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from azureml._localaml import deprecation
from azureml._run_impl.definition import run_definition
from azureml.core.container_registry import ContainerRegistry
from azureml.core.runconfig import (
    DEFAULT_GPU_IMAGE,
    DataReferenceConfiguration,
    EnvironmentDefinition,
    MpiConfiguration,
    PyTorchConfiguration,
    RunConfiguration,
    TensorflowConfiguration,
)
from azureml.core.script_run_config import ScriptRunConfig
from azureml.exceptions import RunConfigurationException, TrainingException, UserErrorException
from azureml.train.dnn import Mpi, Nccl, ParameterServer
from azureml.train.estimator import Estimator


class FakeReference:
    """What the estimators need of a DataReference."""

    def __init__(self, name: str, path: str | None = None, mode: str = "mount") -> None:
        self.data_reference_name = name
        self._config = DataReferenceConfiguration("store", mode, path)

    def to_config(self) -> DataReferenceConfiguration:
        return self._config


class FakeDatastore:
    """What the estimators need of a datastore."""

    datastore_type = "AzureBlob"
    name = "store"

    def as_mount(self) -> FakeReference:
        return FakeReference("store")


def estimator(**arguments: Any) -> Estimator:
    return Estimator(".", **{"compute_target": "cpu", "entry_script": "train.py", **arguments})


def definition(**arguments: Any) -> dict[str, Any]:
    config = estimator(**arguments).run_config
    assert config is not None
    return run_definition(config)


class TestScriptParams:
    def test_flattening(self) -> None:
        made = definition(
            script_params={
                "--data": FakeReference("data", "in"),
                "--all": FakeDatastore(),
                "--zero": 0,
                "--none": None,
                "--flag": "",
                "--false": False,
                "--rate": 0.8,
            }
        )
        assert made["arguments"] == [
            *("--data", "$AZUREML_DATAREFERENCE_data"),
            *("--all", "$AZUREML_DATAREFERENCE_store"),
            *("--zero", "0"),
            "--none",
            "--flag",
            *("--false", "False"),
            *("--rate", "0.8"),
        ]
        assert made["dataReferences"] == {
            "data": {"dataStoreName": "store", "mode": "mount", "pathOnDataStore": "in", "overwrite": False},
            "store": {"dataStoreName": "store", "mode": "mount", "overwrite": False},
        }

    def test_one_name_for_two_places_is_refused(self) -> None:
        with pytest.raises(UserErrorException, match="Two data references are named 'd'"):
            definition(script_params={"--a": FakeReference("d", "a"), "--b": FakeReference("d", "b")})

    def test_the_same_reference_twice_is_fine(self) -> None:
        assert (
            len(definition(script_params={"--a": FakeReference("d"), "--b": FakeReference("d")})["dataReferences"]) == 1
        )

    @pytest.mark.parametrize("params", [["--a", 1], "--a"])
    def test_must_be_a_dict(self, params: Any) -> None:
        with pytest.raises(TrainingException, match="must be a dict"):
            estimator(script_params=params)

    def test_a_list_is_several_words(self) -> None:
        assert definition(script_params={"--a": [1, "b"], "--c": 2})["arguments"] == ["--a", "1", "b", "--c", "2"]

    def test_a_dict_is_no_value(self) -> None:
        with pytest.raises(UserErrorException, match="cannot be a script argument"):
            estimator(script_params={"--a": {"b": 1}})


class TestTargets:
    def test_needs_a_target(self) -> None:
        with pytest.raises(TrainingException, match="compute_target or vm_size"):
            Estimator(".", entry_script="train.py")

    def test_vm_size_makes_a_cluster_for_the_run(self) -> None:
        made = definition(compute_target=None, vm_size="STANDARD_D2_V2", vm_priority="lowpriority", node_count=1)
        assert made["target"] == "amlcompute"
        assert made["amlcompute"]["vmSize"] == "STANDARD_D2_V2"
        assert made["amlcompute"]["vmPriority"] == "lowpriority"

    def test_vm_priority_is_checked(self) -> None:
        with pytest.raises(TrainingException, match="'dedicated' or 'lowpriority'"):
            estimator(vm_priority="cheap")

    def test_target_must_be_one(self) -> None:
        with pytest.raises(TrainingException, match="compute_target must be"):
            estimator(compute_target=5)


class TestDistribution:
    @pytest.mark.parametrize(
        "how",
        [
            {"distributed_backend": "mpi", "process_count_per_node": 3},
            {"distributed_backend": "MPI", "process_count_per_node": 3},
            {"distributed_training": Mpi(3)},
            {"distributed_training": Mpi(process_count_per_node=3)},
        ],
    )
    def test_mpi(self, how: dict[str, Any]) -> None:
        made = definition(node_count=2, **how)
        assert (made["framework"], made["communicator"], made["nodeCount"]) == ("Python", "Mpi", 2)
        assert made["mpi"] == {"processCountPerNode": 3, "nodeCount": 2}

    @pytest.mark.parametrize("counts", [{"node_count": 2}, {"process_count_per_node": 2}])
    def test_several_processes_need_a_backend(self, counts: dict[str, int]) -> None:
        with pytest.raises(TrainingException, match="distributed_backend='mpi'"):
            estimator(**counts)

    @pytest.mark.parametrize("name", ["node_count", "process_count_per_node"])
    @pytest.mark.parametrize("value", [0, -1, "many", 1.5, None, True])
    def test_counts_are_checked(self, name: str, value: Any) -> None:
        with pytest.raises(TrainingException, match=name):
            estimator(**{name: value})

    @pytest.mark.parametrize("backend", ["ps", "gloo", "carrier-pigeon"])
    def test_other_backends_are_refused_by_name(self, backend: str) -> None:
        with pytest.raises(TrainingException, match=f"{backend}.*'mpi'"):
            estimator(distributed_backend=backend)

    def test_other_kinds(self) -> None:
        made = definition(node_count=2, distributed_training=ParameterServer(3, 0))
        assert (made["framework"], made["communicator"], made["nodeCount"]) == ("TensorFlow", "ParameterServer", 2)
        assert made["tensorflow"] == {"workerCount": 3, "parameterServerCount": 0}
        for kind in (Nccl, Nccl()):
            made = definition(node_count=2, distributed_training=kind)
            assert (made["framework"], made["communicator"], made["nodeCount"]) == ("PyTorch", "Nccl", 2)

    def test_both_ways_at_once(self) -> None:
        with pytest.raises(TrainingException, match="not both"):
            estimator(distributed_backend="mpi", distributed_training=Mpi())
        with pytest.raises(TrainingException, match="must be Mpi"):
            estimator(distributed_training="mpi")
        with pytest.raises(TrainingException, match="process_count_per_node"):
            estimator(distributed_training=Mpi(2), process_count_per_node=4)

    def test_local_is_one_node(self) -> None:
        with pytest.raises(TrainingException, match="one node"):
            estimator(compute_target="local", node_count=2, distributed_backend="mpi")


class TestEnvironment:
    def test_packages(self, tmp_path: Path) -> None:
        (tmp_path / "req.txt").write_text("a==1\n--pre\n")
        (tmp_path / "conda.yml").write_text("name: n\ndependencies:\n- numpy\n- pip:\n  - b\n")
        made = Estimator(
            str(tmp_path),
            compute_target="cpu",
            entry_script="t.py",
            conda_packages=["scikit-learn"],
            pip_packages=["c"],
            pip_requirements_file_path="req.txt",
            conda_dependencies_file="conda.yml",
        )
        assert made.conda_dependencies is not None
        assert made.conda_dependencies.conda_packages == ["numpy", "scikit-learn"]
        assert made.conda_dependencies.pip_packages == ["b", "a==1", "c"]
        assert made.conda_dependencies.pip_options == ["--pre"]

    def test_images(self) -> None:
        assert definition(use_gpu=True)["environment"]["docker"]["baseImage"] == DEFAULT_GPU_IMAGE
        registry = ContainerRegistry()
        registry.address, registry.username, registry.password = "r.example", "u", "p"
        docker = definition(custom_docker_base_image="a/b:1", image_registry_details=registry, shm_size="1g")[
            "environment"
        ]["docker"]
        assert (docker["baseImage"], docker["shmSize"], docker["enabled"]) == ("a/b:1", "1g", True)
        assert docker["baseImageRegistry"] == {"address": "r.example", "username": "u", "password": "p"}

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("custom_docker_base_image", "custom_docker_image"),
            ("conda_dependencies_file_path", "conda_dependencies_file"),
            ("pip_requirements_file_path", "pip_requirements_file"),
        ],
    )
    def test_old_names(self, old: str, new: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("name: n\n" if "conda" in old else "")
        monkeypatch.setattr(deprecation, "_told", deprecation._Told())
        with pytest.warns(PendingDeprecationWarning, match=f"'{old}' is deprecated.*use {new} instead"):
            Estimator(str(tmp_path), compute_target="cpu", entry_script="t.py", **{old: "file"})  # type: ignore[arg-type]
        with pytest.raises(TrainingException, match="not both"):
            estimator(**{old: "x", new: "y"})

    def test_environment_definition(self) -> None:
        environment = EnvironmentDefinition()
        environment.environment_variables = {"A": "1"}
        made = definition(environment_definition=environment, environment_variables={"B": 2}, conda_packages=["numpy"])
        assert made["environment"]["environmentVariables"] == {"A": "1", "B": "2"}
        assert made["environment"]["python"]["condaDependencies"]["dependencies"][0] == "numpy"
        assert environment.environment_variables == {"A": "1"}, "the caller's own object stays as it is"

    @pytest.mark.parametrize("extra", [{"use_gpu": True}, {"custom_docker_image": "a"}, {"user_managed": True}])
    def test_environment_definition_says_it_all(self, extra: dict[str, Any]) -> None:
        with pytest.raises(TrainingException, match=next(iter(extra))):
            estimator(environment_definition=EnvironmentDefinition(), **extra)

    def test_user_managed_installs_nothing(self) -> None:
        assert definition(user_managed=True)["environment"]["python"]["userManagedDependencies"] is True
        with pytest.raises(UserErrorException, match="conda_packages"):
            estimator(user_managed=True, conda_packages=["numpy"])
        environment = EnvironmentDefinition()
        environment.python.user_managed_dependencies = True
        with pytest.raises(UserErrorException, match="pip_packages"):
            estimator(environment_definition=environment, pip_packages=["numpy"])

    def test_packages_must_be_lists(self) -> None:
        with pytest.raises(TrainingException, match="conda_packages must be a list"):
            estimator(conda_packages="scikit-learn")


def test_inputs_and_resume_from() -> None:
    class Path_:
        def create_data_reference(self, name: str, binding: Any) -> FakeReference:
            assert binding.mode == "mount"
            return FakeReference(name, "models")

    made = definition(inputs=[FakeReference("in"), FakeDatastore()], resume_from=Path_(), max_run_duration_seconds=5)
    assert sorted(made["dataReferences"]) == ["MODEL_LOCATION", "in", "store"]
    assert made["arguments"] == ["--resume-from", "$AZUREML_DATAREFERENCE_MODEL_LOCATION"]
    assert made["maxRunDurationSeconds"] == "5"
    with pytest.raises(UserErrorException, match="inputs"):
        estimator(inputs=["path"])
    with pytest.raises(UserErrorException, match="resume_from"):
        estimator(resume_from="path")


def test_source_directory_data_store_by_name_or_object() -> None:
    assert definition(source_directory_data_store="s")["sourceDirectoryDataStore"] == "s"
    assert definition(source_directory_data_store=FakeDatastore())["sourceDirectoryDataStore"] == "store"


def test_only_the_source_directory_goes_by_position() -> None:
    with pytest.raises(TypeError):
        Estimator(".", "cpu")  # type: ignore[misc]  # on purpose


class TestScriptRunConfig:
    def made(self, **arguments: Any) -> dict[str, Any]:
        folder, config = ScriptRunConfig(".", **arguments)._to_submission()
        assert folder == "."
        return run_definition(config)

    def test_script(self) -> None:
        made = self.made(script="a.py", arguments=["--x", 1, FakeReference("d")], compute_target="cpu")
        assert made["script"] == "a.py"
        assert made["arguments"] == ["--x", "1", "$AZUREML_DATAREFERENCE_d"]
        assert "d" in made["dataReferences"]
        assert made["maxRunDurationSeconds"] == "2592000"

    def test_command(self) -> None:
        assert self.made(command=["python", "-V"])["command"] == ["python", "-V"]
        with pytest.raises(UserErrorException, match="not both"):
            ScriptRunConfig(".", script="a.py", command="ls")

    def test_mpi(self) -> None:
        made = self.made(script="a.py", distributed_job_config=MpiConfiguration(2, 3))
        assert (made["communicator"], made["nodeCount"], made["mpi"]["processCountPerNode"]) == ("IntelMpi", 3, 2)

    def test_pytorch(self) -> None:
        made = self.made(script="a.py", distributed_job_config=PyTorchConfiguration("Gloo", 4, 2))
        assert (made["framework"], made["communicator"], made["nodeCount"]) == ("PyTorch", "Gloo", 2)
        assert made["pytorch"] == {"communicationBackend": "Gloo", "processCount": 4, "nodeCount": 2}
        assert "processCount" not in self.made(script="a.py", distributed_job_config=PyTorchConfiguration())["pytorch"]
        with pytest.raises(UserErrorException, match="process_count"):
            self.made(script="a.py", distributed_job_config=PyTorchConfiguration("Nccl", 0))

    def test_tensorflow_has_a_node_for_each_worker(self) -> None:
        made = self.made(script="a.py", distributed_job_config=TensorflowConfiguration(2, 1))
        assert (made["framework"], made["communicator"], made["nodeCount"]) == ("TensorFlow", "ParameterServer", 2)
        assert made["tensorflow"] == {"workerCount": 2, "parameterServerCount": 1}

    def test_run_config_is_the_beginning(self) -> None:
        config = RunConfiguration(script="b.py", arguments=["--y"])
        config.target = "cpu"
        made = self.made(run_config=config)
        assert (made["script"], made["arguments"], made["target"]) == ("b.py", ["--y"], "cpu")
        assert "maxRunDurationSeconds" not in made

    def test_refuses(self) -> None:
        with pytest.raises(UserErrorException, match="list of words"):
            ScriptRunConfig(".", script="a.py", arguments="--x")  # type: ignore[arg-type]  # on purpose
        with pytest.raises(RunConfigurationException, match="distributed_job_config"):
            ScriptRunConfig(".", script="a.py", distributed_job_config="mpi")
        with pytest.raises(UserErrorException, match="resume_from"):
            ScriptRunConfig(".", script="a.py", resume_from=object())
