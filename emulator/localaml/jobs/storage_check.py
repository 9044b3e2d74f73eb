"""Whether records and objects fit to each other, and what is there for nobody. For an emulator that does not run.

    an artifact's row without its object      the object is lost: the row goes
    an artifact's object without its row      of a run that is there: the row is made anew; of none: the object goes
    a row that tells another size             it learns the right one
    an artifact with other bytes than stored  named; a repair takes what is there for right, and notes its digest
    a snapshot without one of its contents    it goes: the next submit sends the contents again
    a model's files without the model         they go
    an upload in parts that nobody completed  after a day: aborted; see `_check_uploads`
    contents that no snapshot names           garbage: `collect_garbage` removes them

In a store that is shared, objects of workspaces that are not ours are not looked at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from localaml.domain.models import Artifact, Run, RunKey
from localaml.jobs.storage_move import prefixes_of
from localaml.paths import (
    ACCOUNT,
    MODELS,
    artifact_key,
    content_key,
    datastore_prefix,
    default_container,
    default_file_share,
    model_prefix,
)
from localaml.storage.digests import digest_of
from localaml.storage.remote import RemoteStore
from localaml.store.run_filter import RunFilter

if TYPE_CHECKING:
    from datetime import datetime

    from localaml.domain.models import Workspace
    from localaml.storage.object_store import ObjectInfo, ObjectStore
    from localaml.store import Store

_UNFINISHED_FOR = timedelta(days=1)
# The property of a run whose snapshot was taken later (`run.take_snapshot`).
_TAKEN_SNAPSHOT = "ContentSnapshotId"


@dataclass(slots=True)
class Findings:
    """What does not fit; all are keys of objects, but for `broken_snapshots` (ids)."""

    checked: int = 0
    lost_artifacts: list[str] = field(default_factory=list)
    artifacts_without_row: list[str] = field(default_factory=list)
    artifacts_of_no_run: list[str] = field(default_factory=list)
    wrong_sizes: list[str] = field(default_factory=list)
    changed_artifacts: list[str] = field(default_factory=list)
    broken_snapshots: list[str] = field(default_factory=list)
    files_of_no_model: list[str] = field(default_factory=list)
    unfinished_uploads: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many things are wrong."""
        return sum(len(value) for value in self.by_kind().values())

    def by_kind(self) -> dict[str, list[str]]:
        """The lists by their names."""
        return {name: value for name in self.__slots__ if isinstance(value := getattr(self, name), list)}


@dataclass(slots=True)
class Garbage:
    """What `collect_garbage` found."""

    snapshots: int = 0
    contents: int = 0
    size_bytes: int = 0


async def check_storage(store: Store, objects: ObjectStore, *, repair: bool, now: datetime | None = None) -> Findings:
    """Compares records and objects of all workspaces.

    Args:
        now: time of day of the machine, to tell old uploads from young ones; None: uploads are not looked at.
        repair: make them fit, in the way that the module's text says.

    Raises Unavailable: the store cannot be reached; nothing is taken for lost then.
    """
    findings = Findings()
    for workspace in store.workspaces.list():
        await _check_artifacts(store, objects, workspace, findings, repair)
        await _check_snapshots(store, objects, workspace, findings, repair)
        await _check_models(store, objects, workspace, findings, repair)
    if now is not None and isinstance(objects, RemoteStore):
        await _check_uploads(store, objects, findings, repair, now)
    return findings


async def collect_garbage(store: Store, objects: ObjectStore, *, remove: bool) -> Garbage:
    """Finds snapshots that no run has, and contents that no other snapshot names; removes them when told so."""
    garbage = Garbage()
    for workspace in store.workspaces.list():
        workspace_id = workspace.workspace_id
        runs = _runs(store, workspace_id)
        used = {id for run in runs for id in (run.snapshot_id, run.properties.get(_TAKEN_SNAPSHOT, ""))}
        named: set[str] = set()
        for snapshot_id in store.snapshots.list_ids(workspace_id):
            if snapshot_id in used:
                named.update(entry.sha256 for entry in store.snapshots.get(workspace_id, snapshot_id).entries)
                continue
            garbage.snapshots += 1
            if remove:
                store.snapshots.delete(workspace_id, snapshot_id)
        async for info in all_objects(objects, content_key(workspace_id, "").rstrip("/") + "/"):
            if info.key.rpartition("/")[2] not in named:
                garbage.contents += 1
                garbage.size_bytes += info.size_bytes
                if remove:
                    await objects.delete(info.key)
    return garbage


async def all_objects(objects: ObjectStore, prefix: str) -> AsyncIterator[ObjectInfo]:
    """All objects below a prefix, page by page."""
    after = ""
    while page := await objects.list(prefix, start_after=after):
        for info in page:
            yield info
        after = page[-1].key


