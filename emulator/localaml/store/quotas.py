"""Quotas of cores by VM family, where they are not the default; and counters."""

from __future__ import annotations

from localaml.store.database import Database


class Quotas:
    """Keyed by workspace id and family (as `domain.quotas` names them)."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, workspace_id: str, family: str, core_limit: int) -> None:
        """Inserts or replaces. Raises NotFound ``PARENT_NOT_FOUND``."""
        self._db.insert(
            "INSERT OR REPLACE INTO quotas VALUES (?, ?, ?)", (workspace_id, family, core_limit), f"Quota of {family!r}"
        )

    def delete(self, workspace_id: str, family: str) -> None:
        """Back to the default; a missing one is fine."""
        self._db.execute("DELETE FROM quotas WHERE workspace_id = ? AND family = ?", (workspace_id, family))

    def of(self, workspace_id: str) -> dict[str, int]:
        """Limits by family."""
        return dict(self._db.all("SELECT family, core_limit FROM quotas WHERE workspace_id = ?", (workspace_id,)))


class Counters:
    """Numbers that only grow, by name."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def next(self, name: str) -> int:
        """One more than the last time; 1 at first."""
        with self._db.transaction():
            self._db.execute("INSERT INTO counters VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1", (name,))
            row = self._db.one("SELECT value FROM counters WHERE name = ?", (name,))
        assert row is not None
        return int(row[0])
