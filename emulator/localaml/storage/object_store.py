"""Where bytes live: the `ObjectStore` protocol.

Keys are relative paths with `/` (checked by `localaml.domain.names.check_relative_path` before they get here). An object
appears under its key complete or not at all. Nothing needs memory in proportion to an object's size.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    key: str
    size_bytes: int
    modified_at: datetime


class ObjectWriter(Protocol):
    """An object being written. Exactly one of `commit` and `discard` ends it; `discard` after `commit` does nothing."""

    async def write(self, data: bytes | bytearray | memoryview) -> None: ...

    async def commit(self) -> ObjectInfo:
        """Makes the object visible under its key (replacing an older one)."""
        ...

    async def discard(self) -> None: ...


class ObjectStore(Protocol):
    """A store of objects. Raises NotFound (``OBJECT_NOT_FOUND``) for a missing key, ResourceExhausted (``DISK_FULL``) when there is
    no room."""

    async def open_writer(self, key: str) -> ObjectWriter: ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to and without `end`, in chunks of at most 1 MiB."""
        ...

    async def stat(self, key: str) -> ObjectInfo: ...

    async def list(self, prefix: str, start_after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """Objects whose key begins with `prefix` (a string prefix, as in S3), in the order of their keys."""
        ...

    async def put_file(self, key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        """Stores a file's content; with `move` the file is taken (renamed where that is possible)."""
        ...

    async def get_file(self, key: str, target: Path) -> None:
        """Copies an object to a file."""
        ...

    async def delete(self, key: str) -> None:
        """Removes an object; a missing one is fine."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Removes all objects below a prefix; returns how many."""
        ...

    def local_folder(self, prefix: str) -> Path | None:
        """The real folder that holds the objects below `prefix`, where the store is one of plain files (made when missing); else None.
        Writes into it are objects at once."""
        ...
