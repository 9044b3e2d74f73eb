"""Work that several want at the same time is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")
Log = Callable[[str], None]


class SharedWork(Generic[_T]):
    """Everybody who asks for the same work while it goes on gets its one result, and all of its log. It ends early
    when nobody waits for it any more."""

    def __init__(self) -> None:
        self._going: dict[Hashable, _Work[_T]] = {}

    async def get(self, key: Hashable, log: Log, work: Callable[[Log], Awaitable[_T]]) -> _T:
        """The result of `work`, which is not begun where the same `key` goes on already."""
        going = self._going.get(key)
        if going is None:
            going = self._going[key] = _Work()
            going.task = asyncio.ensure_future(self._do(key, going, work))
        for line in going.lines:
            log(line)
        going.logs.append(log)
        assert going.task is not None
        try:
            return await asyncio.shield(going.task)
        except asyncio.CancelledError:
            going.logs.remove(log)
            if not going.logs and not going.task.done():
                # Whoever comes now begins anew.
                if self._going.get(key) is going:
                    del self._going[key]
                going.task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await asyncio.wait([going.task])
            raise

    async def _do(self, key: Hashable, going: _Work[_T], work: Callable[[Log], Awaitable[_T]]) -> _T:
        try:
            return await work(going.say)
        finally:
            if self._going.get(key) is going:
                del self._going[key]


class _Work(Generic[_T]):
    def __init__(self) -> None:
        self.task: asyncio.Future[Any] | None = None
        self.lines: list[str] = []
        self.logs: list[Log] = []

    def say(self, line: str) -> None:
        self.lines.append(line)
        for log in self.logs:
            log(line)
