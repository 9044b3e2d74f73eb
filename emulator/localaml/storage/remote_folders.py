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
from typing import TYPE_CHECKING, NamedTuple

from localaml.errors import NotFound
from localaml.storage.safe_tree import conflict

if TYPE_CHECKING:
    from localaml.storage.bucket_names import Place
    from localaml.storage.remote import RemoteStore

# Folders that are known to be no objects, so that not every write has to look.
_KNOWN_FOLDERS = 20_000
# Folders of which a part of the listing is known, and how many parts of each.
_KNOWN_PARENTS = 1_000
_STRETCHES = 50
_PAGE = 1000
_TRUST_SECONDS = 30.0


class _Stretch(NamedTuple):
    """A part of the listing below a folder: what comes behind `after` up to and with `last` (None: up to its end).

    Attributes:
        until: machine time up to which it counts.
        folders: the names of the sub-folders in it.
    """

    after: str
    last: str | None
    until: float
    folders: frozenset[str]

    def covers(self, word: str) -> bool:
        return self.after < word and (self.last is None or word <= self.last)


class RemoteFolders:
    """What is a folder in one store. Blocks; safe to use from several threads."""

    def __init__(self, store: RemoteStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._listings: OrderedDict[str, list[_Stretch]] = OrderedDict()

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
        if self._may_be_folder(key, place) and self._has_something(place.bucket, place.key + "/"):
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

    def _may_be_folder(self, key: str, place: Place) -> bool:
        with self._lock:
            if key in self._known:
                return True
        parent, _, name = place.key.rpartition("/")
        return name in self._stretch(key[: len(key) - len(name)], place.bucket, f"{parent}/" if parent else "", name)

    def _stretch(self, parent: str, bucket: str, prefix: str, name: str) -> frozenset[str]:
        """The names of the sub-folders around a name, as they were lately.

        The objects in a folder `x` come behind `x/`. So a stretch that begins before `x/` and goes on to it or beyond
        has at least one of them, if there are any: it ends with another object, or with the listing.
        """
        word, now = name + "/", time.monotonic()
        with self._lock:
            stretches = [each for each in self._listings.get(parent, ()) if now < each.until]
        for each in stretches:
            if each.covers(word):
                return each.folders
        # First from the front: most folders are small. Then from the name on: who writes many does so in their order.
        after = name if stretches else ""
        found = self._list(bucket, prefix, after)
        if not found.covers(word):
            found = self._list(bucket, prefix, name)
        with self._lock:
            self._listings[parent] = [*stretches[-_STRETCHES:], found]
            self._listings.move_to_end(parent)
            while len(self._listings) > _KNOWN_PARENTS:
                self._listings.popitem(last=False)
        return found.folders

    def _list(self, bucket: str, prefix: str, after: str) -> _Stretch:
        until = time.monotonic() + _TRUST_SECONDS
        entries = self._store.entries(bucket, prefix, prefix + after if after else "", _PAGE)
        names = [entry.name[len(prefix) :] for entry in islice(entries, _PAGE)]
        folders = frozenset(name.partition("/")[0] for name in names if "/" in name)
        return _Stretch(after, names[-1] if len(names) == _PAGE else None, until, folders)

    def _has_something(self, bucket: str, prefix: str) -> bool:
        return next(self._store.entries(bucket, prefix, "", 1), None) is not None
