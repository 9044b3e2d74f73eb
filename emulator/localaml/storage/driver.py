"""What a `RemoteStore` needs of a cloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from localaml.errors import LocalAmlError
from localaml.storage.bucket_names import BucketNames, Place


class BrokenOff(Exception):
    """A body ended before its time."""

    def __init__(self, got: int, wanted: int) -> None:
        super().__init__(f"the body ended after {got} of {wanted} bytes")


class Replaced(Exception):
    """There is another object under this name by now: also where the server does not look at conditions."""

    def __init__(self) -> None:
        super().__init__("it was replaced")


class WrongRange(Exception):
    """A server that does not look at ranges: to go on with its bytes would mix up the object's."""

    def __init__(self, wanted: int, told: str) -> None:
        super().__init__(f"asked for the range from {wanted} on, it sent {told or 'all bytes'}")


def check_range(offset: int, status: int, content_range: str) -> None:
    """Raises WrongRange when an answer does not begin where it was asked to."""
    if status != 206 or not content_range.startswith(f"bytes {offset}-"):
        raise WrongRange(offset, content_range)


class Body(Protocol):
    """Bytes on their way."""

    def read(self, count: int, /) -> bytes:
        """At most `count` bytes; none at the end."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Found:
    """An object. `tag` is another one after each replacement by something else."""

    size_bytes: int
    modified_at: datetime
    tag: str


@dataclass(frozen=True, slots=True)
class Opened:
    found: Found
    body: Body


class Entry(NamedTuple):
    """An object in a listing."""

    name: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing; `next_after` is empty at its end."""

    entries: Sequence[Entry]
    next_after: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An object in parts that was begun and neither completed nor aborted. Nobody sees it, but it takes room."""

    name: str
    upload: str
    begun_at: datetime


class Driver(Protocol):
    """One request (or few) per call; blocks; raises the cloud's own errors, which the `is_...` methods tell apart."""

    names: BucketNames

    def head(self, place: Place) -> Found: ...

    def open(self, place: Place, offset: int, tag: str | None) -> Opened:
        """The bytes from `offset` on; of the object with this tag, when one is given."""
        ...

    def put(self, place: Place, data: bytes) -> datetime | None:
        """Stores an object; returns when, where the cloud says so."""
        ...

    def begin(self, place: Place) -> str:
        """Begins an object in parts; returns a word for it."""
        ...

    def part(self, place: Place, upload: str, number: int, data: bytes) -> Any: ...

    def complete(self, place: Place, upload: str, parts: Sequence[Any], size_bytes: int) -> datetime | None:
        """Makes an object of parts. May be called again when its answer was lost."""
        ...

    def abort(self, place: Place, upload: str) -> None: ...

    def copy(self, source: Place, target: Place) -> None: ...

    def delete(self, place: Place) -> None: ...

    def delete_many(self, bucket: str, names: Sequence[str]) -> None: ...

    def page(self, bucket: str, prefix: str, after: str, limit: int) -> Page: ...

    def unfinished(self, bucket: str, prefix: str) -> Sequence[Unfinished]:
        """What could be aborted; nothing where the cloud sees to it itself."""
        ...

    def buckets(self) -> Sequence[str]: ...

    def make_bucket(self, bucket: str) -> None:
        """One that is there already is fine."""
        ...

    def remove_bucket(self, bucket: str) -> None: ...

    def close(self) -> None: ...

    def is_missing(self, error: Exception) -> bool: ...

    def is_transient(self, error: Exception) -> bool: ...

    def is_replaced(self, error: Exception) -> bool: ...

    def is_damaged(self, error: Exception) -> bool: ...

    def refused(self, error: Exception, what: str) -> LocalAmlError:
        """Our error for a request that was refused for good."""
        ...
