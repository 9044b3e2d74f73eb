"""Names that are taken or missing, listings, metrics, artifacts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.store.records import NOW, WORKSPACE, WORKSPACE_ID, make_cluster, make_run, make_workspace

from localaml.domain.models import Artifact, ClusterKey, Experiment, MetricRecord, RunKey, Snapshot
from localaml.domain.names import ChildName, WorkspaceName
from localaml.errors import AlreadyExists, LocalAmlError, NotFound
from localaml.store import Store


def _experiment(name: str) -> Experiment:
    return Experiment(ChildName(WORKSPACE, "experiments", name), WORKSPACE_ID, "id", NOW)


def test_workspace_names_are_the_same_in_any_case(workspace_store: Store) -> None:
    workspaces = workspace_store.workspaces
    assert workspaces.get(WorkspaceName("SUB", "Group", "WS")).name == WORKSPACE
    with pytest.raises(AlreadyExists) as caught:
        workspaces.insert(make_workspace(name=WorkspaceName("sub", "GROUP", "ws"), workspace_id="x"))
    assert caught.value.reason == "WORKSPACE_EXISTS"
    assert [w.name.workspace for w in workspaces.list("Sub")] == ["ws"]
    assert workspaces.list("sub", "elsewhere") == []


def test_taken_names(workspace_store: Store) -> None:
    store = workspace_store
    store.clusters.insert(make_cluster())
    store.experiments.insert(_experiment("e"))
    calls: tuple[tuple[Callable[[], None], str], ...] = (
        (lambda: store.clusters.insert(make_cluster()), "COMPUTE_TARGET_EXISTS"),
        (lambda: store.experiments.insert(_experiment("e")), "EXPERIMENT_EXISTS"),
    )
    for call, reason in calls:
        with pytest.raises(AlreadyExists) as caught:
            call()
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("reason", "call"),
    [
        ("WORKSPACE_NOT_FOUND", lambda s: s.workspaces.get(WorkspaceName("sub", "group", "nope"))),
        ("WORKSPACE_NOT_FOUND", lambda s: s.workspaces.get_by_id("nope")),
        ("WORKSPACE_NOT_FOUND", lambda s: s.workspaces.update(make_workspace(workspace_id="nope"))),
        ("COMPUTE_TARGET_NOT_FOUND", lambda s: s.clusters.get(ClusterKey(WORKSPACE_ID, "nope"))),
        ("COMPUTE_TARGET_NOT_FOUND", lambda s: s.clusters.update(make_cluster("nope"))),
        ("DATASTORE_NOT_FOUND", lambda s: s.datastores.get(WORKSPACE_ID, "nope")),
        ("EXPERIMENT_NOT_FOUND", lambda s: s.experiments.get(WORKSPACE_ID, "nope")),
        ("EXPERIMENT_NOT_FOUND", lambda s: s.experiments.update(_experiment("nope"))),
        ("RUN_NOT_FOUND", lambda s: s.metrics.list(RunKey(WORKSPACE_ID, "nope"))),
        ("RUN_NOT_FOUND", lambda s: s.metrics.append(RunKey(WORKSPACE_ID, "nope"), [], "w", 1)),
        ("SNAPSHOT_NOT_FOUND", lambda s: s.snapshots.get(WORKSPACE_ID, "nope")),
    ],
)
def test_missing_names(workspace_store: Store, reason: str, call: Any) -> None:
    with pytest.raises(NotFound, match="nope") as caught:
        call(workspace_store)
    assert caught.value.reason == reason


def test_not_found_says_what_there_is(workspace_store: Store) -> None:
    def message() -> str:
        with pytest.raises(LocalAmlError) as caught:
            workspace_store.clusters.get(ClusterKey(WORKSPACE_ID, "nope"))
        return str(caught.value)

    assert "There is none." in message()
    workspace_store.clusters.insert(make_cluster("gpu"))
    workspace_store.clusters.insert(make_cluster("made-for-a-run", for_run="r"))
    assert "There is: gpu." in message()
    for number in range(20):
        workspace_store.clusters.insert(make_cluster(f"c{number:02}"))
    assert "There are: c00, " in message()
    assert "c09 and 11 more." in message()


def test_deletes_are_idempotent(workspace_store: Store) -> None:
    store = workspace_store
    for _ in range(2):
        store.clusters.delete(ClusterKey(WORKSPACE_ID, "x"))
        store.nodes.delete(ClusterKey(WORKSPACE_ID, "x"), "n")
        store.datastores.delete(WORKSPACE_ID, "x")
        store.experiments.delete(WORKSPACE_ID, "x")
        store.artifacts.delete_run(RunKey(WORKSPACE_ID, "x"))
        store.workspaces.delete(WORKSPACE_ID)
    assert store.workspaces.list() == []


def test_metric_batches_are_taken_once_and_in_order(workspace_store: Store) -> None:
    store = workspace_store
    first, second = store.runs.insert(make_run("a")), store.runs.insert(make_run("b"))
    one, two = MetricRecord("m", 1, "1", 1), MetricRecord("n", 1, "2", 2, step=7, description="d")
    append = store.metrics.append
    assert append(first.key, [one, two], "w", 1) == 2
    assert append(first.key, [one, two], "w", 1) == 0
    assert append(first.key, [two], "w", 2) == 1
    assert append(first.key, [one], "v", 1) == 1
    assert append(second.key, [one], "w", 1) == 1
    assert append(second.key, [one], "", 0) == append(second.key, [one], "", 0) == 1
    assert store.metrics.list(first.key) == [(1, one), (2, two), (3, two), (4, one)]
    assert store.metrics.list(first.key, name="n") == [(2, two), (3, two)]
    assert store.metrics.list(first.key, after=1, limit=2) == [(2, two), (3, two)]
    assert store.metrics.list(first.key, name="m", after=1) == [(4, one)]
    assert len(store.metrics.list(second.key)) == 3


def test_artifacts_by_prefix_and_page(workspace_store: Store) -> None:
    store = workspace_store
    run, other = store.runs.insert(make_run("a")), store.runs.insert(make_run("b"))
    paths = ["logs/x", "outputs", "outputs/a", "outputs/b", "outputs/ü", "outputs/\U0001f600", "outputs2"]
    for path in reversed(paths):
        store.artifacts.put(Artifact(run.key, path, 1, NOW, "key/" + path))
    store.artifacts.put(Artifact(other.key, "outputs/other", 1, NOW, "k"))

    def listed(**arguments: Any) -> list[str]:
        return [artifact.path for artifact in store.artifacts.list(run.key, **arguments)]

    assert listed() == paths
    assert listed(prefix="outputs/") == paths[2:6]
    assert listed(prefix="outputs") == paths[1:]
    assert listed(prefix="outputs/", after="outputs/a", limit=2) == paths[3:5]
    assert listed(prefix="nope") == []
    store.artifacts.put(Artifact(run.key, "logs/x", 2, NOW, "new"))
    replaced = store.artifacts.find(run.key, "logs/x")
    assert replaced is not None and (replaced.size_bytes, replaced.object_key) == (2, "new")
    store.artifacts.delete_run(run.key)
    assert listed() == []
    assert len(store.artifacts.list(other.key)) == 1


def test_a_snapshot_stays_as_it_was_first_stored(workspace_store: Store) -> None:
    first = Snapshot(WORKSPACE_ID, "s", NOW, ())
    workspace_store.snapshots.put(first)
    workspace_store.snapshots.put(Snapshot(WORKSPACE_ID, "s", NOW.replace(year=2020), ()))
    assert workspace_store.snapshots.get(WORKSPACE_ID, "s") == first
