"""Time, injected. Nothing else in the emulator asks the operating system for the time or waits for it to pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Protocol


class Timer(Protocol):
    """A call that is to come; `cancel` is idempotent."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Where time comes from. Times are aware UTC datetimes; durations are seconds."""

    def now(self) -> datetime:
        """The time of day, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Calls `callback` on the running event loop once `seconds` have passed."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns once `seconds` have passed."""
        ...


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, seconds), callback)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
