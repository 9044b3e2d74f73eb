"""The folders of runs: made for an attempt, carried over to the next one, removed after the end."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from localaml.domain.models import RunKey
from localaml.jobs.disk_reserve import DiskReserve
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
        """Removes the folders of runs that are not active."""
        keep = set(active)
        for workspace in self._paths.runs.glob("*"):
            for folder in workspace.glob("*"):
                if RunKey(workspace.name, folder.name) not in keep:
                    self._remove_folders(RunKey(workspace.name, folder.name))
        self._reserve.hold()

    def _remove(self, key: RunKey) -> None:
        self._remove_folders(key)
        self._reserve.hold()

    def _remove_folders(self, key: RunKey) -> None:
        remove_tree(self._paths.run(key).root)
        remove_tree(self._paths.marks / key.workspace_id / key.run_id)


def make_folders(paths: RunPaths, attempt: int) -> None:
    """Makes the empty folders of an attempt at a run.

    What an attempt that was evicted wrote to `CARRIED` is set aside, for `restore_carried`; its logs stay, and what
    follows is appended to them. May be interrupted at any moment and called again.
    """
    if attempt == 1:
        remove_tree(paths.root)
    else:
        kept = _kept(paths, attempt)
        if not kept.exists():
            part = kept.with_name(f"{kept.name}.part")
            part.mkdir(exist_ok=True)
            for name in CARRIED:
                folder = paths.work / name
                if folder.is_dir() and not folder.is_symlink() and not (part / name).exists():
                    folder.rename(part / name)
            part.rename(kept)
        for entry in paths.root.iterdir():
            if entry not in (kept, paths.logs):
                remove_tree(entry)
    for folder in (paths.work, paths.logs, paths.control, paths.tmp, paths.mounts):
        folder.mkdir(parents=True, exist_ok=True)


def restore_carried(paths: RunPaths, attempt: int) -> None:
    """Puts what was set aside into the work folder, over what the snapshot has there.

    The set-aside files stay until `forget_carried`: an emulator that is killed before the processes have started begins
    again from them.
    """
    kept = _kept(paths, attempt)
    for name in CARRIED:
        if (kept / name).is_dir() and not (kept / name).is_symlink():
            shutil.copytree(kept / name, paths.work / name, symlinks=True, dirs_exist_ok=True, copy_function=_link)


def forget_carried(paths: RunPaths, attempt: int) -> None:
    """The processes have started: the files are theirs now."""
    if attempt > 1:
        remove_tree(_kept(paths, attempt))


def _kept(paths: RunPaths, attempt: int) -> Path:
    return paths.root / f"carried-{attempt}"


def _link(source: str, target: str) -> str:
    """A second name costs nothing, however large the checkpoint is. Nobody writes to it before the first one goes."""
    with suppress(FileNotFoundError):
        Path(target).unlink()
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target
