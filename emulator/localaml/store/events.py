"""The history: what has happened, in order. The newest are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from localaml.domain.models import Event
from localaml.store.codec import from_micros, to_micros
from localaml.store.database import Database, Row
from localaml.store.stored import Stored, readable, stored

_COLUMNS = "at, kind, workspace_id, cluster, run_id, subject, old_state, new_state, cause"
_SELECT = (
    f"SELECT seq, {_COLUMNS} FROM events WHERE seq > ?1 AND (?2 = '' OR workspace_id = ?2) "
    "AND (?3 = '' OR run_id = ?3) AND (?4 = '' OR cluster = ?4) AND (?5 = '' OR kind = ?5)"
)
_MOST = 20_000
# So many more may be there before the oldest are removed: not every event has to pay for that.
_SLACK = 500

EVENTS_TOPIC = "events"
"""What `ChangeFeed` publishes after each event."""


class EventFilter(NamedTuple):
    """Which events are wanted; empty means all."""

    workspace_id: str = ""
    run_id: str = ""
    cluster: str = ""
    kind: str = ""


ALL_EVENTS = EventFilter()


class Events:
    """An append-only story of bounded length. Publishes `EVENTS_TOPIC` after each event."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def append(self, event: Event) -> int:
        """Stores an event; returns its number."""
        values = (
            to_micros(event.at),
            event.kind,
            event.workspace_id,
            event.cluster,
            event.run_id,
            event.subject,
            event.old_state,
            event.new_state,
            event.cause,
        )
        sequence = self._db.execute(
            f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values
        ).lastrowid
        assert sequence is not None
        if sequence % _SLACK == 0:
            self._db.execute("DELETE FROM events WHERE seq <= ?", (sequence - _MOST,))
        self._db.publish(EVENTS_TOPIC)
        return sequence

    def last(self) -> int:
        """The number of the newest event; 0 when there is none."""
        row = self._db.one("SELECT max(seq) FROM events")
        return 0 if row is None or row[0] is None else int(row[0])

    def forget(self, workspace_id: str | None = None) -> None:
        """Removes the events of a workspace, or all. Numbers are not given again."""
        if workspace_id is None:
            self._db.execute("DELETE FROM events")
        else:
            self._db.execute("DELETE FROM events WHERE workspace_id = ?", (workspace_id,))

    def newest(self, wanted: EventFilter, after: int, limit: int) -> Sequence[Event]:
        """As `newest_stored`, without those that cannot be read."""
        return list(readable(self.newest_stored(wanted, after, limit)))

    def newest_stored(self, wanted: EventFilter, after: int, limit: int) -> Sequence[Stored[Event]]:
        """The newest ones that are wanted, oldest of them first."""
        rows = self._db.all(f"{_SELECT} ORDER BY seq DESC LIMIT ?6", (after, *wanted, limit))
        return [_stored(row) for row in reversed(rows)]

    # Last in the class: below it, `list` would be this method, not the type.
    def list(self, wanted: EventFilter = ALL_EVENTS, after: int = 0, limit: int = 1000) -> list[Event]:
        """Oldest first, those after the number `after`; without those that cannot be read."""
        rows = self._db.all(f"{_SELECT} ORDER BY seq LIMIT ?6", (after, *wanted, limit))
        return list(readable(_stored(row) for row in rows))


def _stored(row: Row) -> Stored[Event]:
    return stored("event", row[0], row, _load)


def _load(row: Row) -> Event:
    sequence, at, kind, workspace_id, cluster, run_id, subject, old_state, new_state, cause = row
    return Event(
        kind=kind,
        at=from_micros(at),
        subject=subject,
        cause=cause,
        old_state=old_state,
        new_state=new_state,
        workspace_id=workspace_id,
        cluster=cluster,
        run_id=run_id,
        sequence=sequence,
    )
