"""What was begun in the object store and has no record yet, or no record any more.

Who writes objects that a record is to own notes them first, and forgets them in the transaction of the record; who
removes a record notes its objects in that transaction, and forgets them when they are gone. So a start knows what a
killed emulator has left (`jobs.unfinished_writes`).
"""

from __future__ import annotations

from collections.abc import Iterable

from localaml.store.database import Database


class Unfinished:
    """A set of keys of objects; one that ends with a slash means all objects below it."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def note(self, keys: Iterable[str]) -> None:
        """Adds keys; those that are there are fine."""
        with self._db.transaction():
            self._db.execute_many("INSERT OR IGNORE INTO unfinished VALUES (?)", [(key,) for key in keys])

    def forget(self, keys: Iterable[str]) -> None:
        """Takes keys out; missing ones are fine."""
        with self._db.transaction():
            self._db.execute_many("DELETE FROM unfinished WHERE key = ?", [(key,) for key in keys])

    def has(self, key: str) -> bool:
        return self._db.one("SELECT 1 FROM unfinished WHERE key = ?", (key,)) is not None

    def list(self) -> list[str]:
        """All of them, in order."""
        return [row[0] for row in self._db.all("SELECT key FROM unfinished ORDER BY key")]
