"""`DiskStore`: objects are plain files below one folder, the key is the path."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument, NotFound, disk_full, is_disk_full
from localaml.storage.file_modes import close_folders, file_mode, folder_mode
from localaml.storage.listing import info_of, list_files
from localaml.storage.object_store import ObjectInfo
from localaml.storage.safe_tree import SafeTree
from localaml.storage.taking import check_same, copy_open_file, let_go, second_name, sha256_of, sync

_CHUNK = 1024 * 1024
# A larger artifact is left to the operating system to write out: waiting for it would take longer than sending it did.
# It survives the death of the emulator all the same, only not that of the machine within the next half minute.
_MAX_SYNC_BYTES = 64 * 1024 * 1024


def check_key(key: str) -> str:
    """Returns `key` when it is a clean relative path. Raises InvalidArgument ``INVALID_PATH``."""
    if check_relative_path(key, "key") != key:
        raise InvalidArgument("INVALID_PATH", f"{key[:64]!r} cannot be used as a key: it is not in its shortest form.")
    return key


@contextmanager
def _full_disk_is_an_error_of_ours() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise disk_full() from error
        raise


class DiskStore:
    """An `ObjectStore` on a local file system.

    Objects are written in `incoming` and renamed into place. What a crash left in `incoming` is removed here: only one
    store may use the two folders (the lock of the state dir sees to that).

    Args:
        root: the folder of the objects.
        incoming: a folder on the same file system.
    """

    def __init__(self, root: Path, incoming: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        close_folders(root)
        if incoming.exists():
            shutil.rmtree(incoming)
        incoming.mkdir(mode=0o700, parents=True)
        self._tree = SafeTree(root, folder_mode)
        self._incoming = incoming

    # -- one object ---------------------------------------------------------------------------------------------------

    async def open_writer(self, key: str) -> DiskWriter:
        return self.new_writer(key)

    def new_writer(self, key: str) -> DiskWriter:
        """`open_writer` for threads."""
        return DiskWriter(self._tree, self._new_file(), check_key(key))

    async def open_reader(self, key: str) -> FileReader:
        return FileReader(check_key(key), *self._tree.open_file(key))

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        reader = await self.open_reader(key)
        try:
            end = reader.info.size_bytes if end is None else end
            while start < end:
                data = await asyncio.to_thread(reader.read, start, min(_CHUNK, end - start))
                if not data:
                    return
                start += len(data)
                yield data
        finally:
            reader.close()

    async def stat(self, key: str) -> ObjectInfo:
        return info_of(key, self._tree.stat_file(check_key(key)))

    async def stat_many(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        return await asyncio.to_thread(self._stat_many, [check_key(key) for key in keys])

    async def put_file(self, key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        return await asyncio.to_thread(self._put_file, check_key(key), source, move)

    async def get_file(self, key: str, target: Path) -> None:
        await asyncio.to_thread(self._get_file, check_key(key), target)

    async def copy(self, source: str, key: str) -> ObjectInfo:
        return await asyncio.to_thread(self._copy_object, check_key(source), check_key(key))

    async def delete(self, key: str) -> None:
        self._tree.remove(check_key(key))

    # -- many objects -------------------------------------------------------------------------------------------------

    async def list(self, prefix: str, start_after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        return await asyncio.to_thread(list_files, self._tree, prefix, start_after, limit)

    async def delete_prefix(self, prefix: str) -> int:
        return await asyncio.to_thread(self._delete_prefix, prefix)

    def local_folder(self, prefix: str) -> Path | None:
        folder = check_key(prefix.removesuffix("/"))
        with self._tree.folder(folder.split("/"), create=True):
            return self._tree.root / folder

    # -- the same, in a thread ----------------------------------------------------------------------------------------

    def _new_file(self) -> Path:
        return self._incoming / uuid.uuid4().hex

    def _stat_many(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        found = {}
        for key in keys:
            with suppress(NotFound):
                found[key] = info_of(key, self._tree.stat_file(key))
        return found

    def _put_file(self, key: str, source: Path, move: bool) -> ObjectInfo:
        file = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise InvalidArgument("NOT_A_FILE", f"{source.name!r} is not a plain file.")
            durable = _durable(key, status.st_size)
            temporary = self._new_file()
            try:
                with _full_disk_is_an_error_of_ours():
                    if move and second_name(source, temporary):
                        check_same(temporary, status, source)
                    else:
                        copy_open_file(file, temporary, status.st_size, file_mode(key))
                        if move:
                            check_same(source, status, source)
                    if durable:
                        sync(temporary)
                    sha256 = sha256_of(temporary)
                    info = info_of(key, self._tree.move_in(temporary, key, durable=durable), sha256)
            finally:
                # After an error; or when the object was this very file before: then the rename has done nothing.
                temporary.unlink(missing_ok=True)
            if move:
                # Last of all: whoever is killed before this finds the file where it was.
                let_go(source, status)
            return info
        finally:
            os.close(file)

    def _get_file(self, key: str, target: Path) -> None:
        file, status = self._tree.open_file(key)
        try:
            with _full_disk_is_an_error_of_ours():
                copy_open_file(file, target, status.st_size, 0o666)
        finally:
            os.close(file)

    def _copy_object(self, source: str, key: str) -> ObjectInfo:
        # No hard link: a job that has the source mounted could write into both.
        file, status = self._tree.open_file(source)
        temporary = self._new_file()
        try:
            durable = _durable(key, status.st_size)
            with _full_disk_is_an_error_of_ours():
                copy_open_file(file, temporary, status.st_size, file_mode(key))
                if durable:
                    sync(temporary)
                return info_of(key, self._tree.move_in(temporary, key, durable=durable))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)

    def _delete_prefix(self, prefix: str) -> int:
        count = 0
        if prefix.endswith("/"):
            # The whole folder leaves its place in one step, then goes.
            *above, name = check_key(prefix[:-1]).split("/")
            trash = self._new_file()
            try:
                with self._tree.folder(above) as fd:
                    if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                        return 0
                    os.rename(name, trash, src_dir_fd=fd)
            except (FileNotFoundError, NotFound):
                return 0
            count = sum(len(files) for _, _, files in os.walk(trash))
            shutil.rmtree(trash)
            return count
        while found := list_files(self._tree, prefix, "", 1000):
            count += sum(self._tree.remove(info.key) for info in found)
        return count


class DiskWriter:
    """An `ObjectWriter` into a file of `incoming`."""

    def __init__(self, tree: SafeTree, path: Path, key: str) -> None:
        self._tree = tree
        self._path = path
        self._key = key
        self._size = 0
        # A caller may be cancelled while a thread still writes for it: the file stays open until that thread is done.
        self._lock = threading.Lock()
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, file_mode(key))

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await asyncio.to_thread(self.write_blocking, data)

    def write_blocking(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        with self._lock, _full_disk_is_an_error_of_ours():
            assert self._file is not None, "written after its end"
            while view:
                written = os.write(self._file, view)
                self._size += written
                view = view[written:]

    async def commit(self) -> ObjectInfo:
        return await asyncio.to_thread(self.commit_blocking)

    def commit_blocking(self) -> ObjectInfo:
        """`commit` for threads."""
        with self._lock, _full_disk_is_an_error_of_ours():
            assert self._file is not None, "ended twice"
            durable = _durable(self._key, self._size)
            if durable:
                os.fsync(self._file)
            info = info_of(self._key, self._tree.move_in(self._path, self._key, durable=durable))
            self._close()
        return info

    async def discard(self) -> None:
        self.discard_blocking()

    def discard_blocking(self) -> None:
        """`discard` for threads."""
        with self._lock:
            if self._file is not None:
                self._close()
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class FileReader:
    """An `ObjectReader` of an open file, which it closes."""

    is_at_hand = True

    def __init__(self, key: str, file: int, status: os.stat_result) -> None:
        self._file = file
        self.info = info_of(key, status)
        # Times alone are too coarse (4 ms). A new object is a new file, made while the old one is still there.
        self.version = f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on."""
        return os.pread(self._file, count, offset)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        return os.preadv(self._file, [buffer], offset)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def open_plain_file(path: Path) -> FileReader:
    """A reader of a file outside the store. Raises NotFound for a link or anything else that is not a plain file."""
    return FileReader(path.name, *SafeTree(path.parent).open_file(path.name))


def _durable(key: str, size: int) -> bool:
    """Whether to wait until the bytes are on the medium.

    A content must be whole under its hash for ever; an artifact or a model should be. The data of datastores is as safe
    as files that a program writes itself.
    """
    if key.startswith("contents/"):
        return True
    return size <= _MAX_SYNC_BYTES and (key.startswith("_models/") or "/azureml/ExperimentRun/" in key)
