"""A mount of a datastore whose store has no folders here: a local view that is synchronised.

What a job may rely on (`docs/storage.md` says it to users):

    before the start   everything below the mounted path is there, as it was when the run was prepared.
    while it runs      what it writes, changes or removes reaches the store every `PUSH_SECONDS`, file by file, each
                       whole; a file that keeps growing less often. What others write to the store is not seen.
    at its end         all of it is in the store before the run's end is told, however it ended.
    several writers    of one object: the last one to push wins. Files that a job did not touch are never pushed, so
                       they undo nobody's work; only what it saw and removed is removed.
    artifacts of runs  can be read in it; what a job changes or removes there stays in the view.

One view serves all nodes of a run and all its references to a datastore. What was synchronised stands in an index in
the run's folder, so that an emulator that comes back goes on where the last one was.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from localaml import job_files
from localaml.errors import FailedPrecondition, LocalAmlError, NotFound, ResourceExhausted, Unavailable
from localaml.jobs.file_walk import FoundFile, walk_files
from localaml.paths import ARTIFACTS, is_for_artifacts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localaml.clock import Clock
    from localaml.paths import RunPaths
    from localaml.storage.object_store import ObjectInfo, ObjectStore

PUSH_SECONDS = 5.0
# A file that is pushed again and again while it grows may take this part of the time at most.
_PUSH_SHARE = 0.2
_PARALLEL = 8
# Of a pull, for an object that is replaced again and again while it is read.
_ATTEMPTS = 5
# Not one file, but the whole store does not take anything any more.
_REFUSED = ("OBJECT_STORE_DENIED", "OBJECT_STORE_REFUSED")
_INDEX_BYTES = 64 * 1024 * 1024
# A file system tells times no finer: what was written so shortly before may have changed unseen.
_TICK_NS = 50_000_000
_T = TypeVar("_T")


@dataclass(slots=True)
class _Synced:
    """A local file as it was when the store had the same."""

    size_bytes: int
    modified_ns: int


class MountView:
    """One datastore, in a folder of the run.

    Args:
        prefix: keys of the datastore begin with it; ends with `/`.
        folder: the view.
        index: file that keeps what was synchronised.
        machine_clock: machine time.
    """

    def __init__(self, objects: ObjectStore, prefix: str, folder: Path, index: Path, machine_clock: Clock) -> None:
        self.folder = folder
        self._objects = objects
        self._prefix = prefix
        self._index = index
        # The folder above the run's: the run's processes cannot replace it.
        self._base = index.parents[2]
        self._clock = machine_clock
        self._synced: dict[str, _Synced] = {}
        self._not_before: dict[str, float] = {}
        self._pusher: asyncio.Task[None] | None = None

    def move(self, folder: Path, index: Path) -> None:
        """Both are elsewhere now, with all that is in them."""
        self.folder, self._index, self._base = folder, index, index.parents[2]

    # -- before the job -----------------------------------------------------------------------------------------------

    async def pull(self, source: str) -> list[str]:
        """Brings the object `source`, or all below it, into the view. Returns notes for the run's warnings.

        Raises Unavailable, ResourceExhausted ``DISK_FULL``.
        """
        notes: list[str] = []
        self.folder.mkdir(parents=True, exist_ok=True)

        async def fetch(info: ObjectInfo) -> None:
            relative = info.key[len(self._prefix) :]
            target = self.folder / relative
            try:
                await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
                await self._get(info.key, target)
            except NotFound:
                return  # removed just now
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                notes.append(f"{relative}: was left out of the mount, it would be a file and a folder at once.")
                return
            modified_ns = int(info.modified_at.timestamp() * 1e9)
            # A time that the system cannot say is left alone.
            with suppress(OSError, OverflowError):
                os.utime(target, ns=(modified_ns, modified_ns))
            # What it has become: file systems know fewer times than stores can tell.
            status = target.stat()
            self._synced[relative] = _Synced(status.st_size, status.st_mtime_ns)

        await _in_parallel(fetch, self._found(source))
        await asyncio.to_thread(self._save)
        return notes

    async def _get(self, key: str, target: Path) -> None:
        """Fetches an object; one that somebody replaces at that moment is fetched again, a few times."""
        for attempt in range(_ATTEMPTS):
            try:
                return await self._objects.get_file(key, target)
            except FailedPrecondition as error:
                if error.reason != "OBJECT_REPLACED" or attempt == _ATTEMPTS - 1:
                    raise

    async def _found(self, source: str) -> AsyncIterator[ObjectInfo]:
        if source:
            with suppress(NotFound):
                yield await self._objects.stat(self._prefix + source)
        below = f"{self._prefix}{source}/" if source else self._prefix
        after = ""
        while page := await self._objects.list(below, start_after=after):
            for info in page:
                if info.key[len(self._prefix) :] not in self._synced:
                    yield info
            after = page[-1].key

    def adopt(self) -> None:
        """Takes up what the last emulator knew of the view."""
        try:
            known = json.loads(job_files.read(self._base, self._index, _INDEX_BYTES).data)
            self._synced = {str(path): _Synced(int(size), int(time)) for path, (size, time) in known.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            # Without it everything counts as changed: it is pushed once more.
            self._synced = {}

    # -- while it runs ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to push on a period; a second call does nothing."""
        if self._pusher is None:
            self._pusher = asyncio.get_running_loop().create_task(self._push_again_and_again(), name="push a mount")

    async def close(self) -> None:
        """Ends that; leaves all else as it is. Idempotent."""
        pusher, self._pusher = self._pusher, None
        if pusher is not None:
            pusher.cancel()
            await asyncio.wait({pusher})

    async def _push_again_and_again(self) -> None:
        while True:
            await self._clock.sleep(PUSH_SECONDS)
            # What cannot be pushed now is told at the end, when it still cannot.
            with suppress(LocalAmlError, OSError):
                await self._push(final=False)

    async def finish(self) -> list[str]:
        """Pushes all that is still to be pushed; may be called again. Returns notes for the run's warnings.

        Raises Unavailable, ResourceExhausted ``DISK_FULL``, PermissionDenied ``OBJECT_STORE_DENIED`` and
        FailedPrecondition ``OBJECT_STORE_REFUSED``: what could not be pushed is still in the view.
        """
        await self.close()
        return await self._push(final=True)

    async def _push(self, *, final: bool) -> list[str]:
        notes: list[str] = []
        changed, removed = await asyncio.to_thread(self._look, notes, final)

        async def push(found: FoundFile) -> None:
            # Looked up before: what changes meanwhile is seen as changed the next time.
            begun, begun_ns = self._clock.monotonic(), int(self._clock.now().timestamp() * 1e9)
            try:
                with job_files.pinned(self._base, found.path) as pinned:
                    await self._objects.put_file(self._prefix + found.relative, pinned)
            except FileNotFoundError:
                return
            except (Unavailable, ResourceExhausted):
                raise
            except (LocalAmlError, OSError) as error:
                if isinstance(error, LocalAmlError) and error.reason in _REFUSED:
                    raise
                notes.append(f"{found.relative}: could not be written to the datastore ({error}).")
                return
            # Also of the future, where the clock was set back: what is written next has another stamp.
            settled = final or abs(begun_ns - found.modified_ns) > _TICK_NS
            self._synced[found.relative] = _Synced(found.size_bytes if settled else -1, found.modified_ns)
            ended = self._clock.monotonic()
            self._not_before[found.relative] = ended + (ended - begun) / _PUSH_SHARE

        async def remove(relative: str) -> None:
            await self._objects.delete(self._prefix + relative)
            del self._synced[relative]

        try:
            # First what goes: a folder may have taken the place of a file.
            await _in_parallel(remove, _each(removed))
            await _in_parallel(push, _each(changed))
        finally:
            if changed or removed:
                await asyncio.to_thread(self._save)
        return notes

    def _look(self, notes: list[str], final: bool) -> tuple[list[FoundFile], list[str]]:
        now = self._clock.monotonic()
        changed: list[FoundFile] = []
        present = set()
        refused = 0
        if not job_files.is_folder(self._base, self.folder):
            notes.append(f"{self.folder.name}: the mount was replaced by a link or removed; nothing of it was kept.")
            return [], []
        for found in walk_files(self.folder, self.folder, notes, base=self._base):
            present.add(found.relative)
            last = self._synced.get(found.relative)
            if last is not None and (last.size_bytes, last.modified_ns) == (found.size_bytes, found.modified_ns):
                continue
            if self._is_artifact(found.relative):
                refused += 1
            elif final or now >= self._not_before.get(found.relative, now):
                changed.append(found)
        gone = [path for path in self._synced if path not in present and not os.path.lexists(self.folder / path)]
        removed = [path for path in gone if not self._is_artifact(path)]
        if refused:
            notes.append(artifacts_kept("Mount of a datastore", refused))
        return changed, removed

    def _is_artifact(self, relative: str) -> bool:
        return is_for_artifacts(*f"{self._prefix}{relative}".split("/", 2))

    def _save(self) -> None:
        synced = {path: (each.size_bytes, each.modified_ns) for path, each in list(self._synced.items())}
        job_files.write(self._base, self._index, json.dumps(synced).encode())


