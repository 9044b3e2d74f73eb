"""The exchange of an emulator's whole state by another one, as one step: also when the emulator is killed meanwhile.

    <state dir>/loading/metadata.sqlite3    the new records, checked
    <state dir>/loading/objects/<key>       the new objects
    <state dir>/loading/keys                the keys of all of them
    <state dir>/loading/decided             which prefixes the old state has. It appears when all the rest is there

Without `decided` nothing has been replaced, and a start throws the folder away. With it the exchange is carried out,
from its beginning as often as it takes: what was done already does no harm when it is done again.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.errors import FailedPrecondition
from localaml.jobs.storage_check import all_objects
from localaml.storage.disk import DiskStore
from localaml.storage.taking import sync

if TYPE_CHECKING:
    from localaml.paths import StatePaths
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store


class StateExchange:
    """A new state that is being made ready, or takes the place of the old one.

    Attributes:
        metadata: the file for the new records.
    """

    def __init__(self, paths: StatePaths) -> None:
        self._folder = paths.loading
        self.metadata = self._folder / "metadata.sqlite3"
        self._objects = self._folder / "objects"
        self._keys = self._folder / "keys"
        self._decided = self._folder / "decided"

    @property
    def is_decided(self) -> bool:
        """Whether the new state is to take the place of the old one."""
        return self._decided.exists()

    def begin(self) -> DiskStore:
        """Makes the folder anew; returns the store for the new objects. Blocks."""
        self.discard()
        self._folder.mkdir(mode=0o700)
        return self._store()

    def discard(self) -> None:
        """Throws the new state away. Blocks."""
        # First of all: what is decided is carried out for as long as this is there.
        self._decided.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def decide(self, old_prefixes: Iterable[str], keys: Collection[str]) -> None:
        """From here on there is no way back. Blocks.

        Args:
            old_prefixes: where the objects of the old state are.
            keys: of the new objects.
        """
        self._write(self._keys, list(keys))
        sync(self.metadata)
        self._write(self._decided, list(old_prefixes))

    async def carry_out(self, store: Store, objects: ObjectStore) -> None:
        """Puts the new state in the place of the old one. May be interrupted and called again.

        Raises what the object store raises; the next start goes on then.
        """
        keys = set(json.loads(self._keys.read_text("utf-8")))
        for prefix in json.loads(self._decided.read_text("utf-8")):
            async for info in all_objects(objects, prefix):
                if info.key not in keys:
                    await objects.delete(info.key)
        async for info in all_objects(self._store(), ""):
            await _put(objects, info.key, self._objects / info.key)
        store.load_from(self.metadata)
        await asyncio.to_thread(self.discard)

    def _store(self) -> DiskStore:
        return DiskStore(self._objects, self._folder / "incoming")

    def _write(self, path: Path, value: list[str]) -> None:
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(value), "utf-8")
        sync(part)
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


async def finish_exchange(paths: StatePaths, store: Store, objects: ObjectStore) -> None:
    """What a start does with an exchange in which an emulator was killed: carries it out, or throws it away."""
    exchange = StateExchange(paths)
    if exchange.is_decided:
        await exchange.carry_out(store, objects)
    else:
        await asyncio.to_thread(exchange.discard)


async def _put(objects: ObjectStore, key: str, source: Path) -> None:
    try:
        await objects.put_file(key, source, move=True)
    except FailedPrecondition as error:
        if error.reason != "OBJECT_PATH_CONFLICT":
            raise
        # Where the old state had a folder, which is empty by now, down to the last one.
        await objects.delete_prefix(f"{key}/")
        await objects.put_file(key, source, move=True)
