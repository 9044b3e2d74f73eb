"""Registered assets: versions of models, environments and data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from localaml.domain.models import Asset, AssetKind
from localaml.errors import NotFound
from localaml.store.codec import from_json, from_micros, known, list_from_json, list_to_json, to_json, to_micros
from localaml.store.database import Database, Row
from localaml.store.stored import Stored, readable, stored

_COLUMNS = (
    "workspace_id, kind, name, version, asset_id, request_id, created_at, description, tags, properties, "
    "labels, payload"
)
_SELECT = f"SELECT {_COLUMNS} FROM assets a"
_NEWEST = (
    "NOT EXISTS (SELECT 1 FROM assets n WHERE n.workspace_id = a.workspace_id AND n.kind = a.kind "
    "AND n.name = a.name AND n.version > a.version)"
)


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Which assets of one kind in a workspace; all that is set must hold.

    Attributes:
        name: None for all.
        tags, properties: by name; an empty value matches any value.
        payload: text values that top-level keys of the payload must have.
        payload_lists: texts that must be in lists which top-level keys of the payload have.
        latest_only: only the newest version of each name.
    """

    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    payload: Mapping[str, str] = field(default_factory=dict)
    payload_lists: Mapping[str, str] = field(default_factory=dict)
    latest_only: bool = False


