"""Lays a snapshot out as the work folder of a run."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.domain.models import SnapshotEntry
from localaml.domain.names import check_relative_path
from localaml.errors import FailedPrecondition, InvalidArgument, LocalAmlError, NotFound, ResourceExhausted
from localaml.paths import content_key

if TYPE_CHECKING:
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store

# Folders that a job may write to without making them, as on Azure's nodes.
STANDARD_FOLDERS = ("outputs", "logs")
# Below this a second thread costs more than it saves.
_FILES_PER_THREAD = 64
_MAX_THREADS = 4
_MAX_FETCHES = 8
_CHUNK = 128 * 1024


async def lay_out_snapshot(store: Store, objects: ObjectStore, workspace_id: str, snapshot_id: str, work: Path) -> None:
    """Makes `work` hold exactly the snapshot's files, plus empty `outputs` and `logs`.

    What an interrupted attempt left in `work` is removed first. Files are copies: a job may change its own without
    touching the snapshot. A run without a snapshot (`snapshot_id` empty) gets the empty folders.

    Raises:
        NotFound: ``SNAPSHOT_NOT_FOUND``.
        FailedPrecondition: ``SNAPSHOT_CONTENT_MISSING``: the object store lacks a content.
        InvalidArgument: ``INVALID_PATH``: an entry's path is not safe; nothing was written.
        ResourceExhausted: ``DISK_FULL``.
    """
    entries = store.snapshots.get(workspace_id, snapshot_id).entries if snapshot_id else ()
    _check(entries)
    # The shard folders are made by the content store; one look-up serves all entries.
    contents = objects.local_folder(f"contents/{workspace_id}/")
    stop = threading.Event()
    try:
        await _in_threads([lambda: _make_folders(work, entries)], stop)
        if contents is None:
            gate = asyncio.Semaphore(_MAX_FETCHES)
            fetches = [asyncio.ensure_future(_fetch(objects, workspace_id, entry, work, gate)) for entry in entries]
            try:
                await asyncio.gather(*fetches)
            finally:
                # None may write into a folder that somebody else goes on with.
                for fetch in fetches:
                    fetch.cancel()
                if fetches:
                    await asyncio.wait(fetches)
        elif entries:
            count = max(1, min(_MAX_THREADS, os.cpu_count() or 1, len(entries) // _FILES_PER_THREAD))
            shares = [entries[first::count] for first in range(count)]
            await _in_threads([partial(_copy, contents, share, work, stop) for share in shares], stop)
    except OSError as error:
        raise _disk_error(error, work) from error


async def _in_threads(steps: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    """Does the steps side by side.

    Threads cannot be cancelled: they are told to stop after the file they are at, and waited for, so that none writes
    into a folder that somebody else goes on with.
    """
    tasks = [asyncio.ensure_future(asyncio.to_thread(step)) for step in steps]
    work = asyncio.gather(*tasks, return_exceptions=True)
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await work
        raise
    for task in tasks:
        task.result()


def _check(entries: Sequence[SnapshotEntry]) -> None:
    """Checked when the snapshot was made; a second look costs little, and a bad path would be a catastrophe."""
    files = set()
    for entry in entries:
        if check_relative_path(entry.path, "path in a snapshot") != entry.path:
            raise InvalidArgument("INVALID_PATH", f"{entry.path!r} is not a normalised path in a snapshot.")
        files.add(entry.path)
    for path in files:
        if any(parent in files for parent in _parents(path)):
            raise InvalidArgument("INVALID_PATH", f"{path!r} lies below a file of the same snapshot.")


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _make_folders(work: Path, entries: Sequence[SnapshotEntry]) -> None:
    if work.is_symlink():
        work.unlink()
    elif work.exists():
        try:
            work.rmdir()
        except OSError:
            shutil.rmtree(work)
    work.mkdir(parents=True)
    folders = {parent for entry in entries for parent in _parents(entry.path)}
    for folder in sorted(folders):
        (work / folder).mkdir()
    for folder in STANDARD_FOLDERS:
        # A file of that name in the snapshot stays what it is.
        if folder not in folders and all(entry.path != folder for entry in entries):
            (work / folder).mkdir()


def _copy(contents: Path, entries: Sequence[SnapshotEntry], work: Path, stop: threading.Event) -> None:
    source_root, target_root = str(contents), str(work)
    for entry in entries:
        if stop.is_set():
            return
        source = f"{source_root}/{entry.sha256[:2]}/{entry.sha256}"
        try:
            _copy_file(source, f"{target_root}/{entry.path}", 0o755 if entry.executable else 0o644)
        except FileNotFoundError as error:
            raise _missing(entry) from error


def _copy_file(source: str, target: str, mode: int) -> None:
    read_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        write_fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            while chunk := os.read(read_fd, _CHUNK):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(write_fd, view) :]
        finally:
            os.close(write_fd)
    finally:
        os.close(read_fd)


async def _fetch(
    objects: ObjectStore, workspace_id: str, entry: SnapshotEntry, work: Path, gate: asyncio.Semaphore
) -> None:
    target = work / entry.path
    async with gate:
        try:
            await objects.get_file(content_key(workspace_id, entry.sha256), target)
        except NotFound as error:
            raise _missing(entry) from error
    await asyncio.to_thread(target.chmod, 0o755 if entry.executable else 0o644)


def _missing(entry: SnapshotEntry) -> LocalAmlError:
    return FailedPrecondition(
        "SNAPSHOT_CONTENT_MISSING",
        f"The content of {entry.path!r} is not in the object store any more ({entry.sha256[:12]}…): submit the run "
        "again.",
    )


def _disk_error(error: OSError, work: Path) -> LocalAmlError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceExhausted(
            "DISK_FULL", f"There is no room left for the run's files in {work}: free some, then submit again."
        )
    return FailedPrecondition("WORK_FOLDER_FAILED", f"The run's work folder could not be made: {error}.")
