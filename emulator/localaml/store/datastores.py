"""Datastores: registrations only, the data is in `storage`."""

from __future__ import annotations

from collections.abc import Sequence

from localaml.domain.models import Datastore
from localaml.domain.names import ChildName, WorkspaceName
from localaml.errors import NotFound
from localaml.store.codec import from_json, from_micros, known, to_json, to_micros
from localaml.store.database import Database, Row
from localaml.store.stored import Stored, readable, stored

_COLUMNS = (
    "workspace_id, name, datastore_type, created_at, account_name, container_name, protocol, endpoint, "
    "credential_type, secret, settings"
)
_SELECT = (
    f"SELECT {', '.join('d.' + name for name in _COLUMNS.split(', '))}, w.subscription, w.resource_group, w.name "
    "FROM datastores d JOIN workspaces w ON w.workspace_id = d.workspace_id"
)


class Datastores:
    """Keyed by workspace id and name."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, datastore: Datastore) -> None:
        """Inserts or replaces. Raises NotFound ``PARENT_NOT_FOUND`` when its workspace is gone."""
        values = (
            datastore.workspace_id,
            datastore.name.name,
            datastore.datastore_type,
            to_micros(datastore.created_at),
            datastore.account_name,
            datastore.container_name,
            datastore.protocol,
            datastore.endpoint,
            datastore.credential_type,
            datastore.secret,
            to_json(datastore.settings),
        )
        self._db.insert(
            f"INSERT OR REPLACE INTO datastores ({_COLUMNS}) VALUES ({', '.join('?' * 11)})",
            values,
            f"Datastore {datastore.name.name!r}",
        )

    def find(self, workspace_id: str, name: str) -> Datastore | None:
        row = self._db.one(f"{_SELECT} WHERE d.workspace_id = ? AND d.name = ?", (workspace_id, name))
        return None if row is None else _stored(row).read()

    def get(self, workspace_id: str, name: str) -> Datastore:
        """Raises NotFound ``DATASTORE_NOT_FOUND``."""
        found = self.find(workspace_id, name)
        if found is None:
            rows = self._db.all("SELECT name FROM datastores WHERE workspace_id = ?", (workspace_id,))
            raise NotFound(
                "DATASTORE_NOT_FOUND",
                f"No datastore {name!r} in this workspace. {known(row[0] for row in rows)} "
                "Register one with Datastore.register_azure_blob_container or register_azure_file_share.",
                {"datastore": name},
            )
        return found

    def stored(self, workspace_id: str) -> Sequence[Stored[Datastore]]:
        """By name."""
        return [
            _stored(row) for row in self._db.all(f"{_SELECT} WHERE d.workspace_id = ? ORDER BY d.name", (workspace_id,))
        ]

    def list(self, workspace_id: str) -> list[Datastore]:
        """By name; without those that cannot be read."""
        return list(readable(self.stored(workspace_id)))

    def at(self, account: str, container: str) -> Sequence[Datastore]:
        """The registrations of a container, of all workspaces, the oldest first; without those that cannot be read."""
        rows = self._db.all(
            f"{_SELECT} WHERE d.account_name = ? AND d.container_name = ? ORDER BY d.created_at", (account, container)
        )
        return list(readable(_stored(row) for row in rows))

    def delete(self, workspace_id: str, name: str) -> None:
        """A missing one is fine."""
        self._db.execute("DELETE FROM datastores WHERE workspace_id = ? AND name = ?", (workspace_id, name))


def _stored(row: Row) -> Stored[Datastore]:
    return stored("datastore", row[1], row, _load)


def _load(row: Row) -> Datastore:
    workspace_id, name, kind, created, account, container, protocol, endpoint, credential, secret, settings = row[:11]
    return Datastore(
        name=ChildName(WorkspaceName(*row[11:]), "datastores", name),
        workspace_id=workspace_id,
        datastore_type=kind,
        created_at=from_micros(created),
        account_name=account,
        container_name=container,
        protocol=protocol,
        endpoint=endpoint,
        credential_type=credential,
        secret=secret,
        settings=from_json(settings),
    )
