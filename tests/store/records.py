"""Records for tests: plain ones, and hypothesis strategies for all."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from hypothesis import strategies as st

from localaml.domain.models import (
    Artifact,
    Cluster,
    ClusterKey,
    Datastore,
    ErrorInfo,
    Experiment,
    MetricRecord,
    Node,
    Run,
    RunKey,
    ScaleSettings,
    Snapshot,
    SnapshotEntry,
    StateChange,
    Workspace,
)
from localaml.domain.names import ChildName, RunName, WorkspaceName
from localaml.domain.states import NodeState, ProvisioningState, RunState

NOW = datetime(2019, 2, 20, 14, 59, 24, 123456, tzinfo=timezone.utc)
WORKSPACE = WorkspaceName("sub", "group", "ws")
WORKSPACE_ID = "11111111-2222-3333-4444-555555555555"


def make_workspace(**changes: Any) -> Workspace:
    values: dict[str, Any] = {"name": WORKSPACE, "workspace_id": WORKSPACE_ID, "created_at": NOW}
    return Workspace(**values | changes)


def make_run(run_id: str = "r", experiment: str = "e", **changes: Any) -> Run:
    values: dict[str, Any] = {
        "name": RunName(WORKSPACE, experiment, run_id),
        "workspace_id": WORKSPACE_ID,
        "number": 0,
        "run_type": "azureml.scriptrun",
        "state": RunState.QUEUED,
        "created_at": NOW,
        "submitted": True,
    }
    return Run(**values | changes)


def make_cluster(name: str = "cpu", **changes: Any) -> Cluster:
    values: dict[str, Any] = {
        "name": ChildName(WORKSPACE, "computes", name),
        "workspace_id": WORKSPACE_ID,
        "vm_size": "STANDARD_D2_V2",
        "vm_priority": "dedicated",
        "scale": ScaleSettings(0, 4, 120),
        "provisioning_state": ProvisioningState.SUCCEEDED,
        "created_at": NOW,
        "updated_at": NOW,
        "provisioning_state_changed_at": NOW,
        "allocation_state_changed_at": NOW,
    }
    return Cluster(**values | changes)


# Text as protobuf can carry it: any Unicode without surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(timezone.utc))
maps = st.dictionaries(texts, texts, max_size=4)
counts = st.integers(0, 2**53)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
errors = st.builds(ErrorInfo, texts, texts, maps)
run_states = st.sampled_from(RunState)


def _some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _tuples(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=4).map(tuple)


workspaces = st.builds(
    Workspace, st.just(WORKSPACE), st.just(WORKSPACE_ID), times, texts, texts, texts, texts, maps, texts
)
clusters = st.builds(
    Cluster,
    name=st.just(ChildName(WORKSPACE, "computes", "cpu")),
    workspace_id=st.just(WORKSPACE_ID),
    vm_size=texts,
    vm_priority=texts,
    scale=st.builds(ScaleSettings, counts, counts, counts),
    provisioning_state=st.sampled_from(ProvisioningState),
    created_at=times,
    updated_at=times,
    provisioning_state_changed_at=times,
    allocation_state_changed_at=times,
    tags=maps,
    description=texts,
    errors=_tuples(errors),
    for_run=_some(texts),
)
nodes = st.builds(
    Node, st.just(ClusterKey(WORKSPACE_ID, "cpu")), texts, st.sampled_from(NodeState), texts, times, times, _some(texts)
)
datastores = st.builds(
    Datastore,
    name=st.just(ChildName(WORKSPACE, "datastores", "ds")),
    workspace_id=st.just(WORKSPACE_ID),
    datastore_type=texts,
    created_at=times,
    account_name=texts,
    container_name=texts,
    protocol=texts,
    endpoint=texts,
    credential_type=texts,
    secret=texts,
    settings=maps,
)
experiments = st.builds(
    Experiment,
    st.just(ChildName(WORKSPACE, "experiments", "e")),
    st.just(WORKSPACE_ID),
    texts,
    times,
    texts,
    maps,
    _some(times),
)
runs = st.builds(
    Run,
    name=st.just(RunName(WORKSPACE, "e", "r")),
    workspace_id=st.just(WORKSPACE_ID),
    number=st.just(1),
    run_type=texts,
    state=run_states,
    created_at=times,
    submitted=st.booleans(),
    display_name=texts,
    description=texts,
    started_at=_some(times),
    ended_at=_some(times),
    tags=maps,
    properties=maps,
    parent_run_id=_some(texts),
    root_run_id=_some(texts),
    target=texts,
    error=_some(errors),
    warnings=_tuples(errors),
    definition=st.binary(max_size=50),
    snapshot_id=texts,
    node_ids=_tuples(texts),
    state_changes=_tuples(st.builds(StateChange, run_states, times, texts)),
    execution=st.dictionaries(texts, json_values, max_size=4),
    request_id=texts,
)
metrics = st.builds(
    MetricRecord, texts, st.integers(0, 9), texts, st.integers(0, 2**62), _some(st.integers(-(2**62), 2**62)), texts
)
artifacts = st.builds(Artifact, st.just(RunKey(WORKSPACE_ID, "r")), texts, counts, times, texts)
snapshots = st.builds(
    Snapshot,
    st.just(WORKSPACE_ID),
    texts,
    times,
    _tuples(st.builds(SnapshotEntry, texts, texts, counts, st.booleans())),
)
