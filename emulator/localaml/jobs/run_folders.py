"""The folders of runs: prepared for an attempt, handed over to it, carried over to the next one, removed after the end.

A run's folder is prepared where no job sees it: those of the workspace's other runs can write to all that is in
`runs/<workspace id>`, as root where they are containers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from localaml import job_files
from localaml.domain.models import RunKey
from localaml.jobs.disk_reserve import DiskReserve
from localaml.jobs.job_folders import finish_hand_over, hand_over, take_along, take_out
from localaml.jobs.remove_tree import remove_tree
from localaml.paths import RunPaths, StatePaths

# What a job on AmlCompute can count on after an eviction: what it wrote there.
CARRIED = ("outputs", "logs")


class RunFolders:
    """Removes what ended runs leave.

    Args:
        reserve: is held when there is room for it.
    """

    def __init__(self, paths: StatePaths, reserve: DiskReserve) -> None:
        self._paths = paths
        self._reserve = reserve
        self._removals: set[asyncio.Future[None]] = set()

    def remove(self, key: RunKey) -> None:
        """Removes an ended run's folder, beside everything else; `settle` waits for it."""
        removal = asyncio.ensure_future(asyncio.to_thread(self._remove, key))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    async def settle(self) -> None:
        """Returns once all removals are done."""
        if self._removals:
            await asyncio.wait(set(self._removals))

    def remove_all_but(self, active: Iterable[RunKey]) -> None:
        """Removes the folders of runs that are not active, and what was being prepared: no run goes on yet."""
        keep = set(active)
        for key in keep:
            finish_hand_over(self._paths.prepared(key).root, self._paths.run(key).root)
        remove_tree(self._paths.preparing)
        remove_tree(self._paths.removing)
        # The marks, too: a kill may have come between the removal of a run's folder and that of its marks.
        found = {
            RunKey(workspace.name, folder.name)
            for place in (self._paths.runs, self._paths.marks)
            for workspace in place.glob("*")
            for folder in workspace.glob("*")
        }
        for key in found - keep:
            self._remove_folders(key)
        self._remove_empty(keep)
        self._reserve.hold()

    def _remove_empty(self, keep: Iterable[RunKey]) -> None:
        """Folders of workspaces that have no run any more."""
        workspaces = {key.workspace_id for key in keep}
        for place in (self._paths.runs, self._paths.marks):
            for folder in place.glob("*"):
                if folder.name not in workspaces:
                    with suppress(OSError):
                        folder.rmdir()

    def _remove(self, key: RunKey) -> None:
        self._remove_folders(key)
        self._reserve.hold()

    def _remove_folders(self, key: RunKey) -> None:
        remove_tree(self._paths.prepared(key).root)
        take_out(self._paths.run(key).root, self._paths.removing)
        remove_tree(self._paths.marks / key.workspace_id / key.run_id)


class RunFolder:
    """One run's folder, for one attempt.

    Attributes:
        prepared: where it is while it is prepared; no job sees it.
        is_prepared: whether it is there: not before `prepare`, nor after `hand_over`.

    Args:
        paths: of the state dir.
        attempt: counts from 1.
    """

    def __init__(self, paths: StatePaths, key: RunKey, attempt: int) -> None:
        self.prepared = paths.prepared(key)
        self.is_prepared = False
        self._place = paths.run(key)
        self._removing = paths.removing
        self._attempt = attempt
        self._is_restored = attempt == 1

    @property
    def now(self) -> RunPaths:
        """Where it is now."""
        return self.prepared if self.is_prepared else self._place

    def prepare(self) -> None:
        """Makes the empty folders. May be interrupted at any moment and called again.

        What an attempt that was evicted wrote to `CARRIED` is kept for `restore`; its logs stay, and what follows is
        appended to them.
        """
        prepared, before = self.prepared, self._place
        remove_tree(prepared.root)
        for folder in (prepared.work, prepared.control, prepared.tmp, prepared.mounts):
            folder.mkdir(parents=True)
        if self._attempt > 1:
            # Of this attempt's own, if it has begun before: its processes may have changed what they were given.
            carried = before.root / self._carried.name
            if not job_files.is_folder(before.root.parent, carried):
                carried = before.work
            for name in CARRIED:
                take_along(before.root.parent, carried / name, self._carried / name)
            take_along(before.root.parent, before.logs, prepared.logs)
        prepared.logs.mkdir(exist_ok=True)
        self.is_prepared = True

    def restore(self) -> None:
        """Puts what was carried over into the work folder, over what the snapshot has there.

        It stays beside it until `forget_carried`: an emulator that is killed before the processes have started begins
        again from there.
        """
        for name in CARRIED if not self._is_restored else ():
            take_along(self._carried, self._carried / name, self.prepared.work / name)
        self._is_restored = True

    def hand_over(self) -> None:
        """Gives the folder to the run's processes. What was there goes. Does nothing when that was done, or when there
        is nothing to give.

        Raises FailedPrecondition ``RUN_FOLDER_TAKEN``, OSError.
        """
        if self.is_prepared:
            # Also a run that ends before its processes have started has what it wrote before.
            self.restore()
            hand_over(self.prepared.root, self._place.root, self._removing)
            self.is_prepared = False

    def forget_carried(self) -> None:
        """The processes have started: the files are theirs now."""
        if self._attempt > 1:
            base, carried = self._place.root.parent, self._place.root / self._carried.name
            job_files.remove_folder(base, carried)

    @property
    def _carried(self) -> Path:
        return self.prepared.root / f"carried-{self._attempt}"
