"""Files in folders that a job can write to: read, written and removed without going anywhere else.

A job can put anything under any name in its run's folder, at any moment: a link to a file of this machine, a pipe that
nobody writes to, a device, a file of many gigabytes. In a container it may do so as root, and the emulator may be root
here. (What the emulator prepares for a job it writes elsewhere: `jobs.run_folders`.) So every step below a folder that
the job cannot replace (`base`: that of all runs of a workspace, which is what containers have mounted) is taken from
the folder opened before, and follows no link; only plain files are opened, and never waited for; and nothing is read
without a limit.

All functions raise OSError for what is not there, or is something else than it should be.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# To pass through a folder it need not be readable.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a file.

    Attributes:
        size_bytes: of the whole file.
        modified_ns: when it was changed for the last time.
    """

    data: bytes
    size_bytes: int
    modified_ns: int


def read(base: Path, path: Path, limit: int, *, end: bool = False) -> Content:
    """At most `limit` bytes of a plain file: its beginning, or its end."""
    file = open_plain(base, path)
    try:
        status = os.fstat(file)
        start = max(0, status.st_size - limit) if end else 0
        return Content(os.pread(file, limit, start), status.st_size, status.st_mtime_ns)
    finally:
        os.close(file)


def read_text(base: Path, path: Path, limit: int) -> str:
    """The text of a small file; empty when there is no such plain file. A longer one is cut."""
    try:
        return read(base, path, limit).data.decode(errors="replace")
    except OSError:
        return ""


def open_plain(base: Path, path: Path) -> int:
    """A descriptor for reading a plain file."""
    with folder(base, path.parent) as parent:
        return _only_plain(os.open(path.name, os.O_RDONLY | _PLAIN, dir_fd=parent), path)


def write(base: Path, path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Writes a file as a whole: what had the name, a link also, makes way, and nobody sees half of it. The folder is
    made when it is missing."""
    with folder(base, path.parent, create=True) as parent:
        part = f".{secrets.token_hex(8)}"
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, mode, dir_fd=parent)
        try:
            with os.fdopen(file, "wb") as writing:
                writing.write(data)
            try:
                os.rename(part, path.name, src_dir_fd=parent, dst_dir_fd=parent)
            except IsADirectoryError:
                _put_aside(parent, path.name)
                os.rename(part, path.name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with suppress(OSError):
                os.unlink(part, dir_fd=parent)
            raise


def open_append(base: Path, path: Path) -> int:
    """A descriptor for appending to a plain file, which is made when it is missing, as its folder is. What else has the
    name makes way."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _PLAIN
    with folder(base, path.parent, create=True) as parent:
        try:
            return _only_plain(os.open(path.name, flags, 0o644, dir_fd=parent), path)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EINVAL, errno.ENOTSUP):
                raise
        # A link, a folder, a pipe that nobody reads, a device, a socket.
        _put_aside(parent, path.name)
        return os.open(path.name, flags | os.O_EXCL, 0o644, dir_fd=parent)


def make_folder(base: Path, path: Path) -> None:
    """Makes a folder, and those above it; one that is there is fine, a link to one is not."""
    with folder(base, path, create=True):
        pass


def is_folder(base: Path, path: Path) -> bool:
    """Whether it is a folder at this very place, not a link to one."""
    try:
        with folder(base, path):
            return True
    except OSError:
        return False


def unlink(base: Path, path: Path) -> None:
    """Removes a file, or a link; a missing one is fine."""
    with suppress(FileNotFoundError), folder(base, path.parent) as parent:
        os.unlink(path.name, dir_fd=parent)


def remove_folder(base: Path, path: Path) -> None:
    """Removes a folder with what is in it, as far as that can be done; a missing one is fine."""
    with suppress(OSError), pinned(base, path) as place:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def pinned(base: Path, path: Path) -> Iterator[Path]:
    """Another path of the same, good while in use, on which nothing but the last part can be replaced."""
    with folder(base, path.parent) as parent:
        yield _DESCRIPTORS / str(parent) / path.name if _DESCRIPTORS.exists() else path


@contextmanager
def pinned_folder(base: Path, path: Path) -> Iterator[Path]:
    """Another path of a folder, for looking into it, good while in use: none that has taken its place meanwhile."""
    with folder(base, path) as descriptor:
        yield _DESCRIPTORS / str(descriptor) if _DESCRIPTORS.exists() else path


@contextmanager
def folder(base: Path, path: Path, *, create: bool = False) -> Iterator[int]:
    """A descriptor of a folder below `base`, or of `base`, for use as ``dir_fd``; not for reading."""
    current = os.open(base, (_FOLDER & ~os.O_NOFOLLOW))
    try:
        for part in _below(base, path):
            try:
                step = os.open(part, _FOLDER, dir_fd=current)
            except FileNotFoundError:
                if not create:
                    raise
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=current)
                step = os.open(part, _FOLDER, dir_fd=current)
            os.close(current)
            current = step
        yield current
    finally:
        os.close(current)


def _below(base: Path, path: Path) -> tuple[str, ...]:
    """The parts of the path below the base; the path may have the base's links resolved."""
    for root in (base, Path(os.path.realpath(base))):
        if path == root or root in path.parents:
            parts = path.relative_to(root).parts
            if ".." not in parts:
                return parts
    raise FileNotFoundError(errno.ENOENT, "leads out of its folder", str(path))


def _only_plain(file: int, path: Path) -> int:
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return file


def _put_aside(parent: int, name: str) -> None:
    os.rename(name, f"{name}.{secrets.token_hex(4)}", src_dir_fd=parent, dst_dir_fd=parent)
