"""Runs: stored whole, with columns of their own for what is filtered and sorted by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from localaml.domain.models import Run, RunKey
from localaml.errors import AlreadyExists, LocalAmlError, NotFound
from localaml.store.codec import known, to_json
from localaml.store.database import Database, Row
from localaml.store.run_filter import RunFilter, list_query
from localaml.store.run_rows import (
    CHANGEABLE_COLUMNS,
    INSERT_RUN,
    SELECT_RUN,
    changeable_values,
    fixed_values,
    label_rows,
    load_run,
)
from localaml.store.stored import Stored, readable, stored

_UPDATE = (
    f"UPDATE runs SET {', '.join(f'{name} = ?' for name in CHANGEABLE_COLUMNS)} WHERE workspace_id = ? AND run_id = ?"
)
_ACTIVE = "submitted = 1 AND is_terminal = 0"


class RunPage(NamedTuple):
    """One page of a listing. `next_after` is what to go on with, 0 when this was the last page."""

    runs: list[Run]
    next_after: int


class Runs:
    """Keyed by workspace id and run id. Publishes a run's key after each change."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, run: Run) -> Run:
        """Stores a new run; returns it with its `number`: one more than the last of its experiment.

        Raises:
            AlreadyExists: ``RUN_EXISTS`` (also when another run has its request id).
            NotFound: ``PARENT_NOT_FOUND`` when its workspace is gone.
            ResourceExhausted: ``DISK_FULL``.
        """

        def taken() -> LocalAmlError:
            return AlreadyExists(
                "RUN_EXISTS",
                f"A run {run.run_id!r} exists already in this workspace. Submit under another run id, or leave it out.",
                {"run_id": run.run_id},
            )

        with self._db.transaction():
            last = self._db.one(
                "SELECT number FROM runs WHERE workspace_id = ? AND experiment = ? ORDER BY seq DESC LIMIT 1",
                (run.workspace_id, run.name.experiment),
            )
            run = replace(run, number=1 if last is None else last[0] + 1)
            values = fixed_values(run) + changeable_values(run)
            seq = self._db.insert(INSERT_RUN, values, f"Run {run.run_id!r}", taken).lastrowid
            assert seq is not None
            self._insert_labels(run, seq)
            self._db.publish(run.key)
        return run

    def find(self, key: RunKey) -> Run | None:
        row = self._db.one(f"{SELECT_RUN} WHERE r.workspace_id = ? AND r.run_id = ?", key)
        return None if row is None else _stored(row).read()

    def is_going_on(self, key: RunKey) -> bool:
        """Whether there is such a run, and it, or something of it, goes on."""
        found = self.find(key)
        return found is not None and not found.is_over

    def get(self, key: RunKey) -> Run:
        """Raises NotFound ``RUN_NOT_FOUND``."""
        found = self.find(key)
        if found is None:
            raise self._not_found(key)
        return found

    def find_request(self, workspace_id: str, request_id: str) -> Run | None:
        """The run that was made by this request."""
        if not request_id:
            return None
        row = self._db.one(
            f"{SELECT_RUN} WHERE r.workspace_id = ? AND r.request_id = ? AND r.request_id <> ''",
            (workspace_id, request_id),
        )
        return None if row is None else _stored(row).read()

    def update(self, run: Run) -> None:
        """Stores all that can change (not key, experiment, number, creation time, request id, definition).

        Raises NotFound ``RUN_NOT_FOUND``.

        Whoever holds a `Run` across an `await` must read it again before this: what others changed meanwhile
        would be undone. `modify` does both.
        """
        with self._db.transaction():
            row = self._db.one("SELECT seq, tags, properties FROM runs WHERE workspace_id = ? AND run_id = ?", run.key)
            if row is None:
                raise self._not_found(run.key)
            self._db.execute(_UPDATE, (*changeable_values(run), *run.key))
            seq, tags, properties = row
            if tags != to_json(run.tags) or properties != to_json(run.properties):
                self._db.execute("DELETE FROM run_labels WHERE seq = ?", (seq,))
                self._insert_labels(run, seq)
            self._db.publish(run.key)

    def modify(self, key: RunKey, change: Callable[[Run], Run]) -> Run:
        """Reads the run, stores and returns what `change` makes of it. Raises NotFound ``RUN_NOT_FOUND``."""
        run = change(self.get(key))
        self.update(run)
        return run

    def list_active(self) -> list[Run]:
        """Submitted runs of which something goes on, of all workspaces, oldest first; without those that cannot be
        read."""
        # Left alone, SQLite reads all runs to save itself the sorting of these few.
        active = SELECT_RUN.replace("FROM runs r", "FROM runs r INDEXED BY runs_active")
        return list(readable(_stored(row) for row in self._db.all(f"{active} WHERE {_ACTIVE} ORDER BY r.seq")))

    def count_active(self) -> int:
        row = self._db.one(f"SELECT count(*) FROM runs WHERE {_ACTIVE}")
        assert row is not None
        return int(row[0])

    def count(self, workspace_id: str, experiment: str) -> int:
        """How many runs an experiment has."""
        row = self._db.one(
            "SELECT count(*) FROM runs WHERE workspace_id = ? AND experiment = ?", (workspace_id, experiment)
        )
        assert row is not None
        return int(row[0])

    def row_number(self, key: RunKey) -> int:
        """What other tables call the run. Raises NotFound ``RUN_NOT_FOUND``."""
        row = self._db.one("SELECT seq FROM runs WHERE workspace_id = ? AND run_id = ?", key)
        if row is None:
            raise self._not_found(key)
        return int(row[0])

    def _insert_labels(self, run: Run, seq: int) -> None:
        if run.tags or run.properties:
            self._db.execute_many("INSERT INTO run_labels VALUES (?, ?, ?, ?, ?)", label_rows(run, seq))

    def _not_found(self, key: RunKey) -> NotFound:
        rows = self._db.all(
            "SELECT run_id FROM runs WHERE workspace_id = ? ORDER BY seq DESC LIMIT 5", (key.workspace_id,)
        )
        newest = f"The newest: {', '.join(row[0] for row in rows)}." if rows else known(())
        return NotFound(
            "RUN_NOT_FOUND",
            f"No run {key.run_id!r} in this workspace. {newest} `localaml run list` shows all.",
            {"run_id": key.run_id},
        )

    def scan(self, workspace_id: str, run_filter: RunFilter, after: int = 0) -> Iterator[tuple[int, Run]]:
        """As `scan_stored`, without those that cannot be read."""
        for seq, record in self.scan_stored(workspace_id, run_filter, after):
            for run in readable([record]):
                yield seq, run

    def scan_stored(
        self, workspace_id: str, run_filter: RunFilter, after: int = 0
    ) -> Iterator[tuple[int, Stored[Run]]]:
        """Runs newest first, each with what to go on with after it; read one by one, as they are asked for.

        Do not await while going through them.
        """
        sql, values = list_query(workspace_id, run_filter, after)
        for row in self._db.each(sql, values):
            # The last column is `seq`.
            yield row[-1], _stored(row)

    # Last in the class: below it, `list` would be this method, not the type.
    def list(self, workspace_id: str, run_filter: RunFilter, after: int = 0, limit: int = 1000) -> RunPage:
        """Newest first. `after` is `next_after` of the page before, 0 for the first one."""
        found = list(islice(self.scan(workspace_id, run_filter, after), limit + 1))
        next_after = found[limit - 1][0] if len(found) > limit else 0
        return RunPage([run for _, run in found[:limit]], next_after)


def _stored(row: Row) -> Stored[Run]:
    return stored("run", row[1], row, load_run)