class Assets:
    """Keyed by workspace id, kind, name and version."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, asset: Asset) -> Asset:
        """Stores a new version and returns it with its number: one more than the last that its name ever had.

        An asset whose `request_id` was stored before is not stored again: that one is returned.

        Raises NotFound ``PARENT_NOT_FOUND`` when its workspace is gone.
        """
        place = (asset.workspace_id, asset.kind, asset.name)
        with self._db.transaction():
            known_one = self.find_by_request(asset.workspace_id, asset.kind, asset.request_id)
            if known_one is not None:
                return known_one
            self._db.insert(
                "INSERT INTO asset_versions (workspace_id, kind, name, last_version) VALUES (?, ?, ?, 1) "
                "ON CONFLICT DO UPDATE SET last_version = last_version + 1",
                place,
                f"The {asset.kind} {asset.name!r}",
            )
            row = self._db.one(
                "SELECT last_version FROM asset_versions WHERE workspace_id = ? AND kind = ? AND name = ?", place
            )
            assert row is not None
            stored = replace(asset, version=row[0])
            self._db.execute(f"INSERT INTO assets ({_COLUMNS}) VALUES ({', '.join('?' * 12)})", _values(stored))
        return stored

    def find(
        self, workspace_id: str, kind: AssetKind, name: str, version: int | None = None, label: str | None = None
    ) -> Asset | None:
        """The version of this number, or the one that has the label; with neither, the newest."""
        sql, values = f"{_SELECT} WHERE workspace_id = ? AND kind = ? AND name = ?", [workspace_id, kind, name]
        if version is not None:
            # SQLite's integers end there, and so do versions.
            if not 0 < version < 2**63:
                return None
            row = self._db.one(f"{sql} AND version = ?", (*values, version))
        elif label is not None:
            row = self._db.one(
                f"{sql} AND EXISTS (SELECT 1 FROM {_each('labels')} l WHERE l.value = ?)", (*values, label)
            )
        else:
            row = self._db.one(f"{sql} ORDER BY version DESC LIMIT 1", values)
        return None if row is None else _stored(row).read()

    def get(
        self, workspace_id: str, kind: AssetKind, name: str, version: int | None = None, label: str | None = None
    ) -> Asset:
        """As `find`. Raises NotFound ``MODEL_NOT_FOUND``, ``ENVIRONMENT_NOT_FOUND``, ``DATASET_NOT_FOUND``."""
        found = self.find(workspace_id, kind, name, version, label)
        if found is None:
            raise self._missing(workspace_id, kind, name, version, label)
        return found

    def find_by_id(self, workspace_id: str, kind: AssetKind, asset_id: str) -> Asset | None:
        row = self._db.one(
            f"{_SELECT} WHERE workspace_id = ? AND kind = ? AND asset_id = ?", (workspace_id, kind, asset_id)
        )
        return None if row is None else _stored(row).read()

    def get_by_id(self, workspace_id: str, kind: AssetKind, asset_id: str) -> Asset:
        """Raises NotFound ``MODEL_NOT_FOUND``, ``ENVIRONMENT_NOT_FOUND``, ``DATASET_NOT_FOUND``."""
        found = self.find_by_id(workspace_id, kind, asset_id)
        if found is None:
            raise NotFound(
                f"{kind.upper()}_NOT_FOUND",
                f"No {kind} with the id {asset_id[:64]!r} in this workspace.",
                {"asset_id": asset_id[:64]},
            )
        return found

    def find_by_request(self, workspace_id: str, kind: AssetKind, request_id: str) -> Asset | None:
        """What was stored for a request; None for an empty `request_id`."""
        row = self._db.one(
            f"{_SELECT} WHERE workspace_id = ? AND kind = ? AND request_id = ? AND request_id <> ''",
            (workspace_id, kind, request_id),
        )
        return None if row is None else _stored(row).read()

    def stored(
        self,
        workspace_id: str,
        kind: AssetKind,
        asset_filter: AssetFilter | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> Sequence[tuple[int, Stored[Asset]]]:
        """Newest first, each with the number that `after` takes to begin behind it (0: from the newest on)."""
        wanted = asset_filter or AssetFilter()
        conditions, values = ["a.workspace_id = ?", "a.kind = ?"], [workspace_id, kind]

        def where(condition: str, *its_values: Any) -> None:
            conditions.append(condition)
            values.extend(its_values)

        if wanted.name is not None:
            where("a.name = ?", wanted.name)
        if after:
            where("a.seq < ?", after)
        if wanted.latest_only:
            where(_NEWEST)
        for column, labels in (("tags", wanted.tags), ("properties", wanted.properties)):
            for key, value in labels.items():
                entry = f"SELECT 1 FROM {_each(column)} e WHERE e.key = ?"
                if value:
                    where(f"EXISTS ({entry} AND e.value = ?)", key, value)
                else:
                    where(f"EXISTS ({entry})", key)
        for key, value in wanted.payload.items():
            where(f"EXISTS (SELECT 1 FROM {_each('payload')} e WHERE e.key = ? AND e.value = ?)", key, value)
        for key, value in wanted.payload_lists.items():
            path = "'$.' || ?"
            where(f"EXISTS (SELECT 1 FROM {_each('payload', path)} e WHERE e.value = ?)", key, value)
        rows = self._db.all(
            f"SELECT a.seq, {_COLUMNS} FROM assets a WHERE {' AND '.join(conditions)} ORDER BY a.seq DESC LIMIT ?",
            (*values, limit),
        )
        return [(row[0], _stored(row[1:])) for row in rows]

    def list(
        self,
        workspace_id: str,
        kind: AssetKind,
        asset_filter: AssetFilter | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[tuple[int, Asset]]:
        """As `stored`, without those that cannot be read."""
        found = self.stored(workspace_id, kind, asset_filter, after, limit)
        return [(number, asset) for number, each in found for asset in readable([each])]

    def versions(self, workspace_id: str, kind: AssetKind, name: str) -> Sequence[int]:
        """The numbers of the versions that there are, newest first."""
        rows = self._db.all(
            "SELECT version FROM assets WHERE workspace_id = ? AND kind = ? AND name = ? ORDER BY version DESC",
            (workspace_id, kind, name),
        )
        return [row[0] for row in rows]

    def update(self, asset: Asset) -> None:
        """Stores description, tags, properties, payload and labels of a version; other versions lose these labels.

        Raises NotFound ``MODEL_NOT_FOUND``, ``ENVIRONMENT_NOT_FOUND``, ``DATASET_NOT_FOUND``.
        """
        place = (asset.workspace_id, asset.kind, asset.name)
        with self._db.transaction():
            for label in asset.labels:
                other = self.find(*place, label=label)
                if other is not None and other.version != asset.version:
                    kept = list_to_json(each for each in other.labels if each != label)
                    self._db.execute(
                        "UPDATE assets SET labels = ? WHERE workspace_id = ? AND kind = ? AND name = ? AND version = ?",
                        (kept, *place, other.version),
                    )
            changed = self._db.execute(
                "UPDATE assets SET description = ?, tags = ?, properties = ?, labels = ?, payload = ? "
                "WHERE workspace_id = ? AND kind = ? AND name = ? AND version = ?",
                (
                    asset.description,
                    to_json(asset.tags),
                    to_json(asset.properties),
                    list_to_json(asset.labels),
                    to_json(asset.payload),
                    *place,
                    asset.version,
                ),
            )
            if changed.rowcount == 0:
                raise self._missing(*place, asset.version, None)

    def delete(self, workspace_id: str, kind: AssetKind, name: str, version: int | None = None) -> None:
        """Removes one version, or all of a name. A missing one is fine; numbers are never given again."""
        sql, values = "DELETE FROM assets WHERE workspace_id = ? AND kind = ? AND name = ?", [workspace_id, kind, name]
        if version is None:
            self._db.execute(sql, values)
        else:
            self._db.execute(f"{sql} AND version = ?", (*values, version))

    def _missing(
        self, workspace_id: str, kind: AssetKind, name: str, version: int | None, label: str | None
    ) -> NotFound:
        reason, facts = f"{kind.upper()}_NOT_FOUND", {str(kind): name}
        versions = self.versions(workspace_id, kind, name)
        if versions and (version is not None or label is not None):
            what = f"version {version}" if version is not None else f"version labelled {label!r}"
            there = ", ".join(str(number) for number in versions[:10]) + (", ..." if len(versions) > 10 else "")
            return NotFound(reason, f"The {kind} {name!r} has no {what}. Its versions: {there}.", facts)
        rows = self._db.all(
            "SELECT DISTINCT name FROM assets WHERE workspace_id = ? AND kind = ?", (workspace_id, kind)
        )
        return NotFound(reason, f"No {kind} {name!r} in this workspace. {known(row[0] for row in rows)}", facts)


def _each(column: str, *path: str) -> str:
    """The entries of a column with JSON; of one with something else none: that would fail the query as a whole."""
    text = f"CASE WHEN json_valid(a.{column}) THEN a.{column} ELSE '{{}}' END"
    return f"json_each({', '.join((text, *path))})"


def _stored(row: Row) -> Stored[Asset]:
    kind, name, version, asset_id = row[1:5]
    return stored(str(kind), f"{name}:{version}" if name else asset_id, row, _load)


def _values(asset: Asset) -> Row:
    return (
        asset.workspace_id,
        asset.kind,
        asset.name,
        asset.version,
        asset.asset_id,
        asset.request_id,
        to_micros(asset.created_at),
        asset.description,
        to_json(asset.tags),
        to_json(asset.properties),
        list_to_json(asset.labels),
        to_json(asset.payload),
    )


def _load(row: Row) -> Asset:
    workspace_id, kind, name, version, asset_id, request_id, created, description, tags, properties, labels, payload = (
        row
    )
    return Asset(
        workspace_id=workspace_id,
        kind=kind,
        name=name,
        version=version,
        asset_id=asset_id,
        request_id=request_id,
        created_at=from_micros(created),
        description=description,
        tags=from_json(tags),
        properties=from_json(properties),
        labels=tuple(list_from_json(labels)),
        payload=from_json(payload),
    )
