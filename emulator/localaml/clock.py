"""Time, injected. Nothing else in the emulator asks the operating system for the time or waits for it to pass.

There are two kinds of it. *Service time* is the time of the imitated cloud: stamps of runs and nodes, idle scale-down,
limits of runs, signed URLs, delays that the cloud would have. It comes from the clock that the emulator was given, and
may be scaled or virtual (`control.clock`). *Machine time* is the time of processes and files: graces before SIGKILL,
time-outs of launches, looking again at files, idle connections. It is always a `RealClock`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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

    def working(self, *, apart: bool = False) -> AbstractContextManager[None]:
        """The time of a piece of the emulator's own work, in which a virtual clock stands still.

        A virtual clock that is being advanced waits for the end of all work before it goes on: so what a timer set off
        is done before the next one is due. Only work that ends by itself may be in it.

        Args:
            apart: for a task of its own that others do not wait for. Else it is a part of the work from which it was
                begun, and that one waits where this one does.
        """
        ...

    def waiting(self) -> AbstractContextManager[None]:
        """A time inside `working` that does not count as work: for what is not the emulator's own to end, such as a
        job's processes. `sleep` does this by itself."""
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

    def working(self, *, apart: bool = False) -> AbstractContextManager[None]:
        return nullcontext()

    def waiting(self) -> AbstractContextManager[None]:
        return nullcontext()
