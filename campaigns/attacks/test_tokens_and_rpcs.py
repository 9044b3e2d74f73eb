"""Every rpc with every kind of token, over both transports. The table is written by hand: it is what is promised."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory

import localaml_proto.admin.v1
import localaml_proto.v1
from campaigns.attacks.clients import Answer, http_request, rpc, rpc_grpc, tampered_token
from campaigns.attacks.scene import ELSEWHERE, EXP, OTHER_WS, WS, Scene

# What the token of run `own` is good for: on itself, on a sibling of its experiment, on a run (or the experiment) of
# another experiment, on another workspace. `yes`, `no`; `-`: the call names nothing of that kind.
#                                                   own    sibling  stranger  other workspace
TABLE = """
WorkspaceService/CreateWorkspace                    no     -        -         -
WorkspaceService/GetWorkspace                       yes    -        -         no
WorkspaceService/ListWorkspaces                     no     -        -         -
WorkspaceService/UpdateWorkspace                    no     -        -         no
WorkspaceService/DeleteWorkspace                    no     -        -         no
ComputeService/CreateComputeTarget                  no     -        -         no
ComputeService/GetComputeTarget                     no     -        -         no
ComputeService/ListComputeTargets                   no     -        -         no
ComputeService/WatchComputeTarget                   no     -        -         no
ComputeService/UpdateComputeTarget                  no     -        -         no
ComputeService/DeleteComputeTarget                  no     -        -         no
ComputeService/ListNodes                            no     -        -         no
ComputeService/ListVmSizes                          no     -        -         no
ComputeService/ListQuotas                           no     -        -         no
ComputeService/UpdateQuota                          no     -        -         no
DatastoreService/RegisterDatastore                  no     -        -         no
DatastoreService/GetDatastore                       yes    -        -         no
DatastoreService/ListDatastores                     yes    -        -         no
DatastoreService/UnregisterDatastore                no     -        -         no
DatastoreService/ListDatastoreFiles                 yes    -        -         no
DatastoreService/CreateDatastoreUploadUrls          yes    -        -         no
DatastoreService/CreateDatastoreDownloadUrls        yes    -        -         no
DatasetService/RegisterDataset                      yes    -        -         no
DatasetService/GetDataset                           yes    -        -         no
DatasetService/ListDatasets                         yes    -        -         no
DatasetService/UpdateDataset                        no     -        -         no
DatasetService/UnregisterDataset                    no     -        -         no
DatasetService/ListDatasetFiles                     yes    -        -         no
ExperimentService/CreateExperiment                  yes    -        no        no
ExperimentService/GetExperiment                     yes    -        no        no
ExperimentService/ListExperiments                   no     -        -         no
ExperimentService/UpdateExperiment                  no     -        no        no
ExperimentService/DeleteExperiment                  no     -        no        no
RunService/SubmitRun                                yes    no       no        no
RunService/CreateRun                                yes    no       no        no
RunService/GetRun                                   yes    yes      no        no
RunService/ListRuns                                 yes    yes      no        no
RunService/WatchRun                                 yes    yes      no        no
RunService/CancelRun                                yes    no       no        no
RunService/CompleteRun                              yes    no       no        no
RunService/FailRun                                  yes    no       no        no
RunService/UpdateRun                                yes    no       no        no
RunService/ListRunLogs                              yes    yes      no        no
RunService/ReadRunLog                               yes    yes      no        no
MetricService/LogMetrics                            yes    no       no        no
MetricService/ListMetrics                           yes    yes      no        no
ArtifactService/ListArtifacts                       yes    yes      no        no
ArtifactService/CreateArtifactUploadUrls            yes    no       no        no
ArtifactService/CreateArtifactDownloadUrls          yes    yes      no        no
SnapshotService/CreateSnapshot                      yes    -        -         no
SnapshotService/GetSnapshot                         no     -        -         no
ModelService/RegisterModel                          yes    yes      no        no
ModelService/CreateModelUploadUrls                  yes    -        -         no
ModelService/GetModel                               yes    -        -         no
ModelService/ListModels                             yes    -        -         no
ModelService/UpdateModel                            no     -        -         no
ModelService/DeleteModel                            no     -        -         no
ModelService/CreateModelDownloadUrls                yes    -        -         no
EnvironmentService/RegisterEnvironment              no     -        -         no
EnvironmentService/GetEnvironment                   yes    -        -         no
EnvironmentService/ListEnvironments                 yes    -        -         no
EnvironmentService/LabelEnvironment                 no     -        -         no
EnvironmentService/BuildEnvironment                 no     -        -         no
SecretService/SetSecret                             no     -        -         no
SecretService/GetSecret                             yes    -        -         no
SecretService/ListSecrets                           no     -        -         no
SecretService/DeleteSecret                          no     -        -         no
AdminService/GetInfo                                no     -        -         -
AdminService/Shutdown                               no     -        -         -
AdminService/Reset                                  no     -        -         -
AdminService/GetClock                               no     -        -         -
AdminService/AdvanceClock                           no     -        -         -
AdminService/CountCalls                             no     -        -         -
FaultService/AddFault                               no     -        -         -
FaultService/ListFaults                             no     -        -         -
FaultService/ClearFaults                            no     -        -         -
EventService/ListEvents                             no     -        -         -
EventService/WatchEvents                            no     -        -         -
StateService/SaveState                              no     -        -         -
StateService/LoadState                              no     -        -         -
"""
ROWS = {words[0]: words[1:] for line in TABLE.strip().splitlines() for words in [line.split()]}
COLUMNS = ("own", "sibling", "stranger", "other workspace")
# What each rpc is asked, beside the names below; `$EXP`, `$RUN`, `$WS` and `$ID` are those of the column.
NAMES = {
    "Workspace": {"name": "$WS", "parent": "subscriptions/s/resourceGroups/g"},
    "Compute": {"name": "$WS/computes/cpu", "parent": "$WS"},
    "Datastore": {"name": "$WS/datastores/workspaceblobstore", "parent": "$WS"},
    "Dataset": {"parent": "$WS"},
    "Experiment": {"name": "$EXP", "parent": "$WS"},
    "Run": {"name": "$RUN", "parent": "$EXP"},
    "Metric": {"parent": "$RUN"},
    "Artifact": {"parent": "$RUN"},
    "Snapshot": {"parent": "$WS"},
    "Model": {"name": "$WS/models/theirs", "parent": "$WS"},
    "Environment": {"name": "$WS/environments/e", "parent": "$WS"},
    "Secret": {"name": "$WS/secrets/s", "parent": "$WS"},
    "Admin": {},
    "Fault": {},
    "Event": {},
    "State": {},
}
MORE: dict[str, dict[str, Any]] = {
    "DatastoreService/CreateDatastoreUploadUrls": {"paths": ["data/x"]},
    "DatasetService/RegisterDataset": {"datasetName": "d"},
    "DatasetService/GetDataset": {"datasetName": "d"},
    "ExperimentService/CreateExperiment": {"experimentName": "$EXPERIMENT"},
    "RunService/SubmitRun": {"parentRunId": "$ID"},
    "RunService/CreateRun": {"parentRunId": "$ID"},
    "RunService/ReadRunLog": {"logName": "x"},
    "ArtifactService/CreateArtifactUploadUrls": {"paths": ["x"]},
    "ModelService/RegisterModel": {"modelName": "m", "runId": "$ID", "runPath": "outputs"},
    "SnapshotService/GetSnapshot": {"snapshotId": "0" * 64},
    "StateService/SaveState": {"path": "/nowhere/x"},
    "StateService/LoadState": {"path": "/nowhere/x"},
}
# They end the run that they are about: a new one for each call.
ENDING = ("RunService/CancelRun", "RunService/CompleteRun", "RunService/FailRun")


def _methods() -> dict[str, Any]:
    for package in (localaml_proto.v1, localaml_proto.admin.v1):
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.endswith("_pb2"):
                importlib.import_module(f"{package.__name__}.{module.name}")
    pool, found = descriptor_pool.Default(), {}
    for package in (localaml_proto.v1, localaml_proto.admin.v1):
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.endswith("_pb2"):
                file = f"{package.__name__.replace('_proto', '').replace('.', '/')}/{module.name[:-4]}.proto"
                for service in pool.FindFileByName(file).services_by_name.values():
                    for method in service.methods:
                        found[f"{service.name}/{method.name}"] = method
    return found


METHODS = _methods()


@pytest.fixture(scope="module")
def channel(scene: Scene) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(scene.emulator.endpoint["grpc_address"]) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def things(scene: Scene) -> None:
    """A model that the owner has registered."""
    scene.artifact("own", "outputs/m", b"m")
    request = {"parent": WS, "modelName": "theirs", "runId": "own", "runPath": "outputs/m"}
    scene.ask("ModelService/RegisterModel", request)


def _request(scene: Scene, short: str, column: str) -> dict[str, Any]:
    run_id, experiment, workspace = {
        "own": ("own", "exp", WS),
        "sibling": ("sibling", "exp", WS),
        "stranger": ("stranger", "elsewhere", WS),
        "other workspace": ("own", "exp", OTHER_WS),
    }[column]
    if short in ENDING and column == "own":
        run_id = scene.run(below="own")
    values = {
        "$EXPERIMENT": experiment,
        "$EXP": f"{workspace}/experiments/{experiment}",
        "$RUN": f"{workspace}/experiments/{experiment}/runs/{run_id}",
        "$ID": run_id,
        "$WS": workspace,
    }

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            for name, meaning in values.items():
                value = value.replace(name, meaning)
        return value

    fields = {field.json_name for field in METHODS[short].input_type.fields}
    names = NAMES[short.partition("Service/")[0]]
    wanted = {**{name: value for name, value in names.items() if name in fields}, **MORE.get(short, {})}
    return {name: fill(value) for name, value in wanted.items()}


def _call(
    scene: Scene, channel: grpc.Channel, short: str, request: dict[str, Any], token: str | None, transport: str
) -> Answer:
    path = f"{METHODS[short].containing_service.full_name}/{METHODS[short].name}"
    if transport == "http":
        return rpc(scene.http, path, request, token)
    message = json_format.ParseDict(request, message_factory.GetMessageClass(METHODS[short].input_type)())
    return rpc_grpc(channel, path, message.SerializeToString(), token)


def test_the_table_has_every_rpc() -> None:
    assert set(ROWS) == set(METHODS)
    assert all(len(row) == len(COLUMNS) and set(row) <= {"yes", "no", "-"} for row in ROWS.values())


@pytest.mark.parametrize("short", sorted(METHODS))
def test_what_a_run_s_token_is_good_for(scene: Scene, channel: grpc.Channel, short: str) -> None:
    for column, wanted in zip(COLUMNS, ROWS[short], strict=True):
        if wanted == "-":
            continue
        for transport in ("http", "grpc"):
            request = _request(scene, short, column)
            answer = _call(scene, channel, short, request, scene.token(), transport)
            refused = (answer.code, answer.reason) == ("PERMISSION_DENIED", "RUN_TOKEN_NOT_ALLOWED")
            assert refused == (wanted == "no"), (column, transport, request, answer)
            # What is allowed may fail for another reason; never for one of ours.
            assert answer.code not in ("INTERNAL", "UNKNOWN", "UNAUTHENTICATED"), (column, transport, answer)


@pytest.mark.parametrize("short", sorted(METHODS))
def test_tokens_that_open_nothing(scene: Scene, other_scene: Scene, channel: grpc.Channel, short: str) -> None:
    ended = scene.run()
    scene.ask("RunService/CompleteRun", {"name": f"{EXP}/runs/{ended}"})
    token = scene.token()
    bad = {
        None: "TOKEN_MISSING",
        "garbage": "TOKEN_INVALID",
        other_scene.owner: "TOKEN_INVALID",
        other_scene.token(): "TOKEN_INVALID",
        scene.owner[:-1]: "TOKEN_INVALID",
        scene.owner + "0": "TOKEN_INVALID",
        scene.owner.swapcase(): "TOKEN_INVALID",
        token[:-1]: "TOKEN_INVALID",
        token.swapcase(): "TOKEN_INVALID",
        tampered_token(token): "TOKEN_INVALID",
        scene.token(ended): "RUN_TOKEN_EXPIRED",
        scene.token("never-was"): "RUN_TOKEN_EXPIRED",
    }
    for given, reason in bad.items():
        for transport in ("http", "grpc"):
            answer = _call(scene, channel, short, {}, given, transport)
            assert (answer.code, answer.reason) == ("UNAUTHENTICATED", reason), (given, transport, answer)


def test_names_of_other_runs_in_other_spellings(scene: Scene) -> None:
    """The experiment in a name does not count, and neither does its case."""
    for name in (
        f"{WS}/experiments/-/runs/stranger",
        f"{WS.replace('subscriptions', 'SUBSCRIPTIONS')}/experiments/-/runs/stranger",
        f"{EXP}/runs/stranger",
        f"{ELSEWHERE}/runs/stranger",
    ):
        for method in ("GetRun", "CancelRun", "UpdateRun"):
            answer = scene.call(f"RunService/{method}", {"name": name}, scene.token())
            assert answer.reason in ("RUN_TOKEN_NOT_ALLOWED", "RUN_NOT_FOUND"), (name, answer)
    state = scene.ask("RunService/GetRun", {"name": f"{ELSEWHERE}/runs/stranger"})["state"]
    assert "CANCEL" not in state


def test_two_authorization_headers_are_not_the_better_one(scene: Scene) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer x, Bearer {scene.owner}"}
    answer = http_request(scene.http, "POST", "/localaml.v1.WorkspaceService/ListWorkspaces", b"{}", headers)
    assert answer.code == "UNAUTHENTICATED"
    for scheme in ("Basic", "Token", ""):
        headers["authorization"] = f"{scheme} {scene.owner}".strip()
        answer = http_request(scene.http, "POST", "/localaml.v1.WorkspaceService/ListWorkspaces", b"{}", headers)
        assert answer.code == "UNAUTHENTICATED", scheme
    # A token in the address, as it would get into logs, is none.
    target = f"/localaml.v1.WorkspaceService/ListWorkspaces?authorization=Bearer%20{scene.owner}&token={scene.owner}"
    answer = http_request(scene.http, "POST", target, b"{}", {"content-type": "application/json"})
    assert answer.code == "UNAUTHENTICATED"
