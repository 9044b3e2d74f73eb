"""What a run's token is good for, for every rpc there is."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from tests.services.harness import EXPERIMENT, GROUP, WORKSPACE, Emulated

from localaml.domain.models import Asset, RunKey
from localaml.errors import LocalAmlError, NotFound, PermissionDenied
from localaml.services import build_services
from localaml.services.authorization import RULES, Guarded
from localaml.services.rpc import Caller
from localaml_proto.v1 import datastore_pb2, experiment_pb2, metric_pb2, run_pb2

_FILES = (
    "artifact",
    "compute",
    "dataset",
    "datastore",
    "environment",
    "experiment",
    "metric",
    "model",
    "run",
    "secret",
    "snapshot",
    "workspace",
)
for _name in _FILES:
    importlib.import_module(f"localaml_proto.v1.{_name}_pb2")
for _name in ("admin", "event", "fault", "state"):
    importlib.import_module(f"localaml_proto.admin.v1.{_name}_pb2")


def _methods() -> dict[str, Any]:
    pool = descriptor_pool.Default()
    files = [f"localaml/v1/{name}.proto" for name in _FILES] + [
        f"localaml/admin/v1/{name}.proto" for name in ("admin", "event", "fault", "state")
    ]
    return {
        f"{service.full_name}/{method.name}": method
        for file in files
        for service in pool.FindFileByName(file).services_by_name.values()
        for method in service.methods
    }


METHODS = _methods()
# For each rpc that a run's token is good for: a request about what is its own.
OWN = "own"
ALLOWED: dict[str, dict[str, Any]] = {
    "WorkspaceService/GetWorkspace": {"name": WORKSPACE},
    "DatastoreService/GetDatastore": {"name": f"{WORKSPACE}/datastores/workspaceblobstore"},
    "DatastoreService/ListDatastores": {"parent": WORKSPACE},
    "DatastoreService/ListDatastoreFiles": {"name": f"{WORKSPACE}/datastores/workspaceblobstore"},
    "DatastoreService/CreateDatastoreUploadUrls": {
        "name": f"{WORKSPACE}/datastores/workspaceblobstore",
        "paths": ["data/x"],
    },
    "DatastoreService/CreateDatastoreDownloadUrls": {"name": f"{WORKSPACE}/datastores/workspaceblobstore"},
    "DatasetService/RegisterDataset": {"parent": WORKSPACE, "dataset_name": "d"},
    "DatasetService/GetDataset": {"parent": WORKSPACE, "dataset_name": "d"},
    "DatasetService/ListDatasets": {"parent": WORKSPACE},
    "DatasetService/ListDatasetFiles": {"parent": WORKSPACE},
    "ExperimentService/CreateExperiment": {"parent": WORKSPACE, "experiment_name": "exp"},
    "ExperimentService/GetExperiment": {"name": EXPERIMENT},
    "RunService/SubmitRun": {"parent": EXPERIMENT},
    "RunService/CreateRun": {"parent": EXPERIMENT, "parent_run_id": OWN},
    "RunService/GetRun": {"name": f"{EXPERIMENT}/runs/{OWN}"},
    "RunService/ListRuns": {"parent": EXPERIMENT},
    "RunService/WatchRun": {"name": f"{EXPERIMENT}/runs/{OWN}"},
    "RunService/CancelRun": {"name": f"{EXPERIMENT}/runs/child"},
    "RunService/CompleteRun": {"name": f"{EXPERIMENT}/runs/grandchild"},
    "RunService/FailRun": {"name": f"{EXPERIMENT}/runs/child"},
    "RunService/UpdateRun": {"name": f"{EXPERIMENT}/runs/{OWN}"},
    "RunService/ListRunLogs": {"name": f"{EXPERIMENT}/runs/{OWN}"},
    "RunService/ReadRunLog": {"name": f"{EXPERIMENT}/runs/{OWN}", "log_name": "x"},
    "MetricService/LogMetrics": {"parent": f"{EXPERIMENT}/runs/grandchild"},
    "MetricService/ListMetrics": {"parent": f"{EXPERIMENT}/runs/sibling"},
    "ArtifactService/ListArtifacts": {"parent": f"{EXPERIMENT}/runs/sibling"},
    "ArtifactService/CreateArtifactUploadUrls": {"parent": f"{EXPERIMENT}/runs/{OWN}"},
    "ArtifactService/CreateArtifactDownloadUrls": {"parent": f"{EXPERIMENT}/runs/{OWN}"},
    "ModelService/RegisterModel": {"parent": WORKSPACE, "run_id": OWN},
    "ModelService/CreateModelUploadUrls": {"parent": WORKSPACE},
    "ModelService/GetModel": {"name": f"{WORKSPACE}/models/m"},
    "ModelService/ListModels": {"parent": WORKSPACE},
    "ModelService/UpdateModel": {"name": f"{WORKSPACE}/models/of-child", "version": 1},
    "ModelService/CreateModelDownloadUrls": {"name": f"{WORKSPACE}/models/m"},
    "EnvironmentService/GetEnvironment": {"name": f"{WORKSPACE}/environments/e"},
    "EnvironmentService/ListEnvironments": {"parent": WORKSPACE},
    "SecretService/GetSecret": {"name": f"{WORKSPACE}/secrets/s"},
    "SnapshotService/CreateSnapshot": {"parent": WORKSPACE},
    "SnapshotService/GetSnapshot": {"parent": WORKSPACE, "snapshot_id": "the run's own"},
}
# The same about what is another's: another workspace, experiment or run.
OTHER = f"{GROUP}/workspaces/other"
OTHER_EXPERIMENT = f"{WORKSPACE}/experiments/elsewhere"
FOREIGN: dict[str, list[dict[str, Any]]] = {
    "WorkspaceService/GetWorkspace": [{"name": OTHER}, {"name": f"{GROUP}/workspaces/missing"}],
    "DatastoreService/GetDatastore": [{"name": f"{OTHER}/datastores/workspaceblobstore"}],
    "DatastoreService/ListDatastores": [{"parent": OTHER}],
    "DatastoreService/ListDatastoreFiles": [{"name": f"{OTHER}/datastores/workspaceblobstore"}],
    "DatastoreService/CreateDatastoreUploadUrls": [
        {"name": f"{OTHER}/datastores/workspaceblobstore"},
        {"name": f"{WORKSPACE}/datastores/workspaceblobstore", "paths": ["azureml"]},
        {"name": f"{WORKSPACE}/datastores/workspaceblobstore", "paths": ["AzureML/x"]},
        {
            "name": f"{WORKSPACE}/datastores/workspaceblobstore",
            "paths": ["a", ".//azureml/ExperimentRun/dcid.sibling/x"],
        },
    ],
    "DatastoreService/CreateDatastoreDownloadUrls": [{"name": f"{OTHER}/datastores/workspaceblobstore"}],
    **{
        f"DatasetService/{method}": [{"parent": OTHER}]
        for method in ("RegisterDataset", "GetDataset", "ListDatasets", "ListDatasetFiles")
    },
    "ExperimentService/CreateExperiment": [
        {"parent": WORKSPACE, "experiment_name": "new"},
        {"parent": OTHER, "experiment_name": "exp"},
    ],
    "ExperimentService/GetExperiment": [{"name": OTHER_EXPERIMENT}, {"name": f"{OTHER}/experiments/exp"}],
    "RunService/SubmitRun": [
        {"parent": OTHER_EXPERIMENT},
        {"parent": f"{OTHER}/experiments/exp"},
        {"parent": EXPERIMENT, "parent_run_id": "sibling"},
    ],
    "RunService/CreateRun": [
        {"parent": OTHER_EXPERIMENT, "parent_run_id": OWN},
        {"parent": EXPERIMENT, "parent_run_id": "sibling"},
    ],
    "RunService/ListRuns": [
        {"parent": OTHER_EXPERIMENT},
        {"parent": f"{WORKSPACE}/experiments/-"},
        {"parent": f"{WORKSPACE}/experiments/-", "parent_run_id": "sibling"},
        {"parent": f"{OTHER}/experiments/-", "parent_run_id": OWN},
    ],
    "ModelService/RegisterModel": [
        {"parent": OTHER},
        {"parent": WORKSPACE, "run_id": "stranger", "run_path": "outputs"},
    ],
    "ModelService/CreateModelUploadUrls": [{"parent": OTHER}],
    "ModelService/GetModel": [{"name": f"{OTHER}/models/m"}],
    "ModelService/ListModels": [{"parent": OTHER}],
    "ModelService/UpdateModel": [
        {"name": f"{WORKSPACE}/models/of-owner", "version": 1},
        {"name": f"{WORKSPACE}/models/of-sibling"},
        {"name": f"{OTHER}/models/of-child"},
    ],
    "ModelService/CreateModelDownloadUrls": [{"name": f"{OTHER}/models/m"}],
    "EnvironmentService/GetEnvironment": [{"name": f"{OTHER}/environments/e"}],
    "EnvironmentService/ListEnvironments": [{"parent": OTHER}],
    "SecretService/GetSecret": [{"name": f"{OTHER}/secrets/s"}],
    "SnapshotService/CreateSnapshot": [{"parent": OTHER}],
    "SnapshotService/GetSnapshot": [
        {"parent": WORKSPACE, "snapshot_id": "another"},
        {"parent": OTHER, "snapshot_id": "the run's own"},
    ],
    **{
        f"RunService/{method}": [
            {"name": f"{OTHER_EXPERIMENT}/runs/stranger"},
            {"name": f"{WORKSPACE}/experiments/-/runs/stranger"},
            {"name": f"{OTHER}/experiments/exp/runs/{OWN}"},
        ]
        for method in ("GetRun", "WatchRun", "ListRunLogs", "ReadRunLog")
    },
    **{
        f"RunService/{method}": [
            {"name": f"{EXPERIMENT}/runs/sibling"},
            {"name": f"{EXPERIMENT}/runs/parent"},
            {"name": f"{OTHER_EXPERIMENT}/runs/stranger"},
            {"name": f"{OTHER}/experiments/exp/runs/{OWN}"},
        ]
        for method in ("CancelRun", "CompleteRun", "FailRun", "UpdateRun")
    },
    **{
        method: [{"parent": f"{OTHER_EXPERIMENT}/runs/stranger"}, {"parent": f"{OTHER}/experiments/exp/runs/{OWN}"}]
        for method in (
            "MetricService/ListMetrics",
            "ArtifactService/ListArtifacts",
            "ArtifactService/CreateArtifactDownloadUrls",
        )
    },
    **{
        method: [{"parent": f"{EXPERIMENT}/runs/sibling"}, {"parent": f"{EXPERIMENT}/runs/parent"}]
        for method in ("MetricService/LogMetrics", "ArtifactService/CreateArtifactUploadUrls")
    },
}


@pytest.fixture
async def own(emulator: Emulated) -> Caller:
    """The token of run `own`: below `parent`, with `child` and `grandchild` below it; `sibling` is in its experiment,
    `stranger` in another one."""
    await emulator.workspace("other")
    snapshot_id = await emulator.snapshot()
    await emulator.create_run("parent")
    await emulator.create_run(OWN, parent_run_id="parent", snapshot_id=snapshot_id)
    await emulator.create_run("child", parent_run_id=OWN)
    await emulator.create_run("grandchild", parent_run_id="child")
    await emulator.create_run("sibling", parent_run_id="parent")
    await emulator.create_run("stranger", parent=OTHER_EXPERIMENT)
    await emulator.create_run(OWN, parent=f"{OTHER}/experiments/exp")
    workspace_id, now = await emulator.workspace_id(), emulator.context.clock.now()
    for name, registered_by in (("of-child", "child"), ("of-sibling", "sibling"), ("of-owner", "")):
        payload = {"files": [], "datasets": [], "registered_by": registered_by}
        texts = dict.fromkeys(
            ("run_id", "experiment", "framework", "framework_version", "sample_input", "sample_output"), ""
        )
        emulator.store.assets.add(Asset(workspace_id, "model", name, name, now, payload={**texts, **payload}))
    return Caller(is_owner=False, run=RunKey(await emulator.workspace_id(), OWN))


def _request(path: str, values: dict[str, Any]) -> Any:
    return message_factory.GetMessageClass(METHODS[path].input_type)(**values)


async def _perform(emulator: Emulated, path: str, values: dict[str, Any], caller: Caller) -> None:
    """Does it, as far as being allowed goes: what goes wrong afterwards does not matter here."""
    service, _, name = path.rpartition(".")[2].partition("/")
    try:
        if METHODS[path].server_streaming:
            stream = emulator.stream(f"{service}/{name}", _request(path, values), caller)
            try:
                await anext(stream)
            except StopAsyncIteration:
                pass
            finally:
                await stream.aclose()
        else:
            await emulator.call(f"{service}/{name}", _request(path, values), caller)
    except PermissionDenied:
        raise
    except LocalAmlError as error:
        assert error.reason != "RUN_TOKEN_NOT_ALLOWED"


def _short(path: str) -> str:
    return path.removeprefix("localaml.v1.").removeprefix("localaml.admin.v1.")


def test_every_rpc_has_a_rule_and_every_rule_an_rpc() -> None:
    assert set(RULES) == set(METHODS)


def test_the_cases_below_cover_what_is_allowed() -> None:
    assert set(ALLOWED) == set(FOREIGN)
    assert set(ALLOWED) <= {_short(path) for path in METHODS}


@pytest.mark.parametrize("path", sorted(METHODS))
async def test_rpcs_for_run_tokens(emulator: Emulated, own: Caller, path: str) -> None:
    allowed = ALLOWED.get(_short(path))
    if allowed is None:
        for values in ({}, {"name": WORKSPACE}, {"parent": WORKSPACE}):
            fields = set(METHODS[path].input_type.fields_by_name)
            if set(values) <= fields:
                with pytest.raises(PermissionDenied) as caught:
                    await _perform(emulator, path, values, own)
                assert caught.value.reason == "RUN_TOKEN_NOT_ALLOWED"
        return
    if "snapshot_id" in allowed:
        allowed = {**allowed, "snapshot_id": await emulator.snapshot()}
    await _perform(emulator, path, allowed, own)
    for values in FOREIGN[_short(path)]:
        with pytest.raises(PermissionDenied):
            await _perform(emulator, path, values, own)
        await _perform(emulator, path, values, Caller(is_owner=True))


async def test_names_that_are_none_are_invalid_and_missing_runs_not_found(emulator: Emulated, own: Caller) -> None:
    with pytest.raises(LocalAmlError, match="not a resource name"):
        await emulator.call("RunService/GetRun", run_pb2.GetRunRequest(name="x"), own)
    for method, request in (
        ("RunService/GetRun", run_pb2.GetRunRequest(name=f"{EXPERIMENT}/runs/missing")),
        ("RunService/UpdateRun", run_pb2.UpdateRunRequest(name=f"{EXPERIMENT}/runs/missing")),
        ("MetricService/LogMetrics", metric_pb2.LogMetricsRequest(parent=f"{EXPERIMENT}/runs/missing")),
    ):
        with pytest.raises(NotFound):
            await emulator.call(method, request, own)


async def test_a_caller_without_identity_may_do_nothing(emulator: Emulated) -> None:
    with pytest.raises(PermissionDenied):
        await emulator.call("RunService/GetRun", run_pb2.GetRunRequest(name=f"{EXPERIMENT}/runs/x"), Caller(False))


async def test_secrets_of_datastores_stay_inside(emulator: Emulated, own: Caller) -> None:
    request = datastore_pb2.RegisterDatastoreRequest(
        parent=WORKSPACE,
        datastore_name="d",
        secret="top-secret",
        datastore=datastore_pb2.Datastore(
            datastore_type="AzureBlob",
            account_name="acc",
            container_name="con",
            settings={"client_secret": "hidden", "tenant_id": "t"},
        ),
    )
    made = await emulator.call("DatastoreService/RegisterDatastore", request)
    seen = await emulator.call("DatastoreService/GetDatastore", datastore_pb2.GetDatastoreRequest(name=made.name), own)
    for message in (made, seen):
        assert "top-secret" not in str(message) and "hidden" not in str(message)
        assert dict(message.settings) == {"tenant_id": "t"}
        assert message.credential_type == "AccountKey"
    stored = emulator.store.datastores.get(await emulator.workspace_id(), "d")
    assert stored.secret == "top-secret"
    assert "top-secret" not in repr(stored)


async def test_a_loop_of_parents_ends(emulator: Emulated, own: Caller) -> None:
    workspace_id = await emulator.workspace_id()
    for run_id, parent in (("loop-a", "loop-b"), ("loop-b", "loop-a")):
        run = await emulator.create_run(run_id)
        stored = emulator.store.runs.get(RunKey(workspace_id, run.run_id))
        emulator.store.runs.update(replace(stored, parent_run_id=parent))
    with pytest.raises(PermissionDenied):
        await emulator.call("RunService/CancelRun", run_pb2.CancelRunRequest(name=f"{EXPERIMENT}/runs/loop-a"), own)


def test_a_servicer_that_misses_an_rpc_is_noticed(emulator: Emulated) -> None:
    class Incomplete:
        SERVICE = "localaml.v1.ExperimentService"

        async def get_experiment(self, request: Any, caller: Caller) -> experiment_pb2.Experiment:
            return experiment_pb2.Experiment()

    with pytest.raises(AttributeError):
        Guarded(Incomplete(), emulator.store)
    services = {path.partition("/")[0] for path in METHODS}
    assert len(build_services(emulator.context)) == len(services)
