"""Whole folders on their way to jobs and back: where a job can write, others may be writing at the same time.

What the emulator prepares lies where no job sees it, and gets its place among the folders of the workspace's runs in
one step. A folder that a job has ever seen is never taken for our own again, wherever it is moved: who has it open goes
on in it. So it is read as `job_files` reads, and what is wanted of it becomes part of a new one, file by file.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from localaml import job_files
from localaml.errors import FailedPrecondition
from localaml.jobs.remove_tree import remove_tree

# Whoever puts something in our way has to be faster so many times in a row.
_TRIES = 200
_IN_THE_WAY = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def hand_over(prepared: Path, place: Path, removing: Path) -> None:
    """Gives a prepared folder its place; whatever has the name there goes (see `take_out`).

    Raises FailedPrecondition ``RUN_FOLDER_TAKEN`` when somebody puts something there again and again, OSError.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with job_files.folder(place.parent, place.parent) as parent:
        for _ in range(_TRIES):
            try:
                # An empty folder makes way by itself; a link is not followed.
                os.rename(prepared, place.name, dst_dir_fd=parent)
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    raise
            else:
                return
            take_out(place, removing)
    raise FailedPrecondition(
        "RUN_FOLDER_TAKEN",
        f"Another job of the workspace keeps putting something in the place of the run's folder {place.name}: "
        "cancel that job, then submit again.",
        {"run_id": place.name},
    )


def finish_hand_over(prepared: Path, place: Path) -> None:
    """Does the last step of a `hand_over` in which an emulator was killed: what had the name has gone, and the prepared
    folder has what was carried over from it. Otherwise nothing happens."""
    if not os.path.lexists(place) and any(prepared.glob("carried-*")):
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError), job_files.folder(place.parent, place.parent) as parent:
            os.rename(prepared, place.name, dst_dir_fd=parent)


def take_out(place: Path, removing: Path) -> None:
    """Removes what has a name among the folders of a workspace's runs. The name is free at once. A missing one is fine.

    Args:
        removing: a folder that no job sees, on the same file system; what cannot be removed stays there.
    """
    removing.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = removing / secrets.token_hex(8)
    with suppress(FileNotFoundError), job_files.folder(place.parent, place.parent) as parent:
        try:
            os.rename(place.name, new, src_dir_fd=parent)
        except PermissionError:
            # A folder that its owner has closed cannot leave the folder above; another name it can get.
            new = place.with_name(f"aside-{new.name}")
            os.rename(place.name, new.name, src_dir_fd=parent, dst_dir_fd=parent)
        remove_tree(new)


def take_along(base: Path, source: Path, target: Path) -> None:
    """Makes the plain files and links below `source` part of a folder of ours, with the same inner folders; what is
    there already under a name makes way. A missing source is fine; pipes, sockets and devices stay behind.

    A file gets a second name, which costs nothing however large it is.

    Args:
        base: see `job_files`; `source` lies below it.
        target: nobody else may see it.
    """
    with suppress(FileNotFoundError, NotADirectoryError), job_files.folder(base, source) as top:
        # The kernel is asked for each folder by the one above, and no link is followed on the way.
        for current, folders, files, descriptor in os.fwalk(".", dir_fd=top):
            into = target / current
            _make_way(into, for_folder=True)
            into.mkdir(parents=True, exist_ok=True)
            for name in (*files, *folders):
                with suppress(FileNotFoundError):
                    _take(name, descriptor, into / name)


def _take(name: str, above: int, target: Path) -> None:
    status = os.stat(name, dir_fd=above, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        leads_to = os.readlink(name, dir_fd=above)
        _make_way(target)
        target.symlink_to(leads_to)
    elif stat.S_ISREG(status.st_mode):
        _make_way(target)
        try:
            os.link(name, target, src_dir_fd=above, follow_symlinks=False)
        except OSError:
            _copy(name, above, target)


def _copy(name: str, above: int, target: Path) -> None:
    """For file systems without second names, and files of others."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
    with os.fdopen(file, "rb") as reading, target.open("xb") as writing:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return
        shutil.copyfileobj(reading, writing)
        os.fchmod(writing.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
        os.utime(writing.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _make_way(target: Path, *, for_folder: bool = False) -> None:
    if target.is_dir() and not target.is_symlink():
        if not for_folder:
            shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
