"""Whether a file here and an object of the emulator are the same, without sending either: by SHA-256 of their bytes.

Sizes and times alone do not say that: archives and build tools give many files the same time, and a file that is
rewritten often keeps its size.
"""

import hashlib
from typing import IO, Callable, NamedTuple, Optional

from azureml._localaml.byte_requests import RangeDigest

# The first block is small: where files differ, they mostly do so early. No block takes longer than a connection waits.
_FIRST_BLOCK = 1 << 20
_BLOCK = 256 << 20
_READ = 1 << 20

# Asks the emulator for the digest of a range: offset, count.
Ask = Callable[[int, int], Optional[RangeDigest]]


class Match(NamedTuple):
    """How far a file is what an object begins with.

    Attributes:
        length: so many bytes from the start on are the same (whole blocks: there may be a few more).
        total: size of the object; None when it could not be had.
        tag: its version.
        stored: its SHA-256 when it was stored, where that was noted.
    """

    length: int
    total: Optional[int]
    tag: Optional[str]
    stored: Optional[bytes] = None


def match(ask: "Ask", file: IO[bytes], size: int, whole: bool) -> "Match":
    """Compares the first `size` bytes of a file with an object, block by block up to the first one that differs.

    Args:
        whole: only an object of this very size is of interest.
    """
    count, total, tag, stored = 0, None, None, None
    while count < size:
        length = min(_BLOCK if count else _FIRST_BLOCK, size - count)
        told = ask(count, length)
        if told is None or (tag is not None and told.tag != tag):
            # Nothing is known, or it was replaced while we looked.
            return Match(0, total, tag)
        total, tag, stored = told.total, told.tag, told.stored
        if (whole and total != size) or told.length != length or told.sha256 != _sha256(file, count, length):
            break
        count += length
    return Match(count, total, tag, stored)


def sha256_of(path: str) -> bytes:
    """Of a whole file."""
    with open(path, "rb") as file:
        return _sha256(file, 0, file.seek(0, 2))


def _sha256(file: IO[bytes], offset: int, count: int) -> bytes:
    digest = hashlib.sha256()
    file.seek(offset)
    while count:
        block = file.read(min(_READ, count))
        if not block:
            break
        digest.update(block)
        count -= len(block)
    return digest.digest()
