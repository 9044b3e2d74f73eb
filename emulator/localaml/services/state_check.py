"""Whether every record of a metadata file can be read and shown: before it takes the place of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from google.protobuf import json_format

from localaml.domain.datasets import definition_from_json
from localaml.errors import InvalidArgument
from localaml.services.answers import AnswerCheck
from localaml.services.datasets import definition_message
from localaml.services.environments import registered_message
from localaml.services.events import event_message
from localaml.services.messages import (
    artifact_message,
    datastore_message,
    experiment_message,
    metric_series,
    node_message,
    run_message,
    snapshot_message,
    workspace_message,
)
from localaml.services.model_messages import model_message
from localaml.store import AssetFilter, RunFilter
from localaml.store.events import ALL_EVENTS
from localaml_proto.v1 import run_definition_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from localaml.domain.models import Asset, Run, Workspace
    from localaml.store import Store

_PAGE = 1000
# More than are ever kept.
_MOST_EVENTS = 100_000


def check_records(store: Store) -> None:
    """Reads every record, and makes of it what callers would be shown, over both transports.

    Raises InvalidArgument ``STATE_ARCHIVE_INVALID``, which names the first record that does not work.
    """
    with _told("its workspaces"):
        workspaces = [record.read() for record in store.workspaces.stored()]
    for workspace in workspaces:
        with _told(f"the workspace {workspace.name.workspace!r}"):
            _show(workspace_message(workspace))
        _check_workspace(store, workspace)
    with _told("its history"):
        for event in store.events.newest_stored(ALL_EVENTS, 0, _MOST_EVENTS):
            _show(event_message(event.read()))


def _check_workspace(store: Store, workspace: Workspace) -> None:
    workspace_id, of = workspace.workspace_id, f"of the workspace {workspace.name.workspace!r}"
    with _told(f"the compute targets {of}"):
        for cluster in store.clusters.stored(workspace_id):
            for node in store.nodes.stored(cluster.read().key):
                _show(node_message(node.read()))
        store.quotas.of(workspace_id)
    with _told(f"the datastores {of}"):
        for datastore in store.datastores.stored(workspace_id):
            _show(datastore_message(datastore.read(), is_default=False))
    with _told(f"the experiments {of}"):
        for experiment in store.experiments.stored(workspace_id):
            _show(experiment_message(experiment.read()))
    with _told(f"the snapshots {of}"):
        for snapshot_id in store.snapshots.list_ids(workspace_id):
            _show(snapshot_message(store.snapshots.get(workspace_id, snapshot_id)))
    with _told(f"the runs {of}"):
        for _, run in store.runs.scan_stored(workspace_id, RunFilter(include_children=True)):
            with _told(f"the run {run.id!r}"):
                _check_run(store, run.read())
    for kind in ("model", "environment", "dataset"):
        after = 0
        while True:
            with _told(f"the {kind}s {of}"):
                assets = store.assets.stored(workspace_id, kind, AssetFilter(), after, _PAGE)
            if not assets:
                break
            after = assets[-1][0]
            for _, asset in assets:
                with _told(f"the {kind} {asset.id!r}"):
                    _check_asset(workspace, asset.read())


def _check_run(store: Store, run: Run) -> None:
    _show(run_message(run))
    # Whether it would be accepted today is another question: it has ended.
    _show(run_definition_pb2.RunDefinition.FromString(run.definition))
    after = ""
    while artifacts := store.artifacts.stored(run.key, after=after):
        for record in artifacts:
            artifact = record.read()
            _show(artifact_message(artifact.path, artifact.size_bytes, artifact.created_at))
            bytes.fromhex(artifact.sha256)
        after = artifacts[-1].id
    for _, value in store.metrics.scan(run.key):
        for series in metric_series([value]):
            _show(series)


def _check_asset(workspace: Workspace, asset: Asset) -> None:
    if asset.kind == "model":
        _show(model_message(workspace, asset))
        for path, size in asset.payload["files"]:
            if not isinstance(path, str) or not isinstance(size, int):
                raise TypeError("files of a model are paths with sizes")
    elif asset.kind == "environment":
        _show(registered_message(workspace, asset))
    else:
        _show(definition_message(definition_from_json(asset.payload)))


def _show(message: Message) -> None:
    message.SerializeToString()
    AnswerCheck().check(message)
    json_format.MessageToJson(message)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except InvalidArgument:
        # Told already, closer to the record.
        raise
    except Exception as error:
        # Whatever a reader stumbles over: it would do so again and again, in every listing.
        raise InvalidArgument(
            "STATE_ARCHIVE_INVALID",
            f"This is no whole archive of a LocalAML state: {what} cannot be read ({type(error).__name__}: "
            f"{str(error)[:200]}).",
        ) from None
