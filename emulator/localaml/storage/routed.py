"""`RoutedStore`: the default store, and beside it containers of accounts that datastores are registered with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaml.storage.bucket_names import BucketNames, Place

if TYPE_CHECKING:
    from localaml.storage.azure_blob import AzureAccount, AzureBlobStore
    from localaml.storage.object_store import ObjectInfo, ObjectReader, ObjectStore, ObjectWriter

_CHUNK = 1024 * 1024
# Account and container -> the account that has it; None: it is in the default store.
FindAccount = Callable[[str, str], "AzureAccount | None"]


class AccountNames(BucketNames):
    """The containers of one account, under their own names: ``<account>/<container>/<path>``."""

    def __init__(self, account: str) -> None:
        super().__init__(None, double_hyphens=True)
        self._account = account

    def place(self, key: str) -> Place:
        _, container, path = key.split("/", 2)
        return Place(container, path)

    def prefix_place(self, prefix: str) -> Place | None:
        return self.place(prefix)

    def key_prefix(self, bucket: str) -> str | None:
        return f"{self._account}/{bucket}/"


class RoutedStore:
    """An `ObjectStore` that looks at the first two parts of each key.

    Args:
        default: where everything is that `find` does not know.
        find: asked with each call, so that a registration counts at once.
        patience_seconds: how long an account may be away.
    """

    def __init__(self, default: ObjectStore, find: FindAccount, *, patience_seconds: float) -> None:
        self._default = default
        self._find = find
        self._patience = patience_seconds
        self._open: dict[AzureAccount, AzureBlobStore] = {}
        self._opening = asyncio.Lock()

    def close(self) -> None:
        """Closes what is open to accounts; the default store is its owner's. Blocks; idempotent."""
        for store in self._open.values():
            store.close()
        self._open.clear()

    def _account(self, key: str) -> tuple[str, AzureAccount | None]:
        account, _, rest = key.partition("/")
        container, separator, _ = rest.partition("/")
        return account, self._find(account, container) if separator else None

    async def _store(self, key: str) -> ObjectStore:
        name, account = self._account(key)
        if account is None:
            return self._default
        async with self._opening:
            store = self._open.get(account)
            if store is None:
                store = self._open[account] = await asyncio.to_thread(self._make, name, account)
            return store

    def _make(self, name: str, account: AzureAccount) -> AzureBlobStore:
        from localaml.storage.azure_blob import AzureBlobStore

        return AzureBlobStore(account, names=AccountNames(name), patience_seconds=self._patience)

    async def open_writer(self, key: str) -> ObjectWriter:
        return await (await self._store(key)).open_writer(key)

    async def open_reader(self, key: str) -> ObjectReader:
        return await (await self._store(key)).open_reader(key)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        store = await self._store(key)
        async for chunk in store.read(key, start, end):
            yield chunk

    async def stat(self, key: str) -> ObjectInfo:
        return await (await self._store(key)).stat(key)

    async def stat_many(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        groups: dict[int, tuple[ObjectStore, list[str]]] = {}
        for key in keys:
            store = await self._store(key)
            groups.setdefault(id(store), (store, []))[1].append(key)
        found: dict[str, ObjectInfo] = {}
        for store, group in groups.values():
            found.update(await store.stat_many(group))
        return found

    async def list(self, prefix: str, start_after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        return await (await self._store(prefix)).list(prefix, start_after, limit)

    async def put_file(self, key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        return await (await self._store(key)).put_file(key, source, move=move)

    async def get_file(self, key: str, target: Path) -> None:
        await (await self._store(key)).get_file(key, target)

    async def copy(self, source: str, key: str) -> ObjectInfo:
        origin, target = await self._store(source), await self._store(key)
        if origin is target:
            return await origin.copy(source, key)
        return await copy_between(origin, source, target, key)

    async def delete(self, key: str) -> None:
        await (await self._store(key)).delete(key)

    async def delete_prefix(self, prefix: str) -> int:
        return await (await self._store(prefix)).delete_prefix(prefix)

    def local_folder(self, prefix: str) -> Path | None:
        return self._default.local_folder(prefix) if self._account(prefix)[1] is None else None


async def copy_between(origin: ObjectStore, source: str, target: ObjectStore, key: str) -> ObjectInfo:
    """Copies an object from one store to another, in little memory."""
    reader = await origin.open_reader(source)
    try:
        writer: Any = await target.open_writer(key)

        def pump() -> None:
            buffer = memoryview(bytearray(_CHUNK))
            offset = 0
            while count := reader.read_into(buffer, offset):
                writer.write_blocking(buffer[:count])
                offset += count

        try:
            await asyncio.to_thread(pump)
            info: ObjectInfo = await writer.commit()
            return info
        finally:
            await writer.discard()
    finally:
        reader.close()
