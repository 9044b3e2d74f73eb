"""Room on the disk that is kept free for the emulator's own records.

A job may fill the disk. Then nothing could be noted any more: neither that it has failed nor that its nodes are free
again, and it is just its folder, which goes with its end, that fills the disk. So a file holds some room from the
start, and gives it up when a run ends on a full disk.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

# Hundreds of records, and the logs of many a run.
RESERVE_BYTES = 4 * 1024 * 1024
# The file is made (again) when this many times as much is free.
_PLENTY = 4


class DiskReserve:
    """The room, in bytes, on the file system of a state dir."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def hold(self) -> None:
        """Takes the room, where there is plenty. On file systems that cannot set room aside, nothing is held."""
        with suppress(OSError):
            if self._path.exists() or shutil.disk_usage(self._path.parent).free < _PLENTY * self._size:
                return
            with self._path.open("wb") as file:
                try:
                    os.posix_fallocate(file.fileno(), 0, self._size)
                except OSError:
                    self._path.unlink()
                    raise

    def ease(self) -> None:
        """Gives the room up when the disk is full; costs a look at the disk."""
        with suppress(OSError):
            if shutil.disk_usage(self._path.parent).free < self._size // 2:
                self._path.unlink()
