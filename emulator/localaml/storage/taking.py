"""How a file becomes an object of plain files: at each instant its bytes have the old name, the new one, or both."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from localaml.errors import InvalidArgument

_CHUNK = 1024 * 1024
# The kernel cannot copy on this system, or not between these two file systems.
_NO_KERNEL_COPY = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
# Another file system, one without second names, a file of another user (which the kernel may protect), or a folder.
_NO_SECOND_NAME = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP)


def second_name(source: Path, target: Path) -> bool:
    """Gives a file another name, without copying it. False where that cannot be done."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_SECOND_NAME:
            return False
        raise
    return True


def check_same(path: Path, opened: os.stat_result, source: Path) -> None:
    """Raises InvalidArgument ``NOT_A_FILE`` when another file than the opened one has the name `path`."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        found = None
    if found is None or not os.path.samestat(found, opened):
        raise InvalidArgument("NOT_A_FILE", f"{source.name!r} was replaced while it was stored: store it again.")


def let_go(source: Path, opened: os.stat_result) -> None:
    """Removes a file's old name; what has taken its place meanwhile stays."""
    with suppress(FileNotFoundError):
        if os.path.samestat(source.lstat(), opened):
            source.unlink()


def sync(path: Path) -> None:
    """Waits until a file's bytes are on the medium."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex digits."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def copy_open_file(file: int, target: Path, size: int, mode: int) -> None:
    """Copies an open file's first `size` bytes: all that it had when it was opened, as it may be growing.

    Args:
        mode: rights of the new file, whatever the umask; what was there keeps its own.
    """
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(out, "wb", buffering=0) as writing:
        offset = 0
        while offset < size:
            try:
                count = os.copy_file_range(file, writing.fileno(), size - offset, offset)
            except (AttributeError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in _NO_KERNEL_COPY:
                    raise
                data = os.pread(file, _CHUNK, offset)
                count = len(data)
                while data:
                    data = data[writing.write(data) :]
            if count == 0:
                return
            offset += count
