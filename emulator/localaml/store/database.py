"""One SQLite connection: opening, migrating, transactions, and the errors that mean something to a caller."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from localaml.errors import FailedPrecondition, NotFound, disk_full, is_disk_full
from localaml.store.changes import ChangeFeed
from localaml.store.portable import Rewrite, replace_all, write_copy
from localaml.store.schema import FORMAT_VERSION, MIGRATIONS

Row = tuple[Any, ...]


class Database:
    """A connection in autocommit mode. Belongs to the thread that opened it: the emulator's event loop.

    A statement outside of `transaction` is a transaction of its own. What `publish` is told reaches `changes` after the
    commit, and never when it is rolled back.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, changes: ChangeFeed) -> None:
        self._connection = connection
        self._path = path
        self._changes = changes
        self._depth = 0
        self._to_publish: dict[Hashable, None] = {}
        self._to_publish_all = False

    @classmethod
    def open(cls, path: Path, changes: ChangeFeed) -> Database:
        """Opens the file, making and migrating it as needed.

        Raises:
            FailedPrecondition: ``STATE_DIR_TOO_NEW``, ``STATE_DIR_DAMAGED`` when the file is no SQLite database,
                ``STATE_DIR_UNUSABLE`` when the operating system does not let us.
            ResourceExhausted: ``DISK_FULL``.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _close_to_others(path)
            connection = sqlite3.connect(path, isolation_level=None, timeout=10.0, cached_statements=256)
        except (OSError, sqlite3.OperationalError) as error:
            raise _unusable(path, error) from error
        database = cls(connection, path, changes)
        try:
            database._prepare()
        except sqlite3.DatabaseError as error:
            connection.close()
            if isinstance(error, sqlite3.OperationalError):
                raise _unusable(path, error) from error
            raise FailedPrecondition(
                "STATE_DIR_DAMAGED",
                f"{path} is not a metadata file of LocalAML ({error}). "
                "Start with another --state-dir, or move the file away.",
            ) from error
        except BaseException:
            connection.close()
            raise
        return database

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT_VERSION:
            raise FailedPrecondition(
                "STATE_DIR_TOO_NEW",
                f"{self._path} was written by a newer LocalAML (format {version}; "
                f"this one reads up to {FORMAT_VERSION}). "
                "Upgrade LocalAML, or start with another --state-dir.",
                {"format_version": str(version), "supported_format_version": str(FORMAT_VERSION)},
            )
        for pragma in (
            "journal_mode = WAL",
            # In WAL mode a commit survives the death of the process at any moment; only a crash of the machine can take
            # the last ones back (https://sqlite.org/pragma.html#pragma_synchronous).
            "synchronous = NORMAL",
            "foreign_keys = ON",
            "cache_size = -16384",
            "temp_store = MEMORY",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        for number in range(version + 1, FORMAT_VERSION + 1):
            with self.transaction():
                for statement in _statements(MIGRATIONS[number - 1]):
                    self.execute(statement)
                self.execute(f"PRAGMA user_version = {number}")

    def save_to(self, path: Path, rewrite: Rewrite) -> None:
        """See `portable.write_copy`."""
        try:
            write_copy(self._connection, path, rewrite)
        except sqlite3.OperationalError as error:
            raise _translated(error) from error

    def load_from(self, path: Path) -> None:
        """See `portable.replace_all`; records of an older format are brought to ours."""
        try:
            replace_all(self._connection, path)
        except sqlite3.OperationalError as error:
            raise _translated(error) from error
        self._prepare()
        self.publish_all()

    def close(self) -> None:
        """Closes the connection. Idempotent."""
        self._connection.close()

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """One statement."""
        try:
            return self._connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            raise _translated(error) from error

    def execute_many(self, sql: str, rows: Iterable[Row]) -> None:
        """One statement for many rows. Not atomic unless inside `transaction`."""
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.OperationalError as error:
            raise _translated(error) from error

    def insert(
        self, sql: str, values: Sequence[Any], what: str, taken: Callable[[], Exception] | None = None
    ) -> sqlite3.Cursor:
        """An INSERT. `what` names the row in the error about a missing parent; `taken` makes that for a taken key."""
        try:
            return self.execute(sql, values)
        except sqlite3.IntegrityError as error:
            if "FOREIGN KEY" in str(error):
                raise missing_parent(what) from error
            if taken is not None and "UNIQUE" in str(error):
                raise taken() from error
            raise

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        return next(self.each(sql, values), None)

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows."""
        return list(self.each(sql, values))

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Row by row, as they are asked for. Do not await while going through them.

        What is no UTF-8 in a text comes as lone surrogates: such a row can be told from the others.
        """
        count = 0
        try:
            for row in self.execute(sql, values):
                yield row
                count += 1
            return
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                raise _translated(error) from error
        self._connection.text_factory = _forgiving
        try:
            rows = self.execute(sql, values).fetchall()
        finally:
            self._connection.text_factory = str
        yield from rows[count:]

    def publish(self, topic: Hashable) -> None:
        """Tells `changes` after the commit; at once outside of a transaction."""
        if self._depth:
            self._to_publish[topic] = None
        else:
            self._changes.publish(topic)

    def publish_all(self) -> None:
        """Wakes every waiter after the commit; at once outside of a transaction."""
        if self._depth:
            self._to_publish_all = True
        else:
            self._changes.publish_all()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Inside another one: a part of it that can be rolled back alone. Do not await inside."""
        depth = self._depth
        begin, commit, rollback = (
            ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
            if depth == 0
            else (f"SAVEPOINT s{depth}", f"RELEASE s{depth}", (f"ROLLBACK TO s{depth}", f"RELEASE s{depth}"))
        )
        self.execute(begin)
        self._depth = depth + 1
        try:
            yield
            self.execute(commit)
        except BaseException:
            # A full disk can have ended the transaction already.
            if self._connection.in_transaction:
                for statement in rollback:
                    self._connection.execute(statement)
            if depth == 0:
                self._to_publish.clear()
                self._to_publish_all = False
            raise
        finally:
            self._depth = depth
        if depth == 0:
            topics, self._to_publish = self._to_publish, {}
            everything, self._to_publish_all = self._to_publish_all, False
            if everything:
                self._changes.publish_all()
            else:
                for topic in topics:
                    self._changes.publish(topic)


def _close_to_others(path: Path) -> None:
    """Makes the file, when it is missing, and gives it the mode 0600, whatever the umask. The files that SQLite makes
    beside it get the rights of the database."""
    # An existing one is not opened: a process that closes any descriptor of a file loses all its locks on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).chmod(0o600)


def _forgiving(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def missing_parent(what: str) -> NotFound:
    """The error for a row whose workspace, run or cluster is not there (any more)."""
    return NotFound("PARENT_NOT_FOUND", f"{what} cannot be stored: what it belongs to does not exist (any more).")


def _statements(script: str) -> Iterator[str]:
    # `executescript` would commit the transaction that it runs in.
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _unusable(path: Path, error: Exception) -> Exception:
    if is_disk_full(error) or "full" in str(error):
        return disk_full()
    return FailedPrecondition(
        "STATE_DIR_UNUSABLE", f"{path} cannot be opened ({error}). Is its folder yours, and is the disk writable?"
    )


def _translated(error: sqlite3.OperationalError) -> Exception:
    return disk_full() if "full" in str(error) else error
