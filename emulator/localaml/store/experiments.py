"""Experiments."""

from __future__ import annotations

from collections.abc import Sequence

from localaml.domain.models import Experiment
from localaml.domain.names import ChildName, WorkspaceName
from localaml.errors import AlreadyExists, LocalAmlError, NotFound
from localaml.store.codec import (
    from_json,
    from_micros,
    from_micros_or_none,
    known,
    to_json,
    to_micros,
    to_micros_or_none,
)
from localaml.store.database import Database, Row
from localaml.store.stored import Stored, readable, stored

_SELECT = (
    "SELECT e.workspace_id, e.name, e.experiment_id, e.created_at, e.description, e.tags, e.archived_at, "
    "w.subscription, w.resource_group, w.name FROM experiments e JOIN workspaces w ON w.workspace_id = e.workspace_id"
)


class Experiments:
    """Keyed by workspace id and name."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, experiment: Experiment) -> None:
        """Raises AlreadyExists ``EXPERIMENT_EXISTS``."""

        def taken() -> LocalAmlError:
            return AlreadyExists(
                "EXPERIMENT_EXISTS", f"An experiment {experiment.name.name!r} exists already in this workspace."
            )

        values = (
            experiment.workspace_id,
            experiment.name.name,
            experiment.experiment_id,
            to_micros(experiment.created_at),
            experiment.description,
            to_json(experiment.tags),
            to_micros_or_none(experiment.archived_at),
        )
        self._db.insert(
            "INSERT INTO experiments (workspace_id, name, experiment_id, created_at, description, tags, archived_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
            f"Experiment {experiment.name.name!r}",
            taken,
        )

    def find(self, workspace_id: str, name: str) -> Experiment | None:
        row = self._db.one(f"{_SELECT} WHERE e.workspace_id = ? AND e.name = ?", (workspace_id, name))
        return None if row is None else _stored(row).read()

    def get(self, workspace_id: str, name: str) -> Experiment:
        """Raises NotFound ``EXPERIMENT_NOT_FOUND``."""
        found = self.find(workspace_id, name)
        if found is None:
            rows = self._db.all("SELECT name FROM experiments WHERE workspace_id = ?", (workspace_id,))
            raise NotFound(
                "EXPERIMENT_NOT_FOUND",
                f"No experiment {name!r} in this workspace. {known(row[0] for row in rows)} "
                "It is made with the first run that is submitted to it.",
                {"experiment": name},
            )
        return found

    def stored(self, workspace_id: str) -> Sequence[Stored[Experiment]]:
        """By name."""
        return [
            _stored(row) for row in self._db.all(f"{_SELECT} WHERE e.workspace_id = ? ORDER BY e.name", (workspace_id,))
        ]

    def list(self, workspace_id: str) -> list[Experiment]:
        """By name; without those that cannot be read."""
        return list(readable(self.stored(workspace_id)))

    def update(self, experiment: Experiment) -> None:
        """Stores description, tags and archiving. Raises NotFound ``EXPERIMENT_NOT_FOUND``."""
        changed = self._db.execute(
            "UPDATE experiments SET description = ?, tags = ?, archived_at = ? WHERE workspace_id = ? AND name = ?",
            (
                experiment.description,
                to_json(experiment.tags),
                to_micros_or_none(experiment.archived_at),
                experiment.workspace_id,
                experiment.name.name,
            ),
        )
        if changed.rowcount == 0:
            self.get(experiment.workspace_id, experiment.name.name)

    def delete(self, workspace_id: str, name: str) -> None:
        """A missing one is fine. Its runs stay: whoever calls checks that there are none."""
        self._db.execute("DELETE FROM experiments WHERE workspace_id = ? AND name = ?", (workspace_id, name))


def _stored(row: Row) -> Stored[Experiment]:
    return stored("experiment", row[1], row, _load)


def _load(row: Row) -> Experiment:
    workspace_id, name, experiment_id, created, description, tags, archived, subscription, group, workspace = row
    return Experiment(
        name=ChildName(WorkspaceName(subscription, group, workspace), "experiments", name),
        workspace_id=workspace_id,
        experiment_id=experiment_id,
        created_at=from_micros(created),
        description=description,
        tags=from_json(tags),
        archived_at=from_micros_or_none(archived),
    )
