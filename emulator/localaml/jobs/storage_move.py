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
    from localaml.storage.object_store import ObjectInfo, ObjectStore
    from localaml.store import Store

_PARALLEL = 4


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
    """Copies all objects; what is there with the same size and not older stays: an interrupted move can go on.

    Args:
        told: called with each object that was copied.

    Raises FailedPrecondition ``MIGRATION_INCOMPLETE``: an object is not there as it should be; the source is as it was.
    """
    moved = Moved()
    gate = asyncio.Semaphore(_PARALLEL)

    async def copy(info: ObjectInfo) -> None:
        async with gate:
            if await _is_there(target, info):
                moved.kept += 1
                return
            await copy_between(source, info.key, target, info.key)
            if not await _is_there(target, info):
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


async def _is_there(target: ObjectStore, info: ObjectInfo) -> bool:
    try:
        found = await target.stat(info.key)
    except NotFound:
        return False
    # Stores tell times by the second.
    return found.size_bytes == info.size_bytes and int(found.modified_at.timestamp()) >= int(
        info.modified_at.timestamp()
    )
