"""What is stored comes back equal, now and after the store was opened anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store import records
from tests.store.records import WORKSPACE_ID, make_cluster, make_run, make_workspace

from localaml.domain.models import (
    Artifact,
    Cluster,
    Datastore,
    Experiment,
    MetricRecord,
    Node,
    Run,
    Snapshot,
    Workspace,
)
from localaml.store import Store

few = settings(max_examples=40, deadline=None)


@contextmanager
def _written(write: Callable[[Store], None]) -> Iterator[Store]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "metadata.sqlite3"
        store = Store.open(path)
        write(store)
        store.close()
        store = Store.open(path)
        try:
            yield store
        finally:
            store.close()


def _below_workspace(*writes: Callable[[Store], Any]) -> Any:
    def write(store: Store) -> None:
        store.workspaces.insert(make_workspace())
        for each in writes:
            each(store)

    return _written(write)


@few
@given(records.workspaces, records.workspaces)
def test_workspaces(first: Workspace, second: Workspace) -> None:
    with _written(lambda store: store.workspaces.insert(first)) as store:
        assert store.workspaces.get(first.name) == store.workspaces.get_by_id(WORKSPACE_ID) == first
        assert store.workspaces.list() == [first]
        store.workspaces.update(second)
        changed = store.workspaces.get(first.name)
        assert (changed.tags, changed.default_datastore) == (second.tags, second.default_datastore)
        assert changed.created_at == first.created_at


@few
@given(records.clusters, records.clusters)
def test_clusters(first: Cluster, second: Cluster) -> None:
    with _below_workspace(lambda store: store.clusters.insert(first)) as store:
        assert store.clusters.get(first.key) == first
        assert store.clusters.list() == store.clusters.list(WORKSPACE_ID) == [first]
        store.clusters.update(second)
        assert store.clusters.get(first.key).errors == second.errors


@few
@given(records.nodes)
def test_nodes(node: Node) -> None:
    with _below_workspace(
        lambda store: store.clusters.insert(make_cluster()), lambda store: store.nodes.put(node)
    ) as store:
        assert store.nodes.list() == store.nodes.list(node.cluster) == [node]


@few
@given(records.datastores)
def test_datastores(datastore: Datastore) -> None:
    with _below_workspace(lambda store: store.datastores.put(datastore)) as store:
        assert store.datastores.get(WORKSPACE_ID, "ds") == datastore
        assert store.datastores.list(WORKSPACE_ID) == [datastore]


@few
@given(records.experiments, records.experiments)
def test_experiments(first: Experiment, second: Experiment) -> None:
    with _below_workspace(lambda store: store.experiments.insert(first)) as store:
        assert store.experiments.get(WORKSPACE_ID, "e") == first
        store.experiments.update(second)
        changed = store.experiments.list(WORKSPACE_ID)[0]
        assert (changed.tags, changed.archived_at) == (second.tags, second.archived_at)


@few
@given(records.runs, records.runs)
def test_runs(first: Run, second: Run) -> None:
    with _below_workspace(lambda store: store.runs.insert(first)) as store:
        assert store.runs.get(first.key) == first
        store.runs.update(second)
        changed = store.runs.get(first.key)
        assert changed.state_changes == second.state_changes
        assert changed.execution == second.execution
        assert (changed.definition, changed.request_id) == (first.definition, first.request_id)


@few
@given(st.lists(records.metrics, max_size=20))
def test_metrics(batch: list[MetricRecord]) -> None:
    run = make_run()
    with _below_workspace(
        lambda store: store.runs.insert(run), lambda store: store.metrics.append(run.key, batch, "w", 1)
    ) as store:
        assert store.metrics.list(run.key) == list(enumerate(batch, 1))


@few
@given(records.artifacts)
def test_artifacts(artifact: Artifact) -> None:
    with _below_workspace(
        lambda store: store.runs.insert(make_run()), lambda store: store.artifacts.put(artifact)
    ) as store:
        assert store.artifacts.find(artifact.run, artifact.path) == artifact
        if artifact.path:
            assert store.artifacts.list(artifact.run, prefix=artifact.path[:1]) == [artifact]


@few
@given(records.snapshots)
def test_snapshots(snapshot: Snapshot) -> None:
    with _below_workspace(lambda store: store.snapshots.put(snapshot)) as store:
        assert store.snapshots.get(WORKSPACE_ID, snapshot.snapshot_id) == snapshot
