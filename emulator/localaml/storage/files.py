"""Files here, as stores elsewhere read and write them. Blocks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localaml.errors import InvalidArgument, disk_full, is_disk_full
from localaml.storage.object_store import ObjectReader

_CHUNK = 1024 * 1024


class SourceFile:
    """A plain file opened for reading.

    Attributes:
        size: its size when it was opened.
        status: what it was then.
    """

    def __init__(self, file: int, status: os.stat_result) -> None:
        self._file = file
        self.size = status.st_size
        self.status = status

    def read(self, count: int) -> bytes:
        return os.read(self._file, count)


@contextmanager
def open_source(path: Path) -> Iterator[SourceFile]:
    """A file to store. Raises OSError for a link, InvalidArgument ``NOT_A_FILE`` for what is no plain file."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidArgument("NOT_A_FILE", f"{path.name!r} is not a plain file.")
        yield SourceFile(file, status)
    finally:
        os.close(file)


def copy_to_file(reader: ObjectReader, target: Path) -> None:
    """Writes an object to a file; a file that was begun goes when it cannot be completed.

    Raises ResourceExhausted ``DISK_FULL``, and what the reader raises.
    """
    buffer = memoryview(bytearray(min(_CHUNK, max(1, reader.info.size_bytes))))
    try:
        with target.open("wb", buffering=0) as out:
            offset = 0
            while offset < reader.info.size_bytes:
                count = reader.read_into(buffer, offset)
                piece = buffer[:count]
                while piece:
                    piece = piece[out.write(piece) :]
                offset += count
    except BaseException as error:
        target.unlink(missing_ok=True)
        if is_disk_full(error):
            raise disk_full() from error
        raise
