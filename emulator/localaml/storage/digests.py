"""The SHA-256 of objects."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localaml.storage.object_store import ObjectInfo, ObjectReader, ObjectStore

_CHUNK = 1024 * 1024


def digest_of_reader(reader: ObjectReader) -> str:
    """Of all that a reader gives, in hex digits. Blocks."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    offset = 0
    while count := reader.read_into(buffer, offset):
        digest.update(buffer[:count])
        offset += count
    return digest.hexdigest()


async def digest_of(objects: ObjectStore, key: str) -> tuple[ObjectInfo, str]:
    """Of an object as it is now, in hex digits. Raises what `ObjectStore.open_reader` raises."""
    reader = await objects.open_reader(key)
    try:
        return reader.info, await asyncio.to_thread(digest_of_reader, reader)
    finally:
        reader.close()
