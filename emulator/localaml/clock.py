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
from datetime import datetime, timedelta, timezone
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


class SteadyTime:
    """A clock's time as waits count it: nobody who sets the machine's clock makes a wait longer or shorter.

    Begins with the clock's time of day and goes on as its monotonic time does. A stored stamp is of the time of day:
    `of` says once when that was; a stamp of the future, made before the clock was set back, counts as of now. So what
    is left of a wait is never more than its length.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.origin = clock.now()
        self._began = clock.monotonic()

    def now(self) -> datetime:
        """The time, to be compared with results of this object alone."""
        return self.origin + timedelta(seconds=self._clock.monotonic() - self._began)

    def of(self, stamp: datetime) -> datetime:
        """When a stamp of the time of day was made; at the latest now."""
        return self.now() - max(timedelta(0), self._clock.now() - stamp)

    def seconds_since(self, stamp: datetime) -> float:
        """How long ago a stamp of the time of day was made, 0 for one of the future."""
        return (self.now() - self.of(stamp)).total_seconds()

    def seconds_left(self, seconds: float, since: datetime) -> float:
        """What is left of a wait that began at a stamp of the time of day: from 0 to its whole length."""
        return min(seconds, max(0.0, seconds - self.seconds_since(since)))


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
