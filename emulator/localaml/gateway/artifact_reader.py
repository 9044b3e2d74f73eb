"""Opens artifacts for those who fetch them, and holds them against their records.

A job that has a datastore mounted writes to it past everybody: also to an artifact, where the runtime cannot keep it
from that. The record has the SHA-256 of what was stored. What is small is read here before anything is answered; of
larger ones the digest goes with the answer (``Repr-Digest``, RFC 9530), and who fetches them compares.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from localaml.errors import NotFound, artifact_changed
from localaml.storage.digests import digest_of_reader

if TYPE_CHECKING:
    from localaml.domain.models import Artifact, RunKey
    from localaml.storage.object_store import ObjectReader, ObjectStore
    from localaml.store import Store

# So much is read in less than a millisecond.
_SMALL_BYTES = 1024 * 1024
_TRIES = 5


async def open_artifact(store: Store, objects: ObjectStore, run: RunKey, path: str) -> tuple[ObjectReader, str]:
    """A reader, and the SHA-256 that its bytes are to have, in hex digits: empty where that is not known.

    Raises NotFound ``ARTIFACT_NOT_FOUND``, FailedPrecondition ``ARTIFACT_CHANGED``, and what the store raises.
    """
    artifact = _find(store, run, path)
    for _ in range(_TRIES):
        reader = await objects.open_reader(artifact.object_key)
        before, artifact = artifact, _find(store, run, path)
        # Between its bytes and its record it is neither the old one nor the new one.
        if store.unfinished.has(artifact.object_key):
            return reader, ""
        if artifact == before:
            try:
                await _check(reader, artifact)
            except BaseException:
                reader.close()
                raise
            return reader, artifact.sha256
        reader.close()
    return await objects.open_reader(artifact.object_key), ""


async def _check(reader: ObjectReader, artifact: Artifact) -> None:
    if not artifact.sha256:
        return
    size = reader.info.size_bytes
    is_good = size == artifact.size_bytes
    if is_good and size <= _SMALL_BYTES and reader.is_at_hand:
        is_good = await asyncio.to_thread(digest_of_reader, reader) == artifact.sha256
    if not is_good:
        raise artifact_changed(artifact.run.run_id, artifact.path)


def _find(store: Store, run: RunKey, path: str) -> Artifact:
    artifact = store.artifacts.find(run, path)
    if artifact is None:
        raise NotFound(
            "ARTIFACT_NOT_FOUND", f"Run {run.run_id} has no file {path!r}.", {"run_id": run.run_id, "path": path}
        )
    return artifact
