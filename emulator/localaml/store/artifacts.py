"""Artifacts: which files a run has, and under which key their bytes are."""

from __future__ import annotations

from collections.abc import Sequence

from localaml.domain.models import Artifact, RunKey
from localaml.store.codec import from_micros, to_micros
from localaml.store.database import Database, Row
from localaml.store.stored import Stored, readable, stored

_COLUMNS = "workspace_id, run_id, path, size_bytes, created_at, object_key, sha256"
# Greater than every character that can follow a prefix.
_LAST = "\U0010ffff"


class Artifacts:
    """Keyed by run and path. Publishes the run's key after each change."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, artifact: Artifact) -> None:
        """Inserts or replaces. Raises NotFound ``PARENT_NOT_FOUND`` when its run is gone."""
        values = (
            *artifact.run,
            artifact.path,
            artifact.size_bytes,
            to_micros(artifact.created_at),
            artifact.object_key,
            artifact.sha256,
        )
        self._db.insert(
            f"INSERT OR REPLACE INTO artifacts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
            f"Artifact {artifact.path!r}",
        )
        self._db.publish(artifact.run)

    def find(self, run: RunKey, path: str) -> Artifact | None:
        row = self._db.one(
            f"SELECT {_COLUMNS} FROM artifacts WHERE workspace_id = ? AND run_id = ? AND path = ?", (*run, path)
        )
        return None if row is None else _stored(row).read()

    def list(self, run: RunKey, prefix: str = "", after: str = "", limit: int = 1000) -> list[Artifact]:
        """As `stored`, without those that cannot be read."""
        return list(readable(self.stored(run, prefix, after, limit)))

    def stored(self, run: RunKey, prefix: str = "", after: str = "", limit: int = 1000) -> Sequence[Stored[Artifact]]:
        """By path (in the order of code points), those after the path `after`; `prefix` is a prefix of the string."""
        rows = self._db.all(
            f"SELECT {_COLUMNS} FROM artifacts WHERE workspace_id = ? AND run_id = ? AND path > ? "
            "AND path >= ? AND path < ? ORDER BY path LIMIT ?",
            (*run, after, prefix, prefix + _LAST, limit),
        )
        return [_stored(row) for row in rows]

    def delete(self, run: RunKey, path: str) -> None:
        """Forgets one artifact; the bytes stay. A missing one is fine."""
        self._db.execute("DELETE FROM artifacts WHERE workspace_id = ? AND run_id = ? AND path = ?", (*run, path))
        self._db.publish(run)

    def delete_run(self, run: RunKey) -> None:
        """Forgets all artifacts of a run; the bytes stay."""
        self._db.execute("DELETE FROM artifacts WHERE workspace_id = ? AND run_id = ?", run)
        self._db.publish(run)


def _stored(row: Row) -> Stored[Artifact]:
    return stored("artifact", row[2], row, _load)


def _load(row: Row) -> Artifact:
    workspace_id, run_id, path, size, created, key, sha256 = row
    return Artifact(RunKey(workspace_id, run_id), path, size, from_micros(created), key, sha256)
