"""The state of an emulator as one file: a gzipped tar of a manifest, the records, and the objects.

    manifest.json        format version, counts; first, so that a stranger's file is known at once
    metadata.sqlite3     the records, without credentials: see `services.state_credentials`
    objects/<key>        the bytes below the prefixes that the records name

Nothing of it is ever extracted to a path that it names: records go to a file of ours, objects through the object store.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

from localaml.domain.names import check_relative_path
from localaml.errors import FailedPrecondition, InvalidArgument, LocalAmlError, disk_full
from localaml.storage.disk import DiskStore
from localaml.storage.object_store import ObjectReader

FORMAT = 1
_MANIFEST, _METADATA, _OBJECTS = "manifest.json", "metadata.sqlite3", "objects/"
_MOST_MANIFEST_BYTES = 64 * 1024
_MOST_OBJECTS = 10_000_000
# What tarfile reads at once are headers: a longer one is an attack on our memory.
_LONGEST_READ = 4 * 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself."""

    format: int
    version: str
    saved_at: str
    metadata_bytes: int
    object_count: int
    object_bytes: int


class ArchiveWriter:
    """Writes an archive, part by part. All methods block."""

    def __init__(self, file: BinaryIO, manifest: Manifest, metadata: Path) -> None:
        self._packed = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0, filename="")
        self._tar = tarfile.TarFile(fileobj=self._packed, mode="w", format=tarfile.PAX_FORMAT)
        said = json.dumps(asdict(manifest)).encode()
        self._tar.addfile(_member(_MANIFEST, len(said)), io.BytesIO(said))
        with metadata.open("rb") as records:
            self._tar.addfile(_member(_METADATA, manifest.metadata_bytes), records)

    def add(self, key: str, reader: ObjectReader) -> None:
        """Adds an object."""
        self._tar.addfile(_member(_OBJECTS + key, reader.info.size_bytes), cast("BinaryIO", _ReaderFile(reader)))

    def close(self) -> None:
        """Completes the archive."""
        self._tar.close()
        self._packed.close()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member


class _ReaderFile:
    """An object, in the form of a file that is read once."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._offset = 0

    def read(self, size: int) -> bytes:
        buffer = bytearray(size)
        count = self._reader.read_into(memoryview(buffer), self._offset)
        self._offset += count
        return bytes(buffer[:count])


def unpack_archive(path: Path, metadata: Path, objects: DiskStore) -> tuple[Manifest, list[str]]:
    """Reads an archive from end to end, and puts its records into the file `metadata`, its objects into a store that
    nobody uses yet. Blocks.

    Returns what it says of itself, and the keys of its objects.

    Raises:
        InvalidArgument: ``STATE_ARCHIVE_INVALID``: no archive, a damaged one, or one with anything else in it;
            ``STATE_ARCHIVE_UNREADABLE``: no plain file, or none that can be read.
        FailedPrecondition: ``STATE_ARCHIVE_TOO_NEW``.
        ResourceExhausted: ``DISK_FULL``: there is no room for its objects.
    """
    with _opened(path) as tar:
        members = iter(tar)
        manifest = _read_manifest(tar, next(members, None))
        if manifest.metadata_bytes + manifest.object_bytes > shutil.disk_usage(metadata.parent).free:
            raise disk_full()
        records = next(members, None)
        if records is None or records.name != _METADATA or records.size != manifest.metadata_bytes:
            raise _bad("its records are missing")
        _plain(records)
        with metadata.open("wb") as file:
            _copy(tar, records, file.write)
        keys: dict[str, None] = {}
        total = 0
        for member in members:
            key = _key(member)
            total += member.size
            if key in keys or len(keys) >= min(manifest.object_count, _MOST_OBJECTS) or total > manifest.object_bytes:
                raise _bad("it has more objects than it says")
            keys[key] = None
            writer = objects.new_writer(key)
            try:
                _copy(tar, member, writer.write_blocking)
                writer.commit_blocking()
            except FailedPrecondition as error:
                raise _bad(error.message) from None
            finally:
                writer.discard_blocking()
        if (len(keys), total) != (manifest.object_count, manifest.object_bytes):
            raise _bad("objects are missing")
    return manifest, list(keys)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with _plain_file(path) as file, gzip.GzipFile(fileobj=file, mode="rb") as packed:
            with tarfile.open(fileobj=cast("BinaryIO", _Bounded(cast("BinaryIO", packed))), mode="r:") as tar:
                yield tar
            # The check sum comes last.
            while packed.read(_CHUNK):
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError, OverflowError) as error:
        raise _bad(f"it is damaged, or something else ({error})") from None
    except OSError as error:
        raise InvalidArgument("STATE_ARCHIVE_UNREADABLE", f"{path} cannot be read: {error.strerror}.") from None


def _plain_file(path: Path) -> BinaryIO:
    """An open file. Never waits: a named pipe has no end until somebody writes to it, a device may have none at all.

    Raises OSError, InvalidArgument ``STATE_ARCHIVE_UNREADABLE``.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise InvalidArgument(
            "STATE_ARCHIVE_UNREADABLE",
            f"{path} is no plain file, but a folder, a pipe or a device: name a file that 'localaml state save' wrote.",
        )
    return os.fdopen(file, "rb")


class _Bounded:
    """A file of which no enormous piece is read at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_READ:
            raise _bad("it has an enormous header")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _read_manifest(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> Manifest:
    if member is None or member.name != _MANIFEST or member.size > _MOST_MANIFEST_BYTES:
        raise _bad("it has no manifest: 'localaml state save' did not write it")
    _plain(member)
    said = bytearray()
    _copy(tar, member, said.extend)
    try:
        values = json.loads(said)
        version = values["format"]
        if isinstance(version, int) and version > FORMAT:
            raise FailedPrecondition(
                "STATE_ARCHIVE_TOO_NEW",
                f"The archive is of a newer LocalAML ({values.get('version')}, format {version}; this one reads up to "
                f"{FORMAT}). Load it with that version.",
            )
        manifest = Manifest(**values)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _bad("its manifest is damaged") from None
    numbers = (manifest.format, manifest.metadata_bytes, manifest.object_count, manifest.object_bytes)
    if any(type(number) is not int or number < 0 for number in numbers) or manifest.format != FORMAT:
        raise _bad("its manifest is damaged")
    return manifest


def _key(member: tarfile.TarInfo) -> str:
    _plain(member)
    key = member.name.removeprefix(_OBJECTS)
    try:
        if key == member.name or check_relative_path(key, "key of an object") != key:
            raise _bad(f"it holds {member.name[:100]!r}")
    except LocalAmlError as error:
        raise _bad(error.message) from None
    return key


def _plain(member: tarfile.TarInfo) -> None:
    if not member.isreg() or member.sparse is not None:
        raise _bad(f"{member.name[:100]!r} is no plain file")


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, write: Callable[[bytes], object]) -> None:
    file = tar.extractfile(member)
    assert file is not None, "plain files only"
    left = member.size
    while left:
        data = file.read(min(_CHUNK, left))
        if not data:
            raise _bad("it breaks off")
        write(data)
        left -= len(data)


def _bad(why: str) -> InvalidArgument:
    return InvalidArgument("STATE_ARCHIVE_INVALID", f"This is no whole archive of a LocalAML state: {why}.")
