"""Waiting for something with a deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable


def wait_until(
    condition: Callable[[], bool], seconds: float, what: str, on_timeout: Callable[[], str] | None = None
) -> None:
    """Returns once `condition` holds. Fails after `seconds`, saying what was waited for."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            told = on_timeout() if on_timeout is not None else ""
            raise AssertionError(f"waited {seconds} s in vain for {what}\n{told}")
        pause.wait(0.005)


async def wait_until_async(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """`wait_until` on an event loop."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        await asyncio.sleep(0.005)
