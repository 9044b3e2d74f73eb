"""Records as they lie in the database: one that cannot be read is in nobody's way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from localaml.errors import LocalAmlError, unreadable_record
from localaml.store.database import Row

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stored(Generic[_T]):
    """A record that has not been read yet.

    Attributes:
        what: `run`, `datastore`, ...
        id: what it is called among its kind.
    """

    what: str
    id: str
    row: Row = field(repr=False)
    load: Callable[[Row], _T] = field(repr=False)

    def read(self) -> _T:
        """Raises FailedPrecondition ``RECORD_UNREADABLE``: it is damaged, or of another version."""
        try:
            return self.load(self.row)
        except LocalAmlError:
            raise
        except Exception as error:
            # Whatever is wrong with a row (no JSON, a state that there is not, a number out of range) shows like this.
            raise unreadable_record(f"{type(error).__name__}: {error}", f"The {self.what} {self.id!r}") from error


def stored(what: str, id_: object, row: Row, load: Callable[[Row], _T]) -> Stored[_T]:
    """A record with an id that may itself be no text."""
    return Stored(what, printable(id_), row, load)


def printable(value: object) -> str:
    """A text that every transport can carry, of whatever is in an id's column."""
    text = value if isinstance(value, str) else repr(value)
    return text.encode("utf-8", "backslashreplace").decode()


def readable(records: Iterable[Stored[_T]]) -> Iterator[_T]:
    """What can be read; the rest is logged and left out: the emulator's own work goes on without it."""
    for record in records:
        try:
            yield record.read()
        except LocalAmlError as error:
            _LOG.warning("%s", error)
