"""Answers for snapshots: source folders, addressed by content."""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import Iterable

from localaml.domain.models import Snapshot, SnapshotEntry
from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument, NotFound
from localaml.paths import content_key
from localaml.services.context import ServiceContext
from localaml.services.messages import signed_url, snapshot_message
from localaml.services.rpc import Caller
from localaml_proto.v1 import snapshot_pb2

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ADVICE = (
    "Move data out of the source folder into a datastore (as_mount, as_download), and name what the job does not need "
    "in a file .amlignore (its syntax is that of .gitignore)."
)
# How many objects are looked up at the same time.
_LOOKUPS = 16


class SnapshotService:
    """`localaml.v1.SnapshotService`."""

    SERVICE = "localaml.v1.SnapshotService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def create_snapshot(
        self, request: snapshot_pb2.CreateSnapshotRequest, caller: Caller
    ) -> snapshot_pb2.CreateSnapshotResponse:
        context = self._context
        workspace_id = context.workspace(request.parent).workspace_id
        settings = context.settings
        entries = checked_entries(
            request.entries,
            size_limit_bytes=settings.snapshot_size_limit_bytes,
            file_limit=settings.snapshot_file_limit,
        )
        snapshot_id = snapshot_id_of(entries)
        # Contents are never removed while their workspace is there: a stored snapshot is complete.
        snapshot = context.store.snapshots.find(workspace_id, snapshot_id)
        if snapshot is None:
            missing = await self._missing(workspace_id, entries)
            if missing:
                return snapshot_pb2.CreateSnapshotResponse(
                    missing=[
                        signed_url(
                            sha256, context.urls.sign("content", (workspace_id, sha256), "write", run=caller.run)
                        )
                        for sha256 in missing
                    ]
                )
            snapshot = Snapshot(workspace_id, snapshot_id, context.clock.now(), entries)
            context.store.snapshots.put(snapshot)
        return snapshot_pb2.CreateSnapshotResponse(snapshot=snapshot_message(snapshot))

    async def get_snapshot(
        self, request: snapshot_pb2.GetSnapshotRequest, caller: Caller
    ) -> snapshot_pb2.GetSnapshotResponse:
        context = self._context
        workspace_id = context.workspace(request.parent).workspace_id
        snapshot = context.store.snapshots.get(workspace_id, request.snapshot_id)
        return snapshot_pb2.GetSnapshotResponse(
            snapshot=snapshot_message(snapshot),
            entries=[
                snapshot_pb2.SnapshotEntry(
                    path=entry.path, sha256=entry.sha256, size_bytes=entry.size_bytes, executable=entry.executable
                )
                for entry in snapshot.entries
            ],
            urls=[
                signed_url(
                    entry.path, context.urls.sign("content", (workspace_id, entry.sha256), "read", run=caller.run)
                )
                for entry in snapshot.entries
            ],
        )

    async def _missing(self, workspace_id: str, entries: Iterable[SnapshotEntry]) -> list[str]:
        """The hashes without content, in the order of the entries. Raises InvalidArgument ``SNAPSHOT_SIZE_WRONG``."""
        by_hash = {entry.sha256: entry for entry in entries}
        gate = asyncio.Semaphore(_LOOKUPS)

        async def is_missing(entry: SnapshotEntry) -> bool:
            async with gate:
                try:
                    found = await self._context.objects.stat(content_key(workspace_id, entry.sha256))
                except NotFound:
                    return True
            if found.size_bytes != entry.size_bytes:
                raise InvalidArgument(
                    "SNAPSHOT_SIZE_WRONG",
                    f"{entry.path!r} is said to have {entry.size_bytes} bytes, but its content has {found.size_bytes}.",
                )
            return False

        answers = await asyncio.gather(*(is_missing(entry) for entry in by_hash.values()))
        return [sha256 for sha256, missing in zip(by_hash, answers, strict=True) if missing]


def snapshot_id_of(entries: Iterable[SnapshotEntry]) -> str:
    """The GUID that follows from the entries, whatever their order."""
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.path):
        # No path has a line end (`check_relative_path`): different entries give different text.
        digest.update(f"{entry.path}\n{entry.sha256}\n{entry.size_bytes}\n{int(entry.executable)}\n".encode())
    # Version 8 of RFC 9562: contents as the maker likes.
    made = bytearray(digest.digest()[:16])
    made[6] = made[6] & 0x0F | 0x80
    made[8] = made[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(made)))


def checked_entries(
    messages: Iterable[snapshot_pb2.SnapshotEntry], *, size_limit_bytes: int, file_limit: int
) -> tuple[SnapshotEntry, ...]:
    """The entries of a snapshot, by path.

    Raises InvalidArgument: ``INVALID_PATH``, ``SNAPSHOT_PATH_CONFLICT`` (twice the same path, or a file where another
    has a folder), ``INVALID_HASH``, ``SNAPSHOT_SIZE_WRONG``, ``SNAPSHOT_TOO_LARGE``.
    """
    entries: dict[str, SnapshotEntry] = {}
    total = 0
    sizes: dict[str, int] = {}
    for message in messages:
        path = check_relative_path(message.path, "path in a snapshot")
        if path in entries:
            raise InvalidArgument("SNAPSHOT_PATH_CONFLICT", f"{path!r} is in the snapshot twice.")
        if not _SHA256.fullmatch(message.sha256):
            raise InvalidArgument(
                "INVALID_HASH", f"The hash of {path!r} is not a SHA-256 in 64 lower-case hexadecimal digits."
            )
        if message.size_bytes < 0 or sizes.setdefault(message.sha256, message.size_bytes) != message.size_bytes:
            raise InvalidArgument("SNAPSHOT_SIZE_WRONG", f"The size of {path!r} cannot be right: {message.size_bytes}.")
        total += message.size_bytes
        entries[path] = SnapshotEntry(path, message.sha256, message.size_bytes, message.executable)
    for path in entries:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in entries:
                raise InvalidArgument(
                    "SNAPSHOT_PATH_CONFLICT", f"{parent!r} is a file of the snapshot and also the folder of {path!r}."
                )
            parent = parent.rpartition("/")[0]
    if total > size_limit_bytes:
        raise InvalidArgument(
            "SNAPSHOT_TOO_LARGE",
            f"The source folder has {total / 2**20:.1f} MB; "
            f"at most {size_limit_bytes / 2**20:.0f} MB can be submitted. {_ADVICE}",
            {"size_bytes": str(total), "limit_bytes": str(size_limit_bytes)},
        )
    if len(entries) > file_limit:
        raise InvalidArgument(
            "SNAPSHOT_TOO_LARGE",
            f"The source folder has {len(entries)} files; at most {file_limit} can be submitted. {_ADVICE}",
            {"file_count": str(len(entries)), "limit_files": str(file_limit)},
        )
    return tuple(sorted(entries.values(), key=lambda entry: entry.path))