def _runs(store: Store, workspace_id: str) -> Iterator[Run]:
    return (run for _, run in store.runs.scan(workspace_id, RunFilter(include_children=True)))


def _rows(store: Store, run: RunKey) -> Iterator[Artifact]:
    after = ""
    while page := store.artifacts.list(run, after=after):
        yield from page
        after = page[-1].path


async def _check_artifacts(
    store: Store, objects: ObjectStore, workspace: Workspace, findings: Findings, repair: bool
) -> None:
    workspace_id = workspace.workspace_id
    container = datastore_prefix(ACCOUNT, default_container(workspace_id)) + "azureml/ExperimentRun/"
    found = {info.key: info async for info in all_objects(objects, container)}
    findings.checked += len(found)
    prefixes = set()
    for run in list(_runs(store, workspace_id)):
        prefixes.add(artifact_key(run.key, ""))
        for row in list(_rows(store, run.key)):
            info = found.pop(row.object_key, None)
            if info is None:
                findings.lost_artifacts.append(row.object_key)
                if repair:
                    store.artifacts.delete(run.key, row.path)
                continue
            if info.size_bytes == row.size_bytes and not row.sha256:
                continue
            info, sha256 = await digest_of(objects, row.object_key)
            if info.size_bytes != row.size_bytes:
                findings.wrong_sizes.append(row.object_key)
            elif sha256 != row.sha256:
                findings.changed_artifacts.append(row.object_key)
            else:
                continue
            if repair:
                store.artifacts.put(replace(row, size_bytes=info.size_bytes, sha256=sha256))
    for key, info in found.items():
        run_id, _, path = key[len(container) :].removeprefix("dcid.").partition("/")
        run_key = RunKey(workspace_id, run_id)
        if artifact_key(run_key, "") in prefixes and path:
            findings.artifacts_without_row.append(key)
            if repair:
                info, sha256 = await digest_of(objects, key)
                store.artifacts.put(Artifact(run_key, path, info.size_bytes, info.modified_at, key, sha256))
        else:
            findings.artifacts_of_no_run.append(key)
            if repair:
                await objects.delete(key)


async def _check_snapshots(
    store: Store, objects: ObjectStore, workspace: Workspace, findings: Findings, repair: bool
) -> None:
    workspace_id = workspace.workspace_id
    prefix = content_key(workspace_id, "").rstrip("/") + "/"
    sizes = {info.key: info.size_bytes async for info in all_objects(objects, prefix)}
    findings.checked += len(sizes)
    for snapshot_id in store.snapshots.list_ids(workspace_id):
        entries = store.snapshots.get(workspace_id, snapshot_id).entries
        if any(sizes.get(content_key(workspace_id, entry.sha256)) != entry.size_bytes for entry in entries):
            findings.broken_snapshots.append(snapshot_id)
            if repair:
                store.snapshots.delete(workspace_id, snapshot_id)


async def _check_models(
    store: Store, objects: ObjectStore, workspace: Workspace, findings: Findings, repair: bool
) -> None:
    workspace_id = workspace.workspace_id
    prefix = f"{MODELS}/{workspace_id}/"
    known: dict[str, bool] = {}
    async for info in all_objects(objects, prefix):
        findings.checked += 1
        asset_id = info.key[len(prefix) :].partition("/")[0]
        if asset_id not in known:
            known[asset_id] = store.assets.find_by_id(workspace_id, "model", asset_id) is not None
        if not known[asset_id]:
            findings.files_of_no_model.append(info.key)
            if repair:
                await objects.delete(info.key)


async def _check_uploads(store: Store, objects: RemoteStore, findings: Findings, repair: bool, now: datetime) -> None:
    """What was begun on S3 and never completed, because an emulator was killed in the middle, is paid for till somebody
    aborts it. (On disk it goes at the next start, and Azure forgets it after a week.)

    No emulator is at work here now. But other programs may be writing to the same buckets: so what is younger than a
    day is no finding; it is aborted with the rest only where the data are LocalAML's own.
    """
    own = tuple(
        prefix
        for workspace in store.workspaces.list()
        for prefix in (
            datastore_prefix(ACCOUNT, default_container(workspace.workspace_id)),
            datastore_prefix(ACCOUNT, default_file_share(workspace.workspace_id)),
            content_key(workspace.workspace_id, "").rstrip("/") + "/",
            model_prefix(workspace.workspace_id),
        )
    )
    for prefix in prefixes_of(store):
        for key, upload in await objects.unfinished(prefix):
            is_old = now - upload.begun_at > _UNFINISHED_FOR
            if is_old or (repair and prefix in own):
                findings.unfinished_uploads.append(key)
                if repair:
                    await objects.abort(key, upload)
