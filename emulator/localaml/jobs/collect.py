"""Takes what a job left into the artifact store: `logs` while it runs, `outputs` and all logs at its end.

An artifact is a fact once its row is stored, and the bytes come first; the job's own file goes last. So everything may
be done twice: an emulator that is killed at any moment leaves each file where the next one finds it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from localaml import job_files
from localaml.clock import RealClock
from localaml.domain.models import Artifact, RunKey
from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument, LocalAmlError, ResourceExhausted, Unavailable
from localaml.jobs.file_walk import FoundFile, walk_files
from localaml.jobs.remove_tree import remove_tree
from localaml.paths import RunPaths, artifact_key
from localaml.storage.digests import digest_of
from localaml.storage.taking import second_name

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.storage.object_store import ObjectInfo, ObjectStore
    from localaml.store import Store

# How often the watched folders are looked at while the job runs.
POLL_SECONDS = 0.5
# A file that is copied again and again while it grows may take this part of the time at most.
_COPY_SHARE = 0.1
_ROWS_PER_TRANSACTION = 256
_MAX_NOTES = 20
DRIVER_LOG_FOLDER = "azureml-logs"


@dataclass(slots=True)
class _Copied:
    """The state of a watched file when it was last copied."""

    size_bytes: int
    modified_ns: int
    not_before: float  # machine time: the next copy has to wait until then


class OutputCollector:
    """Collects the files of one run.

    Args:
        clock: for the stamps of artifacts.
        machine_clock: for looking again and again at folders.
        watched: folders below the work folder whose files are taken while the run goes on (and at its end).
        collect_outputs: False takes the driver logs only.
    """

    def __init__(
        self,
        *,
        key: RunKey,
        paths: RunPaths,
        store: Store,
        objects: ObjectStore,
        clock: Clock,
        machine_clock: Clock | None = None,
        watched: Sequence[str] = ("logs",),
        collect_outputs: bool = True,
    ) -> None:
        self._key = key
        self._paths = paths
        self._base = paths.root.parent
        # Where no job sees them, on the same file system.
        self._second_names = self._base.parent.parent / "marks" / key.workspace_id / key.run_id / "taken"
        self._store = store
        self._objects = objects
        self._clock = clock
        self._machine_clock = machine_clock or RealClock()
        self._watched, self._notes = _check_folders(watched) if collect_outputs else ([], [])
        self._collect_outputs = collect_outputs
        self._copied: dict[str, _Copied] = {}
        self._watcher: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to watch. Has to be called on the event loop; a second call does nothing."""
        if self._watcher is None and self._watched:
            self._watcher = asyncio.get_running_loop().create_task(self._watch(), name=f"watch {self._key.run_id}")

    async def close(self) -> None:
        """Stops watching and leaves all else as it is. Idempotent."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            await asyncio.wait({watcher})

    async def finish(self) -> list[str]:
        """Takes everything once the job's processes have ended. May be called again.

        Returns sentences on what was left out, for the run's warnings.

        Raises:
            ResourceExhausted: ``DISK_FULL``; what there was no room for is still in the run's folder.
            Unavailable: ``OBJECT_STORE_UNAVAILABLE``; as before.
        """
        await self.close()
        notes = list(self._notes)
        full: ResourceExhausted | Unavailable | None = None
        taken: set[str] = set()
        # With the second names of an emulator that was killed the files would not look like the job's alone.
        await asyncio.to_thread(remove_tree, self._second_names)
        found = await asyncio.to_thread(self._find_all, notes)
        rows: list[Artifact] = []
        sources: list[FoundFile] = []
        for name, file in found:
            if name in taken:
                continue
            taken.add(name)
            try:
                rows.append(await self._take(name, file))
                if file.movable and not name.startswith(DRIVER_LOG_FOLDER + "/"):
                    sources.append(file)
            except ResourceExhausted as error:
                full = error
            except Unavailable as error:
                # The store is away, and was waited for: not once more for each of the other files.
                full = error
                break
            except FileNotFoundError:
                continue
            except (LocalAmlError, OSError) as error:
                notes.append(f"{name}: could not be kept ({error}).")
            if len(rows) >= _ROWS_PER_TRANSACTION:
                await self._keep(rows, sources)
                rows, sources = [], []
        await self._keep(rows, sources)
        await asyncio.to_thread(remove_tree, self._second_names)
        if isinstance(full, Unavailable):
            raise full
        await self._add_lost_rows()
        if full is not None:
            raise full
        return notes if len(notes) <= _MAX_NOTES else [*notes[:_MAX_NOTES], f"… and {len(notes) - _MAX_NOTES} more."]

    # -- at the end -------------------------------------------------------------------------------------------------

    def _find_all(self, notes: list[str]) -> list[tuple[str, FoundFile]]:
        found: list[tuple[str, FoundFile]] = []
        # Driver logs last: whoever looks for the run's end in them finds the rest in place.
        folders = [*dict.fromkeys(["outputs", "logs", *self._watched])] if self._collect_outputs else []
        if folders and not self._is_own(self._paths.work, notes):
            folders = []
        for folder in folders:
            for file in walk_files(self._paths.work / folder, self._paths.work, notes, base=self._base):
                # A watched "folder" may be a file.
                is_folder = (self._paths.work / folder).is_dir()
                found.append((f"{folder}/{file.relative}" if is_folder else folder, file))
        if self._is_own(self._paths.logs, notes):
            for file in walk_files(self._paths.logs, self._paths.logs, notes, base=self._base):
                found.append((f"{DRIVER_LOG_FOLDER}/{file.relative}", file))
        # Copies before moves: a link may lead to a file that is to be moved.
        found.sort(key=lambda item: item[1].movable)
        return found

    async def _take(self, name: str, file: FoundFile) -> Artifact:
        # Nothing on the way may have become a link since it was found: others of the workspace can still do that.
        with job_files.pinned(self._base, file.path) as source:
            key = artifact_key(self._key, name)
            self._store.unfinished.note([key])
            # The job's own name stays until the row is there: those who follow a live log find it, and so does the next
            # emulator when this one is killed. What moves is a second name, which costs no room.
            second = await asyncio.to_thread(self._second_name, source) if file.movable else None
            try:
                info = await self._objects.put_file(key, second or source, move=second is not None)
            finally:
                if second is not None:
                    second.unlink(missing_ok=True)
            return self._artifact(name, info)

    def _second_name(self, source: Path) -> Path | None:
        second = self._second_names / secrets.token_hex(8)
        try:
            second.parent.mkdir(parents=True, exist_ok=True)
            return second if second_name(source, second) else None
        except OSError:
            return None

    async def _keep(self, rows: Sequence[Artifact], sources: Sequence[FoundFile]) -> None:
        """The artifacts are facts; the files that they were made of go."""
        self._put(rows)
        await asyncio.to_thread(self._remove, sources)

    def _remove(self, sources: Iterable[FoundFile]) -> None:
        for file in sources:
            with suppress(OSError):
                job_files.unlink(self._base, file.path)

    def _is_own(self, folder: Path, notes: list[str]) -> bool:
        """Whether it is where it should be: a job can put a link there, and the walk knows only what is below it."""
        if not os.path.lexists(folder) or job_files.is_folder(self._base, folder):
            return True
        notes.append(f"{folder.name}: the folder is a link or lies behind one now; nothing of it was kept.")
        return False

    async def _add_lost_rows(self) -> None:
        """Makes the rows of bytes that were stored just before an emulator was killed."""
        prefix = artifact_key(self._key, "")
        after = ""
        while infos := await self._objects.list(prefix, start_after=after):
            after = infos[-1].key
            rows = []
            for info in infos:
                name = info.key[len(prefix) :]
                if self._store.artifacts.find(self._key, name) is None:
                    info, sha256 = await digest_of(self._objects, info.key)
                    rows.append(self._artifact(name, replace(info, sha256=sha256)))
            self._put(rows)

    # -- while the job runs -----------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await self._machine_clock.sleep(POLL_SECONDS)
            # Whatever is wrong with a file now is told once, at the end.
            with suppress(LocalAmlError, OSError):
                await self._look()

    async def _look(self) -> None:
        for name, file in await asyncio.to_thread(self._changed):
            started = self._machine_clock.monotonic()
            with suppress(OSError), job_files.pinned(self._base, file.path) as pinned:
                self._store.unfinished.note([artifact_key(self._key, name)])
                info = await self._objects.put_file(artifact_key(self._key, name), pinned)
                self._put([self._artifact(name, info)])
            ended = self._machine_clock.monotonic()
            not_before = ended + (ended - started) / _COPY_SHARE
            self._copied[name] = _Copied(file.size_bytes, file.modified_ns, not_before)

    def _changed(self) -> list[tuple[str, FoundFile]]:
        changed: list[tuple[str, FoundFile]] = []
        now = self._machine_clock.monotonic()
        if not self._is_own(self._paths.work, []):
            return changed
        for folder in self._watched:
            path = self._paths.work / folder
            is_folder = path.is_dir()
            for file in walk_files(path, self._paths.work, [], base=self._base):
                name = f"{folder}/{file.relative}" if is_folder else folder
                last = self._copied.get(name)
                if last is not None and (
                    (last.size_bytes, last.modified_ns) == (file.size_bytes, file.modified_ns) or now < last.not_before
                ):
                    continue
                changed.append((name, file))
        return changed

    # -- both -------------------------------------------------------------------------------------------------------

    def _artifact(self, name: str, info: ObjectInfo) -> Artifact:
        key = artifact_key(self._key, name)
        return Artifact(self._key, name, info.size_bytes, self._clock.now(), key, info.sha256)

    def _put(self, rows: Iterable[Artifact]) -> None:
        rows = list(rows)
        if rows:
            with self._store.transaction():
                for row in rows:
                    self._store.artifacts.put(row)
                self._store.unfinished.forget(row.object_key for row in rows)


def _check_folders(watched: Sequence[str]) -> tuple[list[str], list[str]]:
    folders, notes = [], []
    for folder in watched:
        try:
            folders.append(check_relative_path(folder.rstrip("/"), "folder to watch"))
        except InvalidArgument as error:
            notes.append(f"{error.message} It is not watched.")
    return list(dict.fromkeys(folders)), notes
