"""Keeps a key from being a file and a folder at once, in clouds that know no folders.

A cloud would take both; but they could not be mounted, nor downloaded. To look before each write would double the
requests (and a list is the slowest there is), so what was seen is remembered: all that this process writes at once,
what others write after half a minute. Nothing is refused by memory alone.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from localaml.errors import NotFound
from localaml.storage.safe_tree import conflict

if TYPE_CHECKING:
    from localaml.storage.remote import RemoteStore

# Folders that are known to be no objects, so that not every write has to look.
_KNOWN_FOLDERS = 20_000
# Folders whose sub-folders are known, all of them, because they fitted into one page of a listing.
_KNOWN_PARENTS = 1_000
_PAGE = 1000
_TRUST_SECONDS = 30.0


class RemoteFolders:
    """What is a folder in one store. Blocks; safe to use from several threads."""

    def __init__(self, store: RemoteStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()
        # Parent -> until when it counts, and the names of its sub-folders; None: it has too much to know them all.
        self._below: OrderedDict[str, tuple[float, frozenset[str] | None]] = OrderedDict()

    def check(self, key: str) -> None:
        """Raises FailedPrecondition ``OBJECT_PATH_CONFLICT`` when what is there would make the key a file and a folder
        at once."""
        place = self._store.names.place(key)
        base = key[: len(key) - len(place.key)]
        parts = place.key.split("/")
        for depth in range(len(parts) - 1, 0, -1):
            above = base + "/".join(parts[:depth])
            with self._lock:
                if above in self._known:
                    self._known.move_to_end(above)
                    break
            with suppress(NotFound):
                self._store.head(above)
                raise conflict(key, above, "a file or a link")
        if not self._is_surely_no_folder(key, place.bucket, place.key) and self._has_something(
            place.bucket, place.key + "/"
        ):
            raise conflict(key, key, "a folder")

    def written(self, key: str) -> None:
        """Notes that an object is there now."""
        with self._lock:
            self._known.pop(key, None)
            parts = key.split("/")
            for depth in range(1, len(parts)):
                self._known["/".join(parts[:depth])] = None
            while len(self._known) > _KNOWN_FOLDERS:
                self._known.popitem(last=False)

    def _is_surely_no_folder(self, key: str, bucket: str, path: str) -> bool:
        with self._lock:
            if key in self._known:
                return False
        parent, _, name = path.rpartition("/")
        names = self._folders_below(key[: len(key) - len(name)], bucket, f"{parent}/" if parent else "")
        return names is not None and name not in names

    def _folders_below(self, parent: str, bucket: str, prefix: str) -> frozenset[str] | None:
        """The names of all sub-folders of a folder, as they were lately; None when they are not known."""
        now = time.monotonic()
        with self._lock:
            until, names = self._below.get(parent, (0.0, None))
            if now < until:
                return names
        seen = [entry.name[len(prefix) :] for entry in islice(self._store.entries(bucket, prefix, "", _PAGE), _PAGE)]
        if len(seen) < _PAGE:
            names = frozenset(name.partition("/")[0] for name in seen if "/" in name)
        with self._lock:
            self._below[parent] = (now + _TRUST_SECONDS, names if len(seen) < _PAGE else None)
            self._below.move_to_end(parent)
            while len(self._below) > _KNOWN_PARENTS:
                self._below.popitem(last=False)
            return self._below[parent][1]

    def _has_something(self, bucket: str, prefix: str) -> bool:
        return next(self._store.entries(bucket, prefix, "", 1), None) is not None
