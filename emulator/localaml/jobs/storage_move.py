"""Moves the objects of a state dir to another cloud. For an emulator that does not run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localaml.errors import FailedPrecondition, NotFound
from localaml.jobs.datastore_data import WITH_DATA, account_url
from localaml.paths import (
    ACCOUNT,
    content_key,
    datastore_prefix,
    default_container,
    default_file_share,
    model_prefix,
)
from localaml.storage.routed import copy_between

if TYPE_CHECKING:
    from localaml.storage.object_store import ObjectInfo, ObjectReader, ObjectStore
    from localaml.store import Store

_PARALLEL = 4
_CHUNK = 1024 * 1024


@dataclass(slots=True)
class Moved:
    """What `copy_all` did."""

    copied: int = 0
    kept: int = 0
    size_bytes: int = 0


def prefixes_of(store: Store) -> list[str]:
    """Where a state dir's objects are."""
    found: dict[str, None] = {}
    for workspace in store.workspaces.list():
        workspace_id = workspace.workspace_id
        for container in (default_container(workspace_id), default_file_share(workspace_id)):
            found[datastore_prefix(ACCOUNT, container)] = None
        for datastore in store.datastores.list(workspace_id):
            # What is in somebody's account stays there.
            if datastore.datastore_type in WITH_DATA and account_url(datastore) is None:
                found[datastore_prefix(datastore.account_name, datastore.container_name)] = None
        found[content_key(workspace_id, "").rstrip("/") + "/"] = None
        found[model_prefix(workspace_id)] = None
    return list(found)


async def copy_all(store: Store, source: ObjectStore, target: ObjectStore, told: Callable[[ObjectInfo], None]) -> Moved:
    """Copies all objects; what is there with the same bytes stays: an interrupted move can go on.

    Times are not looked at: a job sets those of its files as it likes, and stores have clocks of their own.

    Args:
        told: called with each object that was copied.

    Raises FailedPrecondition ``MIGRATION_INCOMPLETE``: an object is not there as it should be; the source is as it was.
    """
    moved = Moved()
    gate = asyncio.Semaphore(_PARALLEL)

    async def copy(info: ObjectInfo) -> None:
        async with gate:
            if await _has_size(target, info) and await _is_same(source, target, info.key):
                moved.kept += 1
                return
            await copy_between(source, info.key, target, info.key)
            if not await _has_size(target, info):
                raise FailedPrecondition(
                    "MIGRATION_INCOMPLETE", f"{info.key!r} is not complete in the new store: try again."
                )
            moved.copied += 1
            moved.size_bytes += info.size_bytes
            told(info)

    for prefix in prefixes_of(store):
        after = ""
        while page := await source.list(prefix, start_after=after):
            tasks = [asyncio.ensure_future(copy(info)) for info in page]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            after = page[-1].key
    return moved


async def _has_size(target: ObjectStore, info: ObjectInfo) -> bool:
    try:
        return (await target.stat(info.key)).size_bytes == info.size_bytes
    except NotFound:
        return False


async def _is_same(source: ObjectStore, target: ObjectStore, key: str) -> bool:
    """Whether two objects of one size have the same bytes."""
    first = await source.open_reader(key)
    try:
        second = await target.open_reader(key)
        try:
            return await asyncio.to_thread(_compare, first, second)
        finally:
            second.close()
    finally:
        first.close()


def _compare(first: ObjectReader, second: ObjectReader) -> bool:
    buffers = memoryview(bytearray(_CHUNK)), memoryview(bytearray(_CHUNK))
    offset = 0
    while count := _fill(first, buffers[0], offset):
        if _fill(second, buffers[1][:count], offset) != count or buffers[0][:count] != buffers[1][:count]:
            return False
        offset += count
    return True


def _fill(reader: ObjectReader, buffer: memoryview, offset: int) -> int:
    """Reads until the buffer is full or the object ends; returns how much it was."""
    filled = 0
    while filled < len(buffer) and (count := reader.read_into(buffer[filled:], offset + filled)):
        filled += count
    return filled
