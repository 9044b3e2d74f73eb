"""Counts the preparations of a run, so that one which kills the emulator is not begun for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

from localaml.domain import preparations
from localaml.domain.models import ErrorInfo, Run, RunKey
from localaml.errors import LocalAmlError, NotFound

if TYPE_CHECKING:
    from localaml.domain.job import JobSpec
    from localaml.jobs.run_book import RunBook

_T = TypeVar("_T")


async def counted(book: RunBook, key: RunKey, turns: asyncio.Lock, prepare: Callable[[], Awaitable[_T]]) -> _T:
    """What `prepare` gives. That it has begun is on the disk before it begins; that it has ended, or was cancelled,
    afterwards.

    Args:
        turns: runs during whose preparation the emulator was killed take turns: so the next kill tells which it was.
    """
    async with AsyncExitStack() as stack:
        if preparations.unfinished(book.get(key).execution):
            await stack.enter_async_context(turns)
        run = book.get(key)
        book.change(run, execution=preparations.begin(run.execution))
        try:
            return await prepare()
        finally:
            try:
                run = book.get(key)
                book.change(run, execution=preparations.end(run.execution))
            except NotFound:
                # Its workspace was deleted meanwhile.
                pass


def spec_to_resume(run: Run, spec_of: Callable[[Run], JobSpec]) -> JobSpec | ErrorInfo:
    """The job of a run of an earlier emulator, or why it cannot go on."""
    given_up = preparations.reason_to_give_up(run.execution)
    if given_up is not None:
        return given_up
    try:
        return spec_of(run)
    except LocalAmlError as error:
        return ErrorInfo(error.reason, f"The run cannot go on with this version of LocalAML: {error.message}")
