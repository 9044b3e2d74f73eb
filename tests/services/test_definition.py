"""From run definitions to jobs: what is taken, what is refused and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from tests.services.harness import WORKSPACE, Emulated

from localaml.domain.job import ContainerSpec, DataMode, DataReference, Launch, RegistryCredentials
from localaml.errors import FailedPrecondition, InvalidArgument, LocalAmlError, NotFound, Unimplemented
from localaml.services.definition import CheckedDefinition, check_definition, job_spec
from localaml_proto.v1.run_definition_pb2 import RunDefinition


def _definition(**values: Any) -> RunDefinition:
    base: dict[str, Any] = {} if "command" in values else {"script": "train.py"}
    return json_format.ParseDict({"nodeCount": 1, **base, **values}, RunDefinition())


async def _check(emulator: Emulated, *paths: str, docker_has_effect: bool = False, **values: Any) -> CheckedDefinition:
    return check_definition(
        _definition(**values),
        store=emulator.store,
        workspace_id=await emulator.workspace_id(),
        snapshot_id=await emulator.snapshot(*paths),
        docker_has_effect=docker_has_effect,
    )


def test_a_plain_script() -> None:
    spec = job_spec(_definition(arguments=["--lr", "0.1"]))
    assert (spec.script, spec.command, spec.arguments) == ("train.py", (), ("--lr", "0.1"))
    assert (spec.launch, spec.node_count, spec.processes_per_node) == (Launch.SINGLE, 1, 1)
    assert (spec.max_run_duration_seconds, spec.collect_outputs, spec.directories_to_watch) == (0, True, ("logs",))
    assert not spec.environment.user_managed and spec.environment.extra_pip_packages == ()


def test_a_command() -> None:
    spec = job_spec(_definition(command=["python", "-c", "pass"]))
    assert (spec.script, spec.command) == ("", ("python", "-c", "pass"))


@pytest.mark.parametrize("communicator", ["Mpi", "mpi", "OpenMpi", "IntelMpi"])
def test_mpi(communicator: str) -> None:
    spec = job_spec(_definition(communicator=communicator, nodeCount=2, mpi={"processCountPerNode": 3}))
    assert (spec.launch, spec.node_count, spec.processes_per_node) == (Launch.MPI, 2, 3)
    assert spec.environment.extra_pip_packages == ("mpi4py",)


def test_mpi_on_one_node_and_nodes_named_by_the_mpi_part() -> None:
    assert job_spec(_definition(communicator="Mpi")).launch is Launch.MPI
    assert job_spec(_definition(communicator="Mpi", nodeCount=1, mpi={"nodeCount": 3})).node_count == 3


def test_parameter_servers() -> None:
    def counts(nodes: int, **tensorflow: int) -> tuple[Launch, int, int, int]:
        made = _definition(
            framework="TensorFlow", communicator="ParameterServer", nodeCount=nodes, tensorflow=tensorflow
        )
        spec = job_spec(made)
        return spec.launch, spec.node_count, spec.worker_count, spec.server_count

    assert counts(2) == (Launch.PARAMETER_SERVER, 2, 1, 1)
    assert counts(2, workerCount=2, parameterServerCount=3) == (Launch.PARAMETER_SERVER, 2, 2, 3)
    assert counts(1, workerCount=2, parameterServerCount=0) == (Launch.PARAMETER_SERVER, 1, 2, 0)


@pytest.mark.parametrize("communicator", ["Gloo", "gloo", "Nccl"])
@pytest.mark.parametrize("framework", ["PyTorch", "python"])
def test_ranks_without_mpi(communicator: str, framework: str) -> None:
    def counts(nodes: int, **pytorch: int) -> tuple[Launch, int, int]:
        made = _definition(framework=framework, communicator=communicator, nodeCount=nodes, pytorch=pytorch)
        spec = job_spec(made)
        return spec.launch, spec.node_count, spec.processes_per_node

    assert counts(3) == (Launch.RENDEZVOUS, 3, 1)
    assert counts(2, processCount=6) == (Launch.RENDEZVOUS, 2, 3)
    assert counts(1, nodeCount=2) == (Launch.RENDEZVOUS, 2, 1)


async def test_what_a_distributed_run_is_warned_about(emulator: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    from localaml.services import definition_warnings

    async def codes(**values: Any) -> list[str]:
        return [warning.code for warning in (await _check(emulator, **values)).warnings]

    nccl = {"framework": "PyTorch", "communicator": "Nccl", "environment": {"docker": {"gpuSupport": True}}}
    monkeypatch.setattr(definition_warnings, "_GPU_DEVICE", Path("/no/such/device"))
    assert await codes(**nccl) == ["NO_GPU", "NCCL_WITHOUT_GPU"]
    assert await codes(**{**nccl, "communicator": "Gloo"}) == ["NO_GPU"]
    monkeypatch.setattr(definition_warnings, "_GPU_DEVICE", Path("/dev/null"))
    assert await codes(**nccl) == []
    servers = {"framework": "TensorFlow", "communicator": "ParameterServer"}
    assert await codes(**servers, nodeCount=3) == ["NODES_WITHOUT_PROCESSES"]
    assert await codes(**servers, nodeCount=3, tensorflow={"workerCount": 2}) == []


def test_environments() -> None:
    conda = {"name": "x", "dependencies": ["python=3.6.2", {"pip": ["azureml-defaults", "scikit-learn"]}]}
    spec = job_spec(_definition(environment={"python": {"condaDependencies": conda}}))
    assert spec.environment.conda_dependencies == conda
    managed = job_spec(
        _definition(
            communicator="Mpi",
            environment={"python": {"userManagedDependencies": True, "interpreterPath": "/opt/py/bin/python"}},
        )
    )
    assert managed.environment.user_managed and managed.environment.interpreter == "/opt/py/bin/python"
    assert managed.environment.extra_pip_packages == ()


def test_environment_variables_of_the_run_win() -> None:
    spec = job_spec(
        _definition(
            environment={"environmentVariables": {"A": "1", "B": "1"}}, environmentVariables={"B": "2", "C": "x=y\nz"}
        )
    )
    assert spec.environment_variables == {"A": "1", "B": "2", "C": "x=y\nz"}


def test_history() -> None:
    spec = job_spec(_definition(history={"outputCollection": False, "directoriesToWatch": ["./logs/", "tb"]}))
    assert not spec.collect_outputs
    assert spec.directories_to_watch == ("logs", "tb")


async def test_data_references(emulator: Emulated) -> None:
    checked = await _check(
        emulator,
        arguments=["--data", "$AZUREML_DATAREFERENCE_a", "${AZUREML_DATAREFERENCE_b}/x"],
        dataReferences={
            "a": {"dataStoreName": "workspaceblobstore"},
            "b": {
                "dataStoreName": "workspacefilestore",
                "mode": "Download",
                "pathOnDataStore": "/data//x/",
                "pathOnCompute": "./in",
                "overwrite": True,
            },
            "c": {
                "dataStoreName": "workspaceblobstore",
                "mode": "upload",
                "pathOnDataStore": ".",
                "pathOnCompute": "/tmp/c",
            },
        },
    )
    assert checked.spec.data_references == (
        DataReference("a", "workspaceblobstore", DataMode.MOUNT),
        DataReference("b", "workspacefilestore", DataMode.DOWNLOAD, "data/x", "in", True),
        DataReference("c", "workspaceblobstore", DataMode.UPLOAD, "", "/tmp/c"),
    )


@pytest.mark.parametrize(
    ("given", "target"), [("", "local"), ("Local", "local"), ("AmlCompute", "amlcompute"), ("cpu", "cpu")]
)
async def test_targets(emulator: Emulated, given: str, target: str) -> None:
    assert (await _check(emulator, target=given)).target == target


_BAD: list[tuple[type[LocalAmlError], str, str, dict[str, Any]]] = [
    (InvalidArgument, "INVALID_NAME", "no/good", {"target": "no/good"}),
    (InvalidArgument, "ENTRY_SCRIPT_MISSING", "entry_script", {"script": ""}),
    (InvalidArgument, "ENTRY_SCRIPT_IS_NOTEBOOK", "nbconvert", {"script": "notebooks/train.IPYNB"}),
    (InvalidArgument, "ENTRY_SCRIPT_OUTSIDE", "outside", {"script": "../train.py"}),
    (InvalidArgument, "ENTRY_SCRIPT_OUTSIDE", "outside", {"script": "a/../../train.py"}),
    (InvalidArgument, "ENTRY_SCRIPT_OUTSIDE", "outside", {"script": "..\\train.py"}),
    (InvalidArgument, "ENTRY_SCRIPT_OUTSIDE", "outside", {"script": "/etc/passwd"}),
    (InvalidArgument, "ENTRY_SCRIPT_OUTSIDE", "outside", {"script": "C:\\train.py"}),
    (InvalidArgument, "INVALID_PATH", "control", {"script": "a\nb.py"}),
    (InvalidArgument, "INVALID_PATH", "255 bytes", {"script": "x" * 300}),
    (InvalidArgument, "ENTRY_SCRIPT_NOT_FOUND", "Did you mean 'train.py'", {"script": "trian.py"}),
    (InvalidArgument, "ENTRY_SCRIPT_NOT_FOUND", "Did you mean 'train.py'", {"script": "src/train.py"}),
    (InvalidArgument, "ENTRY_SCRIPT_NOT_FOUND", "There is: train.py", {"script": "zzzzzzzzz"}),
    (InvalidArgument, "SCRIPT_AND_COMMAND", "not both", {"script": "train.py", "command": ["ls"]}),
    (InvalidArgument, "COMMAND_EMPTY", "empty", {"command": [" "]}),
    (InvalidArgument, "ARGUMENT_INVALID", "NUL", {"arguments": ["a\0"]}),
    (InvalidArgument, "FRAMEWORK_UNKNOWN", "Fortran", {"framework": "Fortran"}),
    (Unimplemented, "FRAMEWORK_NOT_SUPPORTED", "PySpark", {"framework": "PySpark"}),
    (Unimplemented, "DISTRIBUTED_BACKEND_NOT_SUPPORTED", "ParallelTask", {"communicator": "ParallelTask"}),
    (
        InvalidArgument,
        "DISTRIBUTED_BACKEND_OF_OTHER_FRAMEWORK",
        "'ParameterServer' belongs to the framework TensorFlow",
        {"communicator": "ParameterServer", "framework": "PyTorch"},
    ),
    (
        InvalidArgument,
        "DISTRIBUTED_BACKEND_OF_OTHER_FRAMEWORK",
        "'Nccl' belongs to the framework PyTorch",
        {"communicator": "Nccl", "framework": "TensorFlow"},
    ),
    (
        InvalidArgument,
        "PROCESS_COUNT_INVALID",
        "process_count 3 .* 2 nodes",
        {"communicator": "Gloo", "nodeCount": 2, "pytorch": {"processCount": 3}},
    ),
    (
        InvalidArgument,
        "PROCESS_COUNT_INVALID",
        "worker_count",
        {"communicator": "ParameterServer", "framework": "TensorFlow", "tensorflow": {"workerCount": -1}},
    ),
    (
        InvalidArgument,
        "PROCESS_COUNT_INVALID",
        "parameter_server_count must not be negative",
        {"communicator": "ParameterServer", "framework": "TensorFlow", "tensorflow": {"parameterServerCount": -1}},
    ),
    (
        InvalidArgument,
        "PROCESS_COUNT_INVALID",
        "at most 256",
        {"communicator": "ParameterServer", "framework": "TensorFlow", "tensorflow": {"workerCount": 256}},
    ),
    (
        InvalidArgument,
        "PROCESS_COUNT_INVALID",
        "at most 256",
        {"communicator": "Nccl", "pytorch": {"processCount": 512}},
    ),
    (InvalidArgument, "DISTRIBUTED_BACKEND_UNKNOWN", "pigeons", {"communicator": "pigeons"}),
    (InvalidArgument, "DISTRIBUTED_BACKEND_MISSING", "distributed_backend='mpi'", {"nodeCount": 2}),
    (InvalidArgument, "DISTRIBUTED_BACKEND_MISSING", "2 processes", {"mpi": {"processCountPerNode": 2}}),
    (InvalidArgument, "NODE_COUNT_INVALID", r"\(it is 0\)", {"nodeCount": 0}),
    (InvalidArgument, "NODE_COUNT_INVALID", r"\(it is -3\)", {"nodeCount": -3, "communicator": "Mpi"}),
    (
        InvalidArgument,
        "PROCESS_COUNT_INVALID",
        "at least 1",
        {"communicator": "Mpi", "mpi": {"processCountPerNode": -1}},
    ),
    (
        InvalidArgument,
        "PROCESS_COUNT_INVALID",
        "at most",
        {"communicator": "Mpi", "mpi": {"processCountPerNode": 10**6}},
    ),
    (InvalidArgument, "MAX_RUN_DURATION_INVALID", "negative", {"maxRunDurationSeconds": -1}),
    (InvalidArgument, "IMAGE_INVALID", "two words", {"environment": {"docker": {"baseImage": "two words"}}}),
    (InvalidArgument, "SHM_SIZE_INVALID", "big", {"docker": {"shmSize": "big"}}),
    (InvalidArgument, "SHM_SIZE_INVALID", "lots", {"environment": {"docker": {"shmSize": "lots"}}}),
    (InvalidArgument, "INVALID_NAME", "data reference", {"dataReferences": {"a/b": {"dataStoreName": "x"}}}),
    (InvalidArgument, "DATA_REFERENCE_INVALID", "no datastore", {"dataReferences": {"a": {}}}),
    (
        InvalidArgument,
        "DATA_REFERENCE_MODE_UNKNOWN",
        "'steal'",
        {"dataReferences": {"a": {"dataStoreName": "workspaceblobstore", "mode": "steal"}}},
    ),
    (
        InvalidArgument,
        "INVALID_PATH",
        r"\.\.",
        {"dataReferences": {"a": {"dataStoreName": "workspaceblobstore", "pathOnDataStore": "../other"}}},
    ),
    (
        InvalidArgument,
        "INVALID_PATH",
        r"\.\.",
        {"dataReferences": {"a": {"dataStoreName": "workspaceblobstore", "pathOnCompute": "/a/../../etc"}}},
    ),
    (
        NotFound,
        "DATASTORE_NOT_FOUND",
        "'nope'.*workspaceblobstore",
        {"dataReferences": {"a": {"dataStoreName": "nope"}}},
    ),
    (NotFound, "DATASTORE_NOT_FOUND", "nope", {"sourceDirectoryDataStore": "nope"}),
    (InvalidArgument, "DATA_REFERENCE_UNKNOWN", "'lost'", {"arguments": ["x=$AZUREML_DATAREFERENCE_lost"]}),
    (InvalidArgument, "ENVIRONMENT_VARIABLE_INVALID", "A=B", {"environmentVariables": {"A=B": "1"}}),
    (InvalidArgument, "ENVIRONMENT_VARIABLE_INVALID", "''", {"environmentVariables": {"": "1"}}),
    (InvalidArgument, "INVALID_PATH", "directory to watch", {"history": {"directoriesToWatch": ["../x"]}}),
    (
        InvalidArgument,
        "ENVIRONMENT_INVALID",
        "not a list",
        {"environment": {"python": {"condaDependencies": {"dependencies": "numpy"}}}},
    ),
    (
        InvalidArgument,
        "ENVIRONMENT_INVALID",
        "neither",
        {"environment": {"python": {"condaDependencies": {"dependencies": [{"pip": [1]}]}}}},
    ),
    (
        InvalidArgument,
        "ENVIRONMENT_INVALID",
        "neither",
        {"environment": {"python": {"condaDependencies": {"dependencies": [7]}}}},
    ),
]


@pytest.mark.parametrize(("kind", "reason", "message", "values"), _BAD, ids=lambda value: str(value)[:60])
async def test_refusals(
    emulator: Emulated, kind: type[LocalAmlError], reason: str, message: str, values: dict[str, Any]
) -> None:
    with pytest.raises(kind, match=message) as caught:
        await _check(emulator, **values)
    assert caught.value.reason == reason


async def test_a_script_needs_a_snapshot_and_a_command_does_not(emulator: Emulated) -> None:
    workspace_id = await emulator.workspace_id()

    def check(snapshot_id: str, **values: Any) -> CheckedDefinition:
        return check_definition(
            _definition(**values), store=emulator.store, workspace_id=workspace_id, snapshot_id=snapshot_id
        )

    with pytest.raises(InvalidArgument) as caught:
        check("")
    assert caught.value.reason == "SNAPSHOT_MISSING"
    with pytest.raises(NotFound) as missing:
        check("00000000-0000-0000-0000-000000000000")
    assert missing.value.reason == "SNAPSHOT_NOT_FOUND"
    assert check("", command=["ls"]).spec.command == ("ls",)


async def test_windows_paths_of_scripts(emulator: Emulated) -> None:
    assert (await _check(emulator, "src/train.py", script="src\\train.py")).spec.script == "src/train.py"
    assert (await _check(emulator, "src/train.py", script="./src/train.py")).spec.script == "src/train.py"


async def test_datastores_without_data_are_refused_by_kind(emulator: Emulated) -> None:
    from localaml_proto.v1 import datastore_pb2

    request = datastore_pb2.RegisterDatastoreRequest(
        parent=WORKSPACE, datastore_name="lake", datastore=datastore_pb2.Datastore(datastore_type="AzureDataLake")
    )
    await emulator.call("DatastoreService/RegisterDatastore", request)
    with pytest.raises(FailedPrecondition, match="AzureDataLake") as caught:
        await _check(emulator, dataReferences={"a": {"dataStoreName": "lake"}})
    assert caught.value.reason == "DATASTORE_NOT_SUPPORTED"


async def test_docker_settings_are_taken_with_a_warning(emulator: Emulated) -> None:
    docker = {
        "enabled": True,
        "baseImage": "me/image:1",
        "shmSize": "8g",
        "arguments": ["--cpus=1"],
        "baseImageRegistry": {"address": "me.example", "username": "u", "password": "hunter2"},
    }
    checked = await _check(emulator, environment={"docker": docker})
    (warning,) = checked.warnings
    assert warning.code == "DOCKER_SETTINGS_IGNORED"
    for setting in ("base_image 'me/image:1'", "shm_size", "docker arguments", "base_image_registry", "no effect"):
        assert setting in warning.message
    assert b"hunter2" not in checked.stored
    stored = RunDefinition.FromString(checked.stored)
    assert stored.environment.docker.base_image_registry.username == "u"
    assert (await _check(emulator, docker_has_effect=True, environment={"docker": docker})).warnings == ()


def test_what_a_definition_says_of_its_container() -> None:
    docker = {
        "baseImage": " me/image:1 ",
        "shmSize": "8g",
        "gpuSupport": True,
        "arguments": ["--cpus=1"],
        "baseImageRegistry": {"address": "me.example", "username": "u"},
    }
    newer = {"arguments": ["-e", "A=1"], "shmSize": "2g", "useDocker": True}
    spec = job_spec(_definition(environment={"docker": docker}, docker=newer), password="hunter2")
    assert spec.container == ContainerSpec(
        image="me/image:1",
        shm_size_bytes=8 * 1024**3,
        gpu=True,
        arguments=("--cpus=1", "-e", "A=1"),
        registry=RegistryCredentials("me.example", "u", "hunter2"),
    )
    assert "hunter2" not in repr(spec)
    assert job_spec(_definition()).container == ContainerSpec()
    newer["shmSize"] = "512m"
    assert job_spec(_definition(environment={"docker": docker}, docker=newer)).container.shm_size_bytes == 512 * 1024**2


def test_a_dockerfile_stands_in_place_of_the_image() -> None:
    docker = {"baseImage": "mcr.microsoft.com/azureml/base:0.2.1", "baseDockerfile": "FROM x\nRUN y\n"}
    container = job_spec(_definition(environment={"docker": docker})).container
    assert container == ContainerSpec(dockerfile="FROM x\nRUN y\n")


async def test_arguments_of_docker_count_where_nodes_are_containers(emulator: Emulated) -> None:
    docker = {"arguments": ["--privileged"]}
    assert (await _check(emulator, environment={"docker": docker})).warnings[0].code == "DOCKER_SETTINGS_IGNORED"
    with pytest.raises(InvalidArgument, match="'--privileged'") as caught:
        await _check(emulator, docker_has_effect=True, environment={"docker": docker})
    assert caught.value.reason == "UNSUPPORTED_DOCKER_ARGUMENT"


async def test_defaults_of_the_sdk_give_no_warning(emulator: Emulated) -> None:
    docker = {"enabled": True, "baseImage": "mcr.microsoft.com/azureml/base:0.2.1", "shmSize": "1g"}
    checked = await _check(emulator, environment={"docker": docker}, docker={"useDocker": True})
    assert checked.warnings == ()
    assert RunDefinition.FromString(checked.stored) == _definition(
        environment={"docker": docker}, docker={"useDocker": True}
    )


async def test_other_warnings(emulator: Emulated) -> None:
    checked = await _check(
        emulator,
        target="amlcompute",
        communicator="IntelMpi",
        amlcompute={"retainCluster": True},
        environment={"python": {"baseCondaEnvironment": "base"}},
    )
    assert [warning.code for warning in checked.warnings] == [
        "INTEL_MPI_REPLACED",
        "BASE_CONDA_ENVIRONMENT_IGNORED",
        "RETAIN_CLUSTER_IGNORED",
    ]
