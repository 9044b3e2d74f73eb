"""Snapshots: the entries of source folders; the contents are in `storage`."""

from __future__ import annotations

from localaml.domain.models import Snapshot, SnapshotEntry
from localaml.errors import NotFound
from localaml.store.codec import from_micros, list_from_json, list_to_json, to_micros
from localaml.store.database import Database, Row
from localaml.store.stored import stored


class Snapshots:
    """Keyed by workspace and id. A snapshot never changes: its id follows from its entries."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, snapshot: Snapshot) -> None:
        """Stores it; one that exists stays as it is. Raises NotFound ``PARENT_NOT_FOUND``."""
        entries = list_to_json(
            [entry.path, entry.sha256, entry.size_bytes, entry.executable] for entry in snapshot.entries
        )
        self._db.insert(
            "INSERT INTO snapshots VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (snapshot.workspace_id, snapshot.snapshot_id, to_micros(snapshot.created_at), entries),
            f"Snapshot {snapshot.snapshot_id!r}",
        )

    def find(self, workspace_id: str, snapshot_id: str) -> Snapshot | None:
        row = self._db.one(
            "SELECT created_at, entries FROM snapshots WHERE workspace_id = ? AND snapshot_id = ?",
            (workspace_id, snapshot_id),
        )
        if row is None:
            return None

        def load(row: Row) -> Snapshot:
            entries = tuple(SnapshotEntry(*entry) for entry in list_from_json(row[1]))
            return Snapshot(workspace_id, snapshot_id, from_micros(row[0]), entries)

        return stored("snapshot", snapshot_id, row, load).read()

    def get(self, workspace_id: str, snapshot_id: str) -> Snapshot:
        """Raises NotFound ``SNAPSHOT_NOT_FOUND``."""
        found = self.find(workspace_id, snapshot_id)
        if found is None:
            raise NotFound(
                "SNAPSHOT_NOT_FOUND",
                f"No snapshot {snapshot_id!r} in this workspace. "
                "Submit again: the SDK then makes a new snapshot of the source folder.",
                {"snapshot_id": snapshot_id},
            )
        return found

    def list_ids(self, workspace_id: str) -> list[str]:
        """Ids of all snapshots of a workspace."""
        rows = self._db.all("SELECT snapshot_id FROM snapshots WHERE workspace_id = ? ORDER BY 1", (workspace_id,))
        return [row[0] for row in rows]

    def delete(self, workspace_id: str, snapshot_id: str) -> None:
        """Forgets a snapshot; its contents stay. A missing one is fine."""
        self._db.execute(
            "DELETE FROM snapshots WHERE workspace_id = ? AND snapshot_id = ?", (workspace_id, snapshot_id)
        )