class MountViews:
    """The views of one run.

    Args:
        paths: of the run; the views lie in its folder, their indexes in `control`.
    """

    def __init__(self, objects: ObjectStore, paths: RunPaths, machine_clock: Clock) -> None:
        self._objects = objects
        self._paths = paths
        self._clock = machine_clock
        self._views: dict[str, MountView] = {}

    async def mount(self, prefix: str, source: str, *, adopt: bool, notes: list[str]) -> Path:
        """The folder that stands for a datastore, with what lies at `source` (empty: all) in it."""
        view = self._views.get(prefix)
        if view is None:
            folder, index = self._place(prefix, len(self._views))
            view = self._views[prefix] = MountView(self._objects, prefix, folder, index, self._clock)
            if adopt:
                view.adopt()
        if not adopt:
            notes += await view.pull(source)
        return view.folder

    def move(self, paths: RunPaths) -> None:
        """The run's folder is elsewhere now."""
        self._paths = paths
        for number, (prefix, view) in enumerate(self._views.items()):
            view.move(*self._place(prefix, number))

    def _place(self, prefix: str, number: int) -> tuple[Path, Path]:
        """Folder and index of a view."""
        folder = (self._paths.root / "views").joinpath(*prefix.strip("/").split("/"))
        return folder, self._paths.control / f"mount-{number}.json"

    def start(self) -> None:
        """See `MountView.start`."""
        for view in self._views.values():
            view.start()

    async def close(self) -> None:
        """See `MountView.close`."""
        for view in self._views.values():
            await view.close()

    async def finish(self) -> list[str]:
        """See `MountView.finish`."""
        return [note for view in list(self._views.values()) for note in await view.finish()]


def artifacts_kept(what: str, count: int) -> str:
    """The sentence about files that a job wanted to write where the artifacts of runs are."""
    return (
        f"{what}: {count} file(s) were not written: {ARTIFACTS!r} of the workspace's default datastore holds the "
        "artifacts of runs, which jobs can read and not change. Use another folder, or ./outputs."
    )


async def _each(items: Iterable[_T]) -> AsyncIterator[_T]:
    for item in items:
        yield item


async def _in_parallel(action: Callable[[_T], Awaitable[None]], items: AsyncIterator[_T]) -> None:
    """Does `action` with each item, a few at a time; the first error ends it, once those under way have ended."""
    running: set[asyncio.Future[None]] = set()
    try:
        async for item in items:
            if len(running) >= _PARALLEL:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
            running.add(asyncio.ensure_future(action(item)))
        await asyncio.gather(*running)
    finally:
        for each in running:
            each.cancel()
        if running:
            await asyncio.wait(running)
