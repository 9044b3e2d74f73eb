"""Where Azure's listings have been: so that one that goes on behind a name need not begin at the front.

Azure goes on only with a marker of its own. A marker with which a page began stands at or before the first name of that
page, whatever was written or removed since: so it is good for all that comes behind that name, and nothing is missed.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict

# Containers and prefixes of which marks are kept, and marks of each (a mark is for a page).
_LISTINGS = 100
_MARKS = 10_000


def in_order(name: str) -> bytes:
    """What names are listed by: their UTF-16. Python compares characters, for which U+FFEE comes before an emoji."""
    return name.encode("utf-16-be", "surrogatepass")


class Marks:
    """First names of pages, and the markers that these pages began with. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listings: OrderedDict[tuple[str, str], tuple[list[bytes], list[str]]] = OrderedDict()

    def note(self, bucket: str, prefix: str, first: str, marker: str) -> None:
        """A page of the names with this prefix that was asked for with `marker` began with `first`."""
        if not marker:
            return
        with self._lock:
            names, markers = self._listings.setdefault((bucket, prefix), ([], []))
            self._listings.move_to_end((bucket, prefix))
            while len(self._listings) > _LISTINGS:
                self._listings.popitem(last=False)
            if len(names) >= _MARKS:
                names.clear()
                markers.clear()
            word = in_order(first)
            at = bisect_left(names, word)
            if at < len(names) and names[at] == word:
                markers[at] = marker
            else:
                names.insert(at, word)
                markers.insert(at, marker)

    def find(self, bucket: str, prefix: str, after: str) -> str:
        """The best marker for what comes behind a name; empty: begin at the front."""
        with self._lock:
            names, markers = self._listings.get((bucket, prefix), ([], []))
            at = bisect_right(names, in_order(after))
            return markers[at - 1] if at else ""

    def forget(self, bucket: str, prefix: str) -> None:
        """They are not good any more."""
        with self._lock:
            self._listings.pop((bucket, prefix), None)
