"""Removes folders of runs, also where a job or a read-only view has taken the permission to."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(folder: Path) -> None:
    """Removes a folder with all that is in it, as far as that can be done. A missing one is fine. Follows no links: a
    link in its place is removed."""
    if folder.is_symlink() or (os.path.lexists(folder) and not folder.is_dir()):
        # A job can put one there when it sees the folder above.
        folder.unlink(missing_ok=True)
        return
    shutil.rmtree(folder, ignore_errors=True)
    if not os.path.lexists(folder):
        return
    # What is left lies in folders that may not be written to: they are the owner's, who may allow it again.
    with suppress(OSError):
        _open_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _open_all(folder: Path) -> None:
    """Gives the owner all permissions for a folder and those below. By descriptors: jobs of the workspace may put a
    link in the place of a folder at any moment."""
    above = os.open(folder.parent, _FOLDER & ~os.O_NOFOLLOW)
    try:
        _allow(folder.name, above)
        for _, folders, _, current in os.fwalk(folder.name, dir_fd=above, follow_symlinks=False):
            for name in folders:
                with suppress(OSError):
                    _allow(name, current)
    finally:
        os.close(above)


def _allow(name: str, above: int) -> None:
    try:
        file = os.open(name, _FOLDER, dir_fd=above)
    except PermissionError:
        # It cannot be opened before. Only the owner can be here, who is not root: a link leads to nothing but its own.
        os.chmod(name, 0o700, dir_fd=above)
        return
    try:
        os.fchmod(file, 0o700)
    finally:
        os.close(file)
