"""What jobs leave in the folders for temporary files of a container, and its removal.

Folders of this machine that the container sees can lie below them (a state dir in /tmp does): nothing in those is ever
touched.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Mapping

FOLDERS = ("/dev/shm", "/tmp", "/var/tmp")  # noqa: S108
_MOUNTS = "/proc/self/mountinfo"


def clear(folders: Iterable[str] = FOLDERS, mounts: str = _MOUNTS) -> None:
    """Empties the folders, but for what is mounted below them.

    Raises OSError when it cannot be known what is mounted: then nothing is removed.
    """
    mounted = _mounted(mounts)
    for folder in map(os.path.realpath, folders):
        # One that is mounted itself is the container's own only when it is memory.
        if mounted.get(folder, "tmpfs") == "tmpfs":
            with contextlib.suppress(OSError):
                _empty(folder, mounted)


def _mounted(path: str) -> Mapping[str, str]:
    """Kinds of file systems by the places where they are mounted (see proc(5))."""
    found = {}
    with open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        for line in file:
            before, _, after = line.partition(" - ")
            # Blanks and the like are written as octal numbers.
            place = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before.split()[4])
            found[place] = after.split()[0]
    return found


def _empty(folder: str, mounted: Collection[str]) -> None:
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.path in mounted:
            continue
        with contextlib.suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                _empty(entry.path, mounted)
                # Not, when something is mounted below it.
                os.rmdir(entry.path)  # noqa: PTH106
            else:
                os.unlink(entry.path)  # noqa: PTH108
