"""Where bytes live: the `ObjectStore` protocol.

Keys are relative paths with `/` (checked by `localaml.domain.names.check_relative_path` before they get here). An
object appears under its key complete or not at all. Nothing needs memory in proportion to an object's size.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object.

    Attributes:
        sha256: in hex digits, of the bytes that `put_file` has just stored; empty everywhere else.
    """

    key: str
    size_bytes: int
    modified_at: datetime
    sha256: str = ""


class ObjectWriter(Protocol):
    """An object being written. Exactly one of `commit` and `discard` ends it; `discard` after `commit` does nothing.

    A `commit` that raises leaves the object as it was; `discard` then still has to be called.
    """

    async def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def write_blocking(self, data: bytes | bytearray | memoryview) -> None:
        """`write` for a thread that may block: bulk transfers do not pass the event loop."""
        ...

    async def commit(self) -> ObjectInfo:
        """Makes the object visible under its key (replacing an older one)."""
        ...

    async def discard(self) -> None: ...


class ObjectReader(Protocol):
    """An object opened for reading: goes on giving the same bytes when the object is replaced or removed meanwhile."""

    @property
    def info(self) -> ObjectInfo: ...

    @property
    def is_at_hand(self) -> bool:
        """Whether `read_into` never waits for a network."""
        ...

    @property
    def version(self) -> str:
        """A word that is another one after each replacement of the object."""
        ...

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fills `buffer` with the bytes from `offset` on; returns how many (0 at the end). May block."""
        ...

    def close(self) -> None: ...


class ObjectStore(Protocol):
    """A store of objects.

    Raises NotFound (``OBJECT_NOT_FOUND``) for a missing key, ResourceExhausted (``DISK_FULL``) when there is no room,
    FailedPrecondition (``OBJECT_PATH_CONFLICT``) where a key would have to be a file and a folder at once,
    InvalidArgument (``INVALID_PATH``) for a key that is not a clean relative path.
    """

    async def open_writer(self, key: str) -> ObjectWriter: ...

    async def open_reader(self, key: str) -> ObjectReader: ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to and without `end`, in chunks of at most 1 MiB."""
        ...

    async def stat(self, key: str) -> ObjectInfo: ...

    async def stat_many(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        """`stat` of those of the objects that are there, by key."""
        ...

    async def list(self, prefix: str, start_after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """Objects whose key begins with `prefix` (a string prefix, as in S3), in the order of their keys."""
        ...

    async def put_file(self, key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        """Stores a file's content; with `move` the file is taken (without copying where that is possible).

        At each instant the bytes are reachable under the old or the new name: the file goes when the object is in its
        place, and stays when that fails. Raises InvalidArgument ``NOT_A_FILE`` for what is no plain file, or was
        replaced by another while it was taken.
        """
        ...

    async def get_file(self, key: str, target: Path) -> None:
        """Copies an object to a file."""
        ...

    async def copy(self, source: str, key: str) -> ObjectInfo:
        """Copies an object to another key: later writes to either do not reach the other."""
        ...

    async def delete(self, key: str) -> None:
        """Removes an object; a missing one is fine."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Removes all objects below a prefix; returns how many."""
        ...

    def local_folder(self, prefix: str) -> Path | None:
        """The real folder that holds the objects below `prefix`, where the store is one of plain files; else None.

        It is made when missing. Writes into it are objects at once.
        """
        ...
