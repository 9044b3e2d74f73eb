"""An object store whose disk can be full, and which can be out of reach."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from localaml.storage.object_store import ObjectInfo, ObjectReader, ObjectStore, ObjectWriter


class StoreFaults(Protocol):
    """Asked before each access; raises what it is to fail with."""

    def before_store(self, key: str, *, writing: bool) -> None: ...


class FaultyStore:
    """`inner`, with faults before each access. Removing is never disturbed: it has to work when all else does not.

    What a job writes to a mounted datastore is written by the job itself, and is out of reach from here.
    """

    def __init__(self, inner: ObjectStore, faults: StoreFaults) -> None:
        self._inner = inner
        self._faults = faults

    async def open_writer(self, key: str) -> ObjectWriter:
        self._faults.before_store(key, writing=True)
        return await self._inner.open_writer(key)

    async def open_reader(self, key: str) -> ObjectReader:
        self._faults.before_store(key, writing=False)
        return await self._inner.open_reader(key)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self._faults.before_store(key, writing=False)
        async for chunk in self._inner.read(key, start, end):
            yield chunk

    async def stat(self, key: str) -> ObjectInfo:
        self._faults.before_store(key, writing=False)
        return await self._inner.stat(key)

    async def stat_many(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        for key in keys:
            self._faults.before_store(key, writing=False)
        return await self._inner.stat_many(keys)

    async def put_file(self, key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        self._faults.before_store(key, writing=True)
        return await self._inner.put_file(key, source, move=move)

    async def get_file(self, key: str, target: Path) -> None:
        self._faults.before_store(key, writing=False)
        await self._inner.get_file(key, target)

    async def copy(self, source: str, key: str) -> ObjectInfo:
        self._faults.before_store(source, writing=False)
        self._faults.before_store(key, writing=True)
        return await self._inner.copy(source, key)

    async def delete(self, key: str) -> None:
        await self._inner.delete(key)

    async def delete_prefix(self, prefix: str) -> int:
        return await self._inner.delete_prefix(prefix)

    def local_folder(self, prefix: str) -> Path | None:
        self._faults.before_store(prefix, writing=False)
        return self._inner.local_folder(prefix)

    # Last in the class: below it, `list` would be this method, not the type.
    async def list(self, prefix: str, start_after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        self._faults.before_store(prefix, writing=False)
        return await self._inner.list(prefix, start_after, limit)
