"""Secrets of workspaces, encrypted before they get here."""

from __future__ import annotations

from collections.abc import Sequence

from localaml.domain.models import Secret
from localaml.errors import NotFound
from localaml.store.codec import from_micros, to_micros
from localaml.store.database import Database, Row
from localaml.store.stored import Stored, readable, stored

_COLUMNS = "workspace_id, name, content_type, created_at, updated_at, sealed"


class Secrets:
    """Keyed by workspace id and name, which is the same in any case."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, secret: Secret) -> None:
        """Inserts or replaces; the time of making stays. Raises NotFound ``PARENT_NOT_FOUND``."""
        values = (
            secret.workspace_id,
            secret.name,
            secret.content_type,
            to_micros(secret.created_at),
            to_micros(secret.updated_at),
            secret.sealed,
        )
        self._db.insert(
            f"INSERT INTO secrets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "content_type = excluded.content_type, updated_at = excluded.updated_at, sealed = excluded.sealed",
            values,
            f"Secret {secret.name!r}",
        )

    def find(self, workspace_id: str, name: str) -> Secret | None:
        row = self._db.one(f"SELECT {_COLUMNS} FROM secrets WHERE workspace_id = ? AND name = ?", (workspace_id, name))
        return None if row is None else _stored(row).read()

    def get(self, workspace_id: str, name: str) -> Secret:
        """Raises NotFound ``SECRET_NOT_FOUND``, which does not tell the names that there are."""
        found = self.find(workspace_id, name)
        if found is None:
            raise NotFound(
                "SECRET_NOT_FOUND",
                f"No secret {name!r} in the key vault of this workspace. Set it with Keyvault.set_secret.",
                {"secret": name},
            )
        return found

    def stored(self, workspace_id: str, after: str = "", limit: int = 1000) -> Sequence[Stored[Secret]]:
        """By name, those after the name `after`."""
        rows = self._db.all(
            f"SELECT {_COLUMNS} FROM secrets WHERE workspace_id = ? AND name > ? ORDER BY name LIMIT ?",
            (workspace_id, after, limit),
        )
        return [_stored(row) for row in rows]

    def list(self, workspace_id: str, after: str = "", limit: int = 1000) -> list[Secret]:
        """As `stored`, without those that cannot be read."""
        return list(readable(self.stored(workspace_id, after, limit)))

    def delete(self, workspace_id: str, name: str) -> None:
        """A missing one is fine."""
        self._db.execute("DELETE FROM secrets WHERE workspace_id = ? AND name = ?", (workspace_id, name))


def _stored(row: Row) -> Stored[Secret]:
    return stored("secret", row[1], row, _load)


def _load(row: Row) -> Secret:
    workspace_id, name, content_type, created, updated, sealed = row
    return Secret(workspace_id, name, from_micros(created), from_micros(updated), content_type, sealed)
