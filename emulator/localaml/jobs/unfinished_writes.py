"""Brings to an end what an emulator that was killed had begun in the object store (`store.unfinished`).

Nobody was ever told that these writes were done, so what no record owns goes:

    an artifact whose record is there      it was being replaced: the record learns what is there now
    an artifact without a record           it goes; so does all else, such as uploads for a model that was not made
    what a removed record owned            it goes
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from localaml.errors import LocalAmlError, NotFound
from localaml.jobs.storage_check import check_storage
from localaml.paths import MODELS, artifact_of
from localaml.storage.digests import digest_of

if TYPE_CHECKING:
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store

_LOG = logging.getLogger(__name__)


async def settle_storage(store: Store, objects: ObjectStore, *, is_empty: bool) -> None:
    """What a start does before anybody is served.

    Args:
        is_empty: the objects went with the last emulator, as moto's do: what points to them goes, too.
    """
    await settle_unfinished(store, objects)
    if is_empty:
        await check_storage(store, objects, repair=True)


async def settle_unfinished(store: Store, objects: ObjectStore) -> int:
    """Follows the notes. Returns how many notes there were; those that could not be followed stay for the next
    start."""
    keys = store.unfinished.list()
    for key in keys:
        try:
            await _settle(store, objects, key)
        except (LocalAmlError, OSError) as error:
            _LOG.warning("%s was begun and could not be settled: %s", key, error)
    return len(keys)


async def _settle(store: Store, objects: ObjectStore, key: str) -> None:
    if key.endswith("/"):
        if not _is_model(store, key):
            await objects.delete_prefix(key)
    elif (place := artifact_of(key)) is None or (row := store.artifacts.find(*place)) is None:
        await objects.delete(key)
    else:
        try:
            info, sha256 = await digest_of(objects, row.object_key)
        except NotFound:
            pass  # `fsck` tells of it
        else:
            with store.transaction():
                store.artifacts.put(replace(row, size_bytes=info.size_bytes, sha256=sha256))
                store.unfinished.forget([key])
            return
    store.unfinished.forget([key])


def _is_model(store: Store, prefix: str) -> bool:
    """Whether these are the files of a registered model, whose note should have gone with its registration."""
    kind, _, rest = prefix.partition("/")
    workspace_id, _, asset_id = rest.rstrip("/").partition("/")
    return kind == MODELS and bool(asset_id) and store.assets.find_by_id(workspace_id, "model", asset_id) is not None
