"""Metadata files that travel: written from an open database, and checked before they replace one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from localaml.domain.names import check_name, check_relative_path
from localaml.errors import FailedPrecondition, InvalidArgument, LocalAmlError
from localaml.store.codec import from_json, to_json
from localaml.store.schema import FORMAT_VERSION, MIGRATIONS

_JSON_COLUMNS = (("runs", "seq", "execution"), ("assets", "seq", "payload"))
# Ids become parts of paths.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_IDS = (
    ("workspaces", "workspace_id"),
    ("nodes", "node_id"),
    ("assets", "asset_id"),
    ("experiments", "experiment_id"),
)
_FIRST_WITH_FAULTS, _FIRST_WITH_UNFINISHED = 4, 5
_NAMES = (("clusters", "name", "compute target"), ("runs", "run_id", "run id"), ("datastores", "name", "datastore"))


class Rewrite(Protocol):
    """Takes out of records what is not to travel."""

    def definition(self, stored: bytes) -> bytes:
        """Of a run's definition."""
        ...

    def values(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Of a JSON object."""
        ...


def write_copy(connection: sqlite3.Connection, target: Path, rewrite: Rewrite) -> None:
    """A copy of all records, as they are now, without secrets of key vaults, since their key does not travel, and
    without what is this emulator's own: faults, and notes on what it has begun."""
    connection.execute("VACUUM INTO ?", (str(target),))
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("DELETE FROM secrets")
        copy.execute("DELETE FROM fault_looks")
        copy.execute("DELETE FROM faults")
        copy.execute("DELETE FROM unfinished")
        copy.execute("UPDATE datastores SET secret = ''")
        for table, key, column in _JSON_COLUMNS:
            for row, stored in copy.execute(f"SELECT {key}, {column} FROM {table}").fetchall():
                kept = to_json(rewrite.values(from_json(stored)))
                copy.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (kept, row))
        for row, stored in copy.execute("SELECT seq, definition FROM runs").fetchall():
            copy.execute("UPDATE runs SET definition = ? WHERE seq = ?", (rewrite.definition(stored), row))
        # What was removed is still in the file before this.
        copy.execute("VACUUM")
    target.chmod(0o600)


def replace_all(connection: sqlite3.Connection, source: Path) -> None:
    """Replaces all records by those of a file that was checked; as a whole or not at all."""
    with closing(sqlite3.connect(source, isolation_level=None)) as copy:
        copy.backup(connection)


def check_copy(path: Path) -> None:
    """Checks that a file can take the place of the records.

    Raises:
        InvalidArgument: ``STATE_ARCHIVE_INVALID``: damaged, with other tables than ours, or with names that cannot be.
        FailedPrecondition: ``STATE_ARCHIVE_TOO_NEW``, ``STATE_ARCHIVE_RUNS_ACTIVE``.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as copy:
            # Nothing that the file defines (views, triggers) may run before it is known to be ours.
            copy.execute("PRAGMA trusted_schema = OFF")
            _check(copy)
    except sqlite3.Error as error:
        raise _bad(f"its records are damaged ({error})") from None


def _check(copy: sqlite3.Connection) -> None:
    version = copy.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT_VERSION:
        raise FailedPrecondition(
            "STATE_ARCHIVE_TOO_NEW",
            f"The archive's records are of a newer LocalAML (format {version}; this one reads up to {FORMAT_VERSION}). "
            "Load it with that version.",
        )
    if version < 1 or _schema(copy) != _our_schema(version):
        raise _bad("its records have other tables than ours")
    if [row[0] for row in copy.execute("PRAGMA quick_check(1)")] != ["ok"]:
        raise _bad("its records are damaged")
    if copy.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise _bad("its records do not fit together")
    if version >= _FIRST_WITH_FAULTS and copy.execute("SELECT 1 FROM faults").fetchone() is not None:
        raise _bad("it has faults, which no archive has")
    if version >= _FIRST_WITH_UNFINISHED and copy.execute("SELECT 1 FROM unfinished").fetchone() is not None:
        raise _bad("it has notes on unfinished writes, which no archive has")
    for table, column in _IDS:
        for value in _values(copy, table, column):
            if not _ID.fullmatch(value):
                raise _bad(f"it has the id {value[:64]!r}")
    try:
        for table, column, kind in _NAMES:
            for value in _values(copy, table, column):
                check_name(kind, value)
        for value in _values(copy, "artifacts", "object_key"):
            check_relative_path(value)
    except LocalAmlError as error:
        raise _bad(error.message) from None
    for column in ("account_name", "container_name"):
        for value in _values(copy, "datastores", column):
            if value and not _CONTAINER.fullmatch(value):
                raise _bad(f"it has a datastore with the {column} {value[:64]!r}")
    if copy.execute("SELECT 1 FROM runs WHERE submitted = 1 AND is_terminal = 0").fetchone() is not None:
        raise FailedPrecondition(
            "STATE_ARCHIVE_RUNS_ACTIVE", "The archive has runs that had not ended: they cannot go on here."
        )


def _values(copy: sqlite3.Connection, table: str, column: str) -> Iterator[str]:
    for (value,) in copy.execute(f"SELECT {column} FROM {table}"):
        if not isinstance(value, str):
            raise _bad(f"{table}.{column} is no text")
        yield value


def _schema(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    rows = connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master").fetchall()
    # What SQLite keeps for itself is made by VACUUM and ANALYZE, or not.
    return {tuple(row) for row in rows if row[1] not in ("sqlite_sequence", "sqlite_stat1", "sqlite_stat4")}


def _our_schema(version: int) -> set[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as fresh:
        for script in MIGRATIONS[:version]:
            fresh.executescript(script)
        return _schema(fresh)


def _bad(why: str) -> InvalidArgument:
    return InvalidArgument("STATE_ARCHIVE_INVALID", f"This is no whole archive of a LocalAML state: {why}.")
