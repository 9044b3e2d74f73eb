"""Files below one folder, reached without ever following a symbolic link.

Jobs write into the folders of datastores; one of them could leave a link to a file outside, or swap a folder for a link
while we look. So every step down is an `openat` with ``O_NOFOLLOW``, relative to the folder already opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from localaml.errors import FailedPrecondition, NotFound

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What a link, or a file in the place of a folder, gives.
_NOT_A_FOLDER = (errno.ENOTDIR, errno.ELOOP, errno.EMLINK)


def not_found(key: str, why: str = "") -> NotFound:
    """The error for a key without an object."""
    return NotFound("OBJECT_NOT_FOUND", f"There is no object {key!r}{why}.", {"key": key})


def conflict(key: str, part: str, what: str) -> FailedPrecondition:
    """The error for a key that does not fit to what is there."""
    return FailedPrecondition(
        "OBJECT_PATH_CONFLICT",
        f"{key!r} cannot be stored: {part!r} is {what} already. Use another name, or remove that first.",
        {"key": key, "conflict": part},
    )


class SafeTree:
    """The files below `root`. All calls block.

    Args:
        folder_mode: the rights of a new folder, by the parts of its path below the root.
    """

    def __init__(self, root: Path, folder_mode: Callable[[Sequence[str]], int] = lambda _: 0o755) -> None:
        self.root = root
        self._folder_mode = folder_mode

    @contextmanager
    def folder(self, parts: Sequence[str], *, create: bool = False, key: str = "") -> Iterator[int]:
        """A file descriptor of a folder, for the time of the context.

        Args:
            create: make what is missing.
            key: the key that errors name.

        Raises:
            NotFound: it, or a folder above it, is missing or is something else (without `create`).
            FailedPrecondition: something else has the name (with `create`).
        """
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for depth in range(len(parts)):
                try:
                    below = self._step(fd, parts[: depth + 1], create)
                except OSError as error:
                    at = "/".join(parts[: depth + 1])
                    if error.errno == errno.ENOENT:
                        raise not_found(key or at) from None
                    if error.errno in _NOT_A_FOLDER:
                        if create:
                            raise conflict(key or at, at, "a file or a link") from None
                        raise not_found(key or at) from None
                    raise
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    def _step(self, fd: int, parts: Sequence[str], create: bool) -> int:
        part = parts[-1]
        # A folder may be removed between mkdir and open; then it is made once more.
        for _ in range(3):
            try:
                return os.open(part, _FOLDER, dir_fd=fd)
            except FileNotFoundError:
                if not create:
                    raise
                with suppress(FileExistsError):
                    os.mkdir(part, self._folder_mode(parts), dir_fd=fd)
        return os.open(part, _FOLDER, dir_fd=fd)

    def open_file(self, key: str) -> tuple[int, os.stat_result]:
        """A file descriptor for reading, to be closed by the caller, and its status.

        Raises:
            NotFound: there is none, or it is a link, a folder, a pipe or a device.
        """
        *folders, name = key.split("/")
        with self.folder(folders, key=key) as fd:
            try:
                # O_NONBLOCK: a named pipe must not make us wait.
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    raise not_found(key) from None
                if error.errno in (errno.ELOOP, errno.EMLINK):
                    raise not_found(
                        key, ": the file of this name is a symbolic link, which is never followed"
                    ) from None
                if error.errno in (errno.ENXIO, errno.ENOTDIR):
                    raise not_found(key) from None
                raise
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            os.close(file)
            raise not_found(key)
        return file, status

    def stat_file(self, key: str) -> os.stat_result:
        """The status of a file. Raises NotFound as `open_file`."""
        *folders, name = key.split("/")
        with self.folder(folders, key=key) as fd:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                raise not_found(key) from None
        if not stat.S_ISREG(status.st_mode):
            raise not_found(key)
        return status

    def move_in(self, source: Path, key: str, *, durable: bool) -> os.stat_result:
        """Renames a file of the same file system to a key, replacing an older file. Raises FailedPrecondition."""
        *folders, name = key.split("/")
        with self.folder(folders, create=True, key=key) as fd:
            try:
                os.rename(source, name, dst_dir_fd=fd)
            except (IsADirectoryError, NotADirectoryError):
                try:
                    os.rmdir(name, dir_fd=fd)  # an empty folder is nothing
                    os.rename(source, name, dst_dir_fd=fd)
                except OSError as error:
                    if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR):
                        raise conflict(key, key, "a folder") from None
                    raise
            if durable:
                os.fsync(fd)
            return os.stat(name, dir_fd=fd, follow_symlinks=False)

    def remove(self, key: str) -> bool:
        """Removes a file (or a link, not what it points to); tells whether there was one."""
        *folders, name = key.split("/")
        try:
            with self.folder(folders, key=key) as fd:
                os.unlink(name, dir_fd=fd)
        except (NotFound, FileNotFoundError, IsADirectoryError, PermissionError):
            return False
        return True
