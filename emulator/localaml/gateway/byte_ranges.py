"""The `Range` header (RFC 9110, section 14): one range of bytes."""

from __future__ import annotations

import re

from localaml.errors import InvalidArgument

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


class RangeNotSatisfiable(InvalidArgument):
    """The range begins behind the end: status 416 with the real size."""

    def __init__(self, size: int) -> None:
        super().__init__("RANGE_NOT_SATISFIABLE", f"The range lies behind the end: there are {size} bytes.")
        self.size = size


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; None when all is to be sent.

    A header that is not understood is no header (also several ranges: sending everything is allowed).

    Raises:
        RangeNotSatisfiable: nothing of the range is there.
    """
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if match is None or len(match[0]) > 60:
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    elif last:
        start, end = max(0, size - int(last)), size
        if int(last) == 0:
            raise RangeNotSatisfiable(size)
    else:
        return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return start, end
