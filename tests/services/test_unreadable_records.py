"""A record that cannot be read, damaged or of another version, breaks no listing: it is shown as such, with its id."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from tests.services.harness import EXPERIMENT, WORKSPACE, Emulated

from localaml.errors import FailedPrecondition
from localaml.services.rpc import Caller, method_table
from localaml.store import Store
from localaml_proto.admin.v1 import event_pb2, fault_pb2
from localaml_proto.v1 import (
    artifact_pb2,
    compute_pb2,
    dataset_pb2,
    datastore_pb2,
    environment_pb2,
    experiment_pb2,
    metric_pb2,
    model_pb2,
    run_definition_pb2,
    run_pb2,
    secret_pb2,
    workspace_pb2,
)

RUN = f"{EXPERIMENT}/runs/good"
NOT_UTF8 = "CAST(X'FFFE41' AS TEXT)"


def damage(emulator: Emulated, sql: str, *values: Any) -> None:
    """What another version, or an accident, has left in the database."""
    with sqlite3.connect(emulator.paths.metadata) as connection:
        assert connection.execute(sql, values).rowcount == 1
    connection.close()


def poisoned(value: Any) -> bytes:
    """A definition with something in it that clients cannot read."""
    definition = run_definition_pb2.RunDefinition(script="a.py")
    definition.environment.python.conda_dependencies.fields["a"].CopyFrom(value)
    return definition.SerializeToString()


def deep() -> Any:
    from google.protobuf.struct_pb2 import Value

    value = Value(number_value=1)
    for _ in range(46):
        value = Value(list_value={"values": [value]})
    return value


def infinite() -> Any:
    from google.protobuf.struct_pb2 import Value

    return Value(number_value=math.inf)


RUNS = ("RunService/ListRuns", run_pb2.ListRunsRequest(parent=EXPERIMENT), "runs")
ASSETS = {
    "model": ("ModelService/ListModels", model_pb2.ListModelsRequest(parent=WORKSPACE), "models"),
    "environment": (
        "EnvironmentService/ListEnvironments",
        environment_pb2.ListEnvironmentsRequest(parent=WORKSPACE, exclude_curated=True),
        "environments",
    ),
    "dataset": ("DatasetService/ListDatasets", dataset_pb2.ListDatasetsRequest(parent=WORKSPACE), "datasets"),
}
BAD_JSON = ("[", "[1]")


async def listed(emulator: Emulated, method: str, request: Any, field: str) -> tuple[list[Any], list[str]]:
    """What a listing shows, and the ids of what it cannot show; read as clients of both transports read it."""
    path = f"/localaml.{'admin.' if method.startswith(('Event', 'Fault')) else ''}v1.{method}"
    table = method_table(emulator._services.values())
    answer = await table[path].call(request, Caller(is_owner=True))
    parsed = type(answer).FromString(answer.SerializeToString())
    assert json_format.Parse(json_format.MessageToJson(answer), type(answer)()) == parsed
    assert all(each.error.code == "RECORD_UNREADABLE" and each.error.message for each in parsed.unreadable)
    return list(getattr(parsed, field)), [each.id for each in parsed.unreadable]


@pytest.fixture
async def full(emulator: Emulated) -> Emulated:
    """One good and one other thing of each kind."""
    for name in ("bad", "good"):
        await emulator.create_run(name, tags={"a": "b"})
    for name in ("bad", "good"):
        experiment = experiment_pb2.CreateExperimentRequest(parent=WORKSPACE, experiment_name=name)
        await emulator.call("ExperimentService/CreateExperiment", experiment)
        await emulator.cluster(name)
        store = datastore_pb2.RegisterDatastoreRequest(
            parent=WORKSPACE,
            datastore_name=name,
            datastore={"datastore_type": "AzureBlob", "account_name": name, "container_name": "c"},
        )
        await emulator.call("DatastoreService/RegisterDatastore", store)
        secret = secret_pb2.SetSecretRequest(parent=WORKSPACE, secret_name=name, value="x")
        await emulator.call("SecretService/SetSecret", secret)
        await emulator.workspace(name)
        dataset = dataset_pb2.RegisterDatasetRequest(
            parent=WORKSPACE,
            dataset_name=name,
            definition={"dataset_type": "DATASET_TYPE_FILE", "sources": [{"url": f"http://x/{name}"}]},
        )
        await emulator.call("DatasetService/RegisterDataset", dataset)
        environment = environment_pb2.RegisterEnvironmentRequest(parent=WORKSPACE, environment_name=name)
        environment.definition.python.user_managed_dependencies = True
        await emulator.call("EnvironmentService/RegisterEnvironment", environment)
        series = metric_pb2.MetricSeries(name=name, type="METRIC_TYPE_SCALAR", values_json=["1"], times_micros=[1])
        await emulator.call("MetricService/LogMetrics", metric_pb2.LogMetricsRequest(parent=RUN, series=[series]))
    return emulator


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("state", "NO_SUCH_STATE"),
        ("created_at", 2**62),
        ("created_at", "yesterday"),
        ("error", '["only a code"]x'),
        ("state_changes", '[["Running"]]'),
        ("definition", b"\xff\xff\xff"),
        ("definition", poisoned(infinite())),
        ("definition", poisoned(deep())),
        *(
            (column, text)
            for column in ("tags", "properties", "node_ids", "warnings", "execution")
            for text in BAD_JSON
        ),
    ],
)
async def test_a_run(full: Emulated, column: str, value: Any) -> None:
    if column == "execution" and value == "[1]":
        value = '"x"'
    damage(full, f"UPDATE runs SET {column} = ? WHERE run_id = 'bad'", value)
    runs, broken = await listed(full, *RUNS)
    assert ([run.run_id for run in runs], broken) == (["good"], ["bad"])
    # With a filter on tags it is found by its labels, and shown the same way.
    filtered = run_pb2.ListRunsRequest(parent=EXPERIMENT, tags={"a": "b"})
    assert (await listed(full, "RunService/ListRuns", filtered, "runs"))[1] == ["bad"]
    table = method_table(full._services.values())
    with pytest.raises(FailedPrecondition) as caught:
        request = run_pb2.GetRunRequest(name=f"{EXPERIMENT}/runs/bad")
        await table["/localaml.v1.RunService/GetRun"].call(request, Caller(is_owner=True))
    assert caught.value.reason == "RECORD_UNREADABLE"


async def test_texts_that_are_no_utf8(full: Emulated) -> None:
    damage(full, f"UPDATE runs SET description = {NOT_UTF8} WHERE run_id = 'bad'")
    runs, broken = await listed(full, *RUNS)
    assert ([run.run_id for run in runs], broken) == (["good"], ["bad"])
    damage(full, f"UPDATE experiments SET description = {NOT_UTF8} WHERE name = 'bad'")
    request = experiment_pb2.ListExperimentsRequest(parent=WORKSPACE)
    experiments, broken = await listed(full, "ExperimentService/ListExperiments", request, "experiments")
    assert ([each.name.rpartition("/")[2] for each in experiments], broken) == (["exp", "good"], ["bad"])


async def add_models(emulator: Emulated, **payloads: str) -> None:
    """As they are in the store, by name."""
    for name, payload in payloads.items():
        damage(
            emulator,
            "INSERT INTO assets (workspace_id, kind, name, version, asset_id, request_id, created_at, description, "
            "tags, properties, labels, payload) SELECT workspace_id, 'model', ?1, 1, ?1, '', 1, '', ?3, ?3, '[]', ?2 "
            "FROM workspaces WHERE name = 'ws'",
            name,
            payload,
            '{"a":"b"}' if payload == MODEL else "[",
        )


MODEL = json.dumps(
    {
        **dict.fromkeys(("run_id", "experiment", "framework_version", "sample_input", "sample_output"), ""),
        **{"framework": "f", "files": [], "datasets": [], "dataset_ids": ["d"]},
    }
)


@pytest.mark.parametrize("kind", list(ASSETS))
async def test_a_registered_asset(full: Emulated, kind: str) -> None:
    """Whichever part of it is damaged."""
    await add_models(full, good=MODEL, bad=MODEL)
    for column, text in {
        "tags": "[1]",
        "payload": "[",
        "created_at": "x",
        "labels": "7",
        "properties": "nonsense",
    }.items():
        with sqlite3.connect(full.paths.metadata) as connection:
            before = connection.execute(
                f"SELECT {column} FROM assets WHERE kind = ? AND name = 'bad'", [kind]
            ).fetchone()
        connection.close()
        damage(full, f"UPDATE assets SET {column} = ? WHERE kind = ? AND name = 'bad'", text, kind)
        found, broken = await listed(full, *ASSETS[kind])
        assert ([each.name.rpartition("/")[2] for each in found], broken) == (["good"], ["bad:1"]), column
        damage(full, f"UPDATE assets SET {column} = ? WHERE kind = ? AND name = 'bad'", before[0], kind)


async def test_models_are_found_beside_a_damaged_one(full: Emulated) -> None:
    """A filter looks into the JSON of all records: one that is none must not fail the query."""
    await add_models(full, good=MODEL, bad="[")
    request = model_pb2.ListModelsRequest(
        parent=WORKSPACE, tags={"a": "b"}, properties={"a": ""}, framework="f", dataset_id="d"
    )
    models, _ = await listed(full, "ModelService/ListModels", request, "models")
    assert [model.name.rpartition("/")[2] for model in models] == ["good"]


WS = {"parent": WORKSPACE}
OTHERS: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("UPDATE experiments SET tags = '['", "ExperimentService/ListExperiments", experiment_pb2, WS),
    ("UPDATE clusters SET provisioning_state = 'x'", "ComputeService/ListComputeTargets", compute_pb2, WS),
    ("UPDATE datastores SET settings = '[1]'", "DatastoreService/ListDatastores", datastore_pb2, WS),
    ("UPDATE secrets SET created_at = 'x'", "SecretService/ListSecrets", secret_pb2, WS),
    ("UPDATE workspaces SET tags = '7'", "WorkspaceService/ListWorkspaces", workspace_pb2, {}),
    ("UPDATE metrics SET value_json = X'FF'", "MetricService/ListMetrics", metric_pb2, {"parent": RUN}),
    ("UPDATE metrics SET metric_type = 77", "MetricService/ListMetrics", metric_pb2, {"parent": RUN}),
]
FIELDS = {"ListMetrics": "series", "ListComputeTargets": "compute_targets"}


@pytest.mark.parametrize(("sql", "method", "messages", "values"), OTHERS, ids=[each[0] for each in OTHERS])
async def test_other_records(full: Emulated, sql: str, method: str, messages: Any, values: dict[str, Any]) -> None:
    name = method.partition("/")[2]
    listing = (method, getattr(messages, f"{name}Request")(**values), FIELDS.get(name, name[4:].lower()))
    before, _ = await listed(full, *listing)
    damage(full, f"{sql} WHERE name = 'bad'")
    after, broken = await listed(full, *listing)
    assert broken == ["1" if name == "ListMetrics" else "bad"]
    assert len(after) == len(before) - 1


async def test_artifacts(full: Emulated) -> None:
    for name in ("bad", "good"):
        damage(
            full,
            "INSERT INTO artifacts (workspace_id, run_id, path, size_bytes, created_at, object_key) "
            "SELECT workspace_id, 'good', ?, 1, ?, 'k' FROM workspaces WHERE name = 'ws'",
            name,
            1 if name == "good" else 2**62,
        )
    request = artifact_pb2.ListArtifactsRequest(parent=RUN)
    found, broken = await listed(full, "ArtifactService/ListArtifacts", request, "artifacts")
    assert ([each.path for each in found], broken) == (["good"], ["bad"])


async def test_events(full: Emulated) -> None:
    request = event_pb2.ListEventsRequest()
    before, _ = await listed(full, "EventService/ListEvents", request, "events")
    damage(full, "UPDATE events SET at = 'x' WHERE seq = ?", before[0].sequence)
    after, broken = await listed(full, "EventService/ListEvents", request, "events")
    assert (len(after), broken) == (len(before) - 1, [str(before[0].sequence)])


async def test_pages_go_on_behind_what_cannot_be_read(full: Emulated) -> None:
    for number in range(4):
        await full.create_run(f"more-{number}")
    damage(full, "UPDATE runs SET tags = '[' WHERE run_id = 'more-3'")
    damage(full, "UPDATE runs SET tags = '[' WHERE run_id = 'more-1'")
    seen, broken, token = [], [], ""
    while True:
        request = run_pb2.ListRunsRequest(parent=EXPERIMENT, page={"page_size": 2, "page_token": token})
        answer = await full.call("RunService/ListRuns", request)
        seen += [run.run_id for run in answer.runs]
        broken += [each.id for each in answer.unreadable]
        token = answer.next_page_token
        if not token:
            break
    assert seen == ["more-2", "more-0", "good", "bad"]
    assert broken == ["more-3", "more-1"]


async def test_an_emulator_starts_with_records_that_it_cannot_read(full: Emulated, tmp_path: Path) -> None:
    """The work goes on without them: what was not begun is left alone, and told in the log."""
    damage(full, "UPDATE runs SET submitted = 1, state_changes = '[' WHERE run_id = 'bad'")
    damage(full, "UPDATE clusters SET tags = '[' WHERE name = 'bad'")
    store = Store.open(full.paths.metadata)
    try:
        assert store.runs.list_active() == []
        assert [cluster.name.name for cluster in store.clusters.list()] == ["good"]
        assert store.faults.list() == []
    finally:
        store.close()


async def test_faults_and_nodes(full: Emulated) -> None:
    damage(full, "INSERT INTO faults (added_at, kind, rule, seen, struck, has_begun) VALUES (1, 'x', '{}', 0, 0, 0)")
    damage(
        full,
        "INSERT INTO nodes SELECT workspace_id, 'good', 'n1', 'x', 'h', 1, 1, NULL FROM workspaces WHERE name = 'ws'",
    )
    request = compute_pb2.ListNodesRequest(parent=f"{WORKSPACE}/computes/good")
    assert (await listed(full, "ComputeService/ListNodes", request, "nodes"))[1] == ["n1"]
    assert [each.id for each in full.store.faults.stored()] == ["f1"]
    assert fault_pb2.ListFaultsResponse.DESCRIPTOR.fields_by_name["unreadable"] is not None
