"""How several things done at once end, and what the disk says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from localaml.errors import FailedPrecondition, disk_full, is_disk_full

_T = TypeVar("_T")


async def all_of(work: Iterable[Awaitable[_T]]) -> list[_T]:
    """All results; when one fails the others are waited for before that is told."""
    done = await asyncio.gather(*work, return_exceptions=True)
    results = []
    for each in done:
        if isinstance(each, BaseException):
            raise each
        results.append(each)
    return results


@contextmanager
def disk_errors() -> Iterator[None]:
    """What the operating system says of files, as errors for the caller."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise disk_full() from error
        raise FailedPrecondition(
            "LAUNCH_FAILED", f"The run's processes cannot be started: {error.strerror} ({error.filename})."
        ) from error
