"""Settings that mean nothing here are refused by name, or named by the run's warnings: none goes by in silence."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_runs.conftest import Submit

from azureml._run_impl.config_element import ConfigElement
from azureml._run_impl.definition import run_definition
from azureml._run_impl.unused_settings import settings_without_effect
from azureml.core import RunConfiguration, ScriptRunConfig
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.container_registry import RegistryIdentity
from azureml.core.environment import DockerBuildContext, RSection, SparkPackage
from azureml.core.runconfig import (
    Data,
    DataReferenceConfiguration,
    DockerConfiguration,
    MpiConfiguration,
    PyTorchConfiguration,
)
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core import Experiment

_REFUSED: dict[str, Any] = {
    "datacaches": ["cache"],
    "output_data": {"out": object()},
    "services": {"jupyter": object()},
    "priority": 0,
    "auto_cluster_compute_specification": {"instance_type": "STANDARD_D2_V2"},
    "credential_passthrough": True,
    "environment.docker.build_context": DockerBuildContext(location="https://example.org/repository.git"),
    "environment.docker.platform.architecture": "arm64",
    "environment.docker.platform.os": "Windows",
    "environment.r": RSection(),
}
_WITHOUT_EFFECT: dict[str, Any] = {
    "auto_prepare_environment": False,
    "spark.configuration": {"spark.app.name": "Azure ML Experiment", "spark.cores.max": 4},
    "hdi.yarn_deploy_mode": "client",
    "paralleltask.max_retries_per_worker": 2,
    "paralleltask.worker_count_per_node": 2,
    "paralleltask.terminal_exit_codes": [3],
    "kubernetescompute.instance_type": "small",
    "history.snapshot_project": False,
    "history.directories_to_watch": [],
    "amlcompute.vm_size": "STANDARD_D2_V2",
    "amlcompute.vm_priority": "lowpriority",
    "docker.shared_volumes": False,
    "source_directory_data_store": "workspaceblobstore",
    "mpi.node_count": 3,
    "pytorch.node_count": 3,
    "pytorch.process_count": 2,
    "pytorch.communication_backend": "Gloo",
    "tensorflow.worker_count": 2,
    "tensorflow.parameter_server_count": 0,
    "environment.python.interpreter_path": "/usr/bin/python3",
    "environment.spark.packages": [SparkPackage("com.example", "thing", "1")],
    "environment.spark.repositories": ["https://example.org/maven"],
    "environment.spark.precache_packages": False,
    "environment.databricks": {"mavenLibraries": [], "pypiLibraries": ["numpy"]},
    "environment.inferencing_stack_version": "latest",
    "environment.docker.shared_volumes": False,
}


def _set(config: RunConfiguration, path: str, value: Any) -> None:
    element: Any = config
    *heads, last = path.split(".")
    for head in heads:
        element = getattr(element, head)
    setattr(element, last, value)


def test_nothing_is_said_about_a_configuration_as_it_begins() -> None:
    assert settings_without_effect(RunConfiguration(script="train.py")) == {}
    assert "settingsWithoutEffect" not in run_definition(RunConfiguration(script="train.py"))


def test_nothing_is_said_about_what_azures_files_begin_with() -> None:
    config = RunConfiguration(script="train.py")
    config.spark.configuration = {"spark.app.name": "Azure ML Experiment", "spark.yarn.maxAppAttempts": 1}
    config.environment.databricks = {"mavenLibraries": [], "pypiLibraries": [], "jarLibraries": None}
    config.hdi.yarn_deploy_mode = "CLUSTER"
    config.credential_passthrough = False
    config.environment.docker.platform.os = "linux"
    assert "settingsWithoutEffect" not in run_definition(config)


@pytest.mark.parametrize("path", _REFUSED)
def test_what_a_run_would_need_is_refused_by_name(path: str) -> None:
    config = RunConfiguration(script="train.py")
    _set(config, path, _REFUSED[path])
    named = path.rpartition(".")[0] if ".platform." in path else path
    with pytest.raises(UserErrorException, match=rf"RunConfiguration\.{named} yet") as caught:
        run_definition(config)
    assert caught.value.reason == "NOT_SUPPORTED"


def test_an_identity_of_a_registry_is_refused_by_name() -> None:
    config = RunConfiguration(script="train.py")
    registry = config.environment.docker.base_image_registry
    registry.registry_identity = RegistryIdentity()
    run_definition(config)
    registry.registry_identity.client_id = "me"
    with pytest.raises(UserErrorException, match="registry_identity"):
        run_definition(config)


@pytest.mark.parametrize("field", ["create_output_directories", "options"])
def test_settings_of_inputs_are_refused_by_name(field: str) -> None:
    config = RunConfiguration(script="train.py")
    config.data["images"] = Data({"dataset": {"id": "7"}})
    run_definition(config)
    setattr(config.data["images"], field, {"a": "b"} if field == "options" else True)
    with pytest.raises(UserErrorException, match=f"{field} of the input 'images'"):
        run_definition(config)


@pytest.mark.parametrize("path", _WITHOUT_EFFECT)
def test_what_changes_nothing_is_told_to_the_emulator(path: str) -> None:
    config = RunConfiguration(script="train.py")
    _set(config, path, _WITHOUT_EFFECT[path])
    named = run_definition(config)["settingsWithoutEffect"]
    assert len(named) == 1
    assert path.startswith(next(iter(named)))


def test_every_attribute_is_effective_refused_or_named() -> None:
    """An attribute that is set to something else is in the definition, in its warnings, or refused. One that is added
    to the classes and forgotten fails here."""
    config = RunConfiguration(script="train.py")
    config.environment.r = None
    silent = [path for path in _paths(config) if path not in _TOLD_ELSEWHERE and not _is_noticed(path)]
    assert silent == []


# Effective, or told, in another way than alone in a definition.
_TOLD_ELSEWHERE = {
    "environment.asset_id": "the service's, set by registering",
    "environment.python.conda_dependencies": "a value of its own kind; tested below",
    "environment.python.conda_dependencies_file": "read when it is set; tested with the files",
    "environment.docker.base_image_registry.password": "goes with a username or an address",
    "amlcompute.name": "private in Azure; tested below",
    "amlcompute.cluster_max_node_count": "private in Azure; tested below",
    "amlcompute.retain_cluster": "private in Azure; tested below",
    "environment.python.base_conda_environment": "private in Azure; the emulator warns of it",
    "mpi.process_count_per_node": "in the definition; refused by the emulator without a communicator",
}


def _paths(element: ConfigElement, prefix: str = "") -> list[str]:
    found = []
    for field in element._FIELDS:
        value = getattr(element, field.attribute or field.name)
        inner = isinstance(value, ConfigElement)
        found += _paths(value, f"{prefix}{field.name}.") if inner else [prefix + field.name]
    return found


def _is_noticed(path: str) -> bool:
    before = run_definition(RunConfiguration(script="train.py"))
    for value in _others(path):
        config = RunConfiguration(script="train.py")
        try:
            _set(config, path, value)
            if run_definition(config) != before:
                return True
        except UserErrorException:
            return True
    return False


def _others(path: str) -> list[Any]:
    known = {
        **_REFUSED,
        **_WITHOUT_EFFECT,
        "data_references": {"images": DataReferenceConfiguration("store")},
        "data": {"images": Data({"dataset": {"id": "7"}})},
        "environment_variables": {"A": "1"},
        "environment.environment_variables": {"A": "1"},
    }
    if path in known:
        return [known[path]]
    config: Any = RunConfiguration(script="train.py")
    for part in path.split("."):
        config = getattr(config, part)
    if isinstance(config, bool):
        return [not config]
    if isinstance(config, int):
        return [config + 1]
    return ["other", ["other"], {"other": "value"}, 7]


def test_packages_that_nobody_installs() -> None:
    config = RunConfiguration(script="train.py")
    config.environment.python.user_managed_dependencies = True
    config.environment.python.interpreter_path = sys.executable
    assert settings_without_effect(config) == {}
    config.environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["six"])
    assert list(settings_without_effect(config)) == ["environment.python.conda_dependencies"]


def test_the_cluster_of_a_run() -> None:
    config = RunConfiguration(script="train.py")
    config.target = "amlcompute"
    config.amlcompute.vm_size = "STANDARD_D2_V2"
    assert settings_without_effect(config) == {}
    config.amlcompute._name, config.amlcompute._cluster_max_node_count = "mine", 4
    config.amlcompute._retain_cluster = True  # the emulator's own warning
    assert list(settings_without_effect(config)) == ["amlcompute.name", "amlcompute.cluster_max_node_count"]
    assert run_definition(config)["amlcompute"]["retainCluster"] is True


@pytest.mark.parametrize("job", [MpiConfiguration(2, 3), PyTorchConfiguration("Gloo", 6, 3)])
def test_a_distribution_that_is_used_has_its_effect(job: Any) -> None:
    config = ScriptRunConfig(".", script="train.py", distributed_job_config=job)._to_submission()[1]
    assert settings_without_effect(config) == {}
    config.node_count = 2
    (name, reason) = next(iter(settings_without_effect(config).items()))
    assert name.endswith(".node_count") and reason.endswith(": 2")


def test_settings_of_containers_count_whatever_use_docker_says() -> None:
    config = RunConfiguration(script="train.py")
    config.docker = DockerConfiguration(use_docker=False, shm_size="4g", arguments=["--cpus", "1"])
    docker = run_definition(config)["docker"]
    assert (docker["shmSize"], docker["arguments"]) == ("4g", ["--cpus", "1"])


def test_a_user_of_the_usual_registry_needs_no_address() -> None:
    config = RunConfiguration(script="train.py")
    config.environment.docker.base_image_registry.username = "me"
    assert run_definition(config)["environment"]["docker"]["baseImageRegistry"] == {"username": "me"}


def test_the_run_says_what_had_no_effect(submit: Submit, capsys: pytest.CaptureFixture[str]) -> None:
    config = RunConfiguration()
    config.history.snapshot_project = False
    run = submit("print('done')", run_config=config)
    details = run.wait_for_completion(show_output=True)
    text = "history.snapshot_project has no effect: the code travels as a snapshot, which stays with the run."
    assert details["warnings"] == [{"source": "SETTING_IGNORED", "message": text}]
    assert f"\nWarning: {text}\n" in capsys.readouterr().out
    assert "settingsWithoutEffect" not in details["runDefinition"]


def test_a_refused_setting_leaves_no_run(experiment: Experiment) -> None:
    config = RunConfiguration(script="train.py")
    config.priority = 3
    with pytest.raises(UserErrorException, match=r"RunConfiguration\.priority"):
        experiment.submit(config)
    assert list(experiment.get_runs()) == []
