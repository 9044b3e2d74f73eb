"""`MemoryStore`: objects in memory, for tests and for emulators that keep nothing."""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from localaml.clock import Clock, RealClock
from localaml.storage.disk import check_key
from localaml.storage.files import open_source
from localaml.storage.object_store import ObjectInfo
from localaml.storage.safe_tree import conflict, not_found
from localaml.storage.taking import check_same, let_go

_CHUNK = 1024 * 1024


class MemoryStore:
    """An `ObjectStore` without a disk. Refuses what `DiskStore` refuses: what works on one works on the other."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or RealClock()
        self._objects: dict[str, tuple[bytes, ObjectInfo, str]] = {}
        self._versions = count(1)

    async def open_writer(self, key: str) -> MemoryWriter:
        return MemoryWriter(self, check_key(key))

    async def open_reader(self, key: str) -> MemoryReader:
        return MemoryReader(*self._find(key))

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        data = self._find(key)[0]
        end = len(data) if end is None else min(end, len(data))
        for offset in range(start, end, _CHUNK):
            yield data[offset : min(offset + _CHUNK, end)]

    async def stat(self, key: str) -> ObjectInfo:
        return self._find(key)[1]

    async def stat_many(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        return {key: self._objects[key][1] for key in map(check_key, keys) if key in self._objects}

    async def list(self, prefix: str, start_after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        keys = sorted(key for key in self._objects if key.startswith(prefix))
        first = bisect_right(keys, start_after)
        return [self._objects[key][1] for key in keys[first : first + max(0, limit)]]

    async def put_file(self, key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        check_key(key)
        return await asyncio.to_thread(self._put_file, key, source, move)

    def _put_file(self, key: str, source: Path, move: bool) -> ObjectInfo:
        with open_source(source) as file:
            data = b"".join(iter(lambda: file.read(_CHUNK), b""))[: file.size]
            if move:
                check_same(source, file.status, source)
            info = self.put(key, data)
            if move:
                let_go(source, file.status)
        return replace(info, sha256=hashlib.sha256(data).hexdigest())

    async def get_file(self, key: str, target: Path) -> None:
        await asyncio.to_thread(target.write_bytes, self._find(key)[0])

    async def copy(self, source: str, key: str) -> ObjectInfo:
        return self.put(check_key(key), self._find(source)[0])

    async def delete(self, key: str) -> None:
        self._objects.pop(check_key(key), None)

    async def delete_prefix(self, prefix: str) -> int:
        found = [key for key in self._objects if key.startswith(prefix)]
        for key in found:
            del self._objects[key]
        return len(found)

    def local_folder(self, prefix: str) -> Path | None:
        return None

    def put(self, key: str, data: bytes) -> ObjectInfo:
        """Stores an object at once. Raises FailedPrecondition ``OBJECT_PATH_CONFLICT``."""
        parts = key.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            if above in self._objects:
                raise conflict(key, above, "a file or a link")
        if any(other.startswith(f"{key}/") for other in self._objects):
            raise conflict(key, key, "a folder")
        info = ObjectInfo(key, len(data), self._clock.now())
        self._objects[key] = (data, info, str(next(self._versions)))
        return info

    def _find(self, key: str) -> tuple[bytes, ObjectInfo, str]:
        try:
            return self._objects[check_key(key)]
        except KeyError:
            raise not_found(key) from None


class MemoryWriter:
    """An `ObjectWriter` into memory."""

    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store = store
        self._key = key
        self._data = bytearray()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        self.write_blocking(data)

    def write_blocking(self, data: bytes | bytearray | memoryview) -> None:
        self._data += data

    async def commit(self) -> ObjectInfo:
        return self._store.put(self._key, bytes(self._data))

    async def discard(self) -> None:
        self._data.clear()


class MemoryReader:
    """An `ObjectReader` of bytes."""

    is_at_hand = True

    def __init__(self, data: bytes, info: ObjectInfo, version: str) -> None:
        self._data = data
        self.info = info
        self.version = version

    def read_into(self, buffer: memoryview, offset: int) -> int:
        data = self._data[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        return None
