"""Workspaces."""

from __future__ import annotations

from collections.abc import Sequence

from localaml.domain.models import Workspace
from localaml.domain.names import WorkspaceName
from localaml.errors import AlreadyExists, LocalAmlError, NotFound
from localaml.store.codec import from_json, from_micros, known, to_json, to_micros
from localaml.store.database import Database, Row
from localaml.store.stored import Stored, readable, stored

_COLUMNS = (
    "workspace_id, subscription, resource_group, name, created_at, friendly_name, description, location, sku, tags, "
    "default_datastore"
)
_INSERT = f"INSERT INTO workspaces ({_COLUMNS}) VALUES ({', '.join('?' * 11)})"
_BY_NAME = f"SELECT {_COLUMNS} FROM workspaces WHERE subscription = ? AND resource_group = ? AND name = ?"


class Workspaces:
    """Names are the same in any case, as in Azure; the record has the spelling of the first call."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, workspace: Workspace) -> None:
        """Raises AlreadyExists ``WORKSPACE_EXISTS``."""

        def taken() -> LocalAmlError:
            return AlreadyExists(
                "WORKSPACE_EXISTS",
                f"A workspace {name.workspace!r} exists already in {name.subscription}/{name.resource_group}. "
                "Take another name, or open the one that exists (in the SDK: exist_ok=True, or Workspace.get).",
            )

        name = workspace.name
        values = (
            workspace.workspace_id,
            name.subscription,
            name.resource_group,
            name.workspace,
            to_micros(workspace.created_at),
        )
        self._db.insert(_INSERT, values + _changeable(workspace), f"Workspace {name.workspace!r}", taken)

    def find(self, name: WorkspaceName) -> Workspace | None:
        row = self._db.one(_BY_NAME, (name.subscription, name.resource_group, name.workspace))
        return None if row is None else _stored(row).read()

    def get(self, name: WorkspaceName) -> Workspace:
        """Raises NotFound ``WORKSPACE_NOT_FOUND``."""
        found = self.find(name)
        if found is None:
            rows = self._db.all("SELECT name, resource_group, subscription FROM workspaces LIMIT 100")
            raise NotFound(
                "WORKSPACE_NOT_FOUND",
                f"No workspace {name.workspace!r} in resource group {name.resource_group!r} of subscription "
                f"{name.subscription!r}. {known(f'{row[0]} ({row[2]}/{row[1]})' for row in rows)} "
                "Make one with Workspace.create or `localaml workspace create`.",
                {"workspace": str(name)},
            )
        return found

    def get_by_id(self, workspace_id: str) -> Workspace:
        """Raises NotFound ``WORKSPACE_NOT_FOUND``."""
        row = self._db.one(f"SELECT {_COLUMNS} FROM workspaces WHERE workspace_id = ?", (workspace_id,))
        if row is None:
            raise NotFound("WORKSPACE_NOT_FOUND", f"No workspace has the id {workspace_id!r} (any more).")
        return _stored(row).read()

    def list(self, subscription: str | None = None, resource_group: str | None = None) -> list[Workspace]:
        """By subscription, resource group and name; without those that cannot be read."""
        return list(readable(self.stored(subscription, resource_group)))

    def stored(self, subscription: str | None = None, resource_group: str | None = None) -> Sequence[Stored[Workspace]]:
        """By subscription, resource group and name."""
        rows = self._db.all(
            f"SELECT {_COLUMNS} FROM workspaces WHERE (?1 IS NULL OR subscription = ?1) "
            "AND (?2 IS NULL OR resource_group = ?2) ORDER BY subscription, resource_group, name",
            (subscription, resource_group),
        )
        return [_stored(row) for row in rows]

    def update(self, workspace: Workspace) -> None:
        """Stores all that can change (not id, name, creation time). Raises NotFound ``WORKSPACE_NOT_FOUND``."""
        changed = self._db.execute(
            "UPDATE workspaces SET friendly_name = ?, description = ?, location = ?, sku = ?, tags = ?, "
            "default_datastore = ? WHERE workspace_id = ?",
            (*_changeable(workspace), workspace.workspace_id),
        )
        if changed.rowcount == 0:
            self.get_by_id(workspace.workspace_id)

    def delete(self, workspace_id: str) -> None:
        """Removes the workspace and every record below it; a missing one is fine."""
        self._db.execute("DELETE FROM workspaces WHERE workspace_id = ?", (workspace_id,))
        self._db.publish_all()


def _stored(row: Row) -> Stored[Workspace]:
    return stored("workspace", row[3], row, _load)


def _changeable(workspace: Workspace) -> Row:
    return (
        workspace.friendly_name,
        workspace.description,
        workspace.location,
        workspace.sku,
        to_json(workspace.tags),
        workspace.default_datastore,
    )


def _load(row: Row) -> Workspace:
    workspace_id, subscription, group, name, created_at, friendly_name, description, location, sku, tags, datastore = (
        row
    )
    return Workspace(
        name=WorkspaceName(subscription, group, name),
        workspace_id=workspace_id,
        created_at=from_micros(created_at),
        friendly_name=friendly_name,
        description=description,
        location=location,
        sku=sku,
        tags=from_json(tags),
        default_datastore=datastore,
    )
