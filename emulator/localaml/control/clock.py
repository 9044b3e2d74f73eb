"""Clocks whose time can be told to pass: virtual, and scaled. Which one an emulator has is a setting."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from localaml.clock import Clock, RealClock, Timer
from localaml.errors import FailedPrecondition, InvalidArgument

# A call may let at most so much time pass: what repeats every few seconds would keep it busy for hours.
MOST_SECONDS = 366 * 86400.0
# So many turns of the event loop without any work are taken for: all that was set off has been done.
_QUIET_TURNS = 12
_MICROSECOND = timedelta(microseconds=1)


@dataclass(order=True, slots=True)
class _VirtualTimer:
    """A call at a time in microseconds; among equal times the first one made is the first."""

    due: int
    number: int
    callback: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        self.callback = None


class _Work:
    """A piece of work that a virtual clock waits for, unless it is paused."""

    def __init__(self, clock: VirtualClock, outer: _Work | None) -> None:
        self.clock = clock
        # The work that this one is a part of: it is paused with it.
        self.outer = outer
        self._pauses = 0
        self._ended = False
        clock._change_work(1)

    def pause(self) -> None:
        self._pauses += 1
        if self._pauses == 1 and not self._ended:
            self.clock._change_work(-1)

    def resume(self) -> None:
        self._pauses -= 1
        if self._pauses == 0 and not self._ended:
            self.clock._change_work(1)

    def end(self) -> None:
        if not self._ended and self._pauses == 0:
            self.clock._change_work(-1)
        self._ended = True


_current_work: ContextVar[_Work | None] = ContextVar("localaml_current_work", default=None)


class VirtualClock:
    """Time that passes when it is told to, and only then. Belongs to one event loop.

    Args:
        start: the time of day at the beginning.
        note: called with the time of day whenever it changes, before anything happens at that time.
    """

    def __init__(self, start: datetime, note: Callable[[datetime], None] | None = None) -> None:
        self._start = start
        self._passed = 0  # microseconds: sums of floats would not be exact
        self._note = note
        self._timers: list[_VirtualTimer] = []
        self._number = 0
        self._work = 0
        self._no_work = asyncio.Event()
        self._no_work.set()
        self._advancing = asyncio.Lock()

    def now(self) -> datetime:
        return self._start + self._passed * _MICROSECOND

    def monotonic(self) -> float:
        return self._passed / 1e6

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        if seconds <= 0:
            return asyncio.get_running_loop().call_soon(callback)
        self._number += 1
        # At least one tick: a timer that fell on its own beginning would keep the clock from ever going on.
        timer = _VirtualTimer(self._passed + max(1, round(seconds * 1e6)), self._number, callback)
        heapq.heappush(self._timers, timer)
        return timer

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: None if over.done() else over.set_result(None))
        try:
            with self.waiting():
                await over
        finally:
            timer.cancel()

    @contextmanager
    def working(self, *, apart: bool = False) -> Iterator[None]:
        outer = _current_work.get()
        work = _Work(self, None if apart or outer is None or outer.clock is not self else outer)
        token = _current_work.set(work)
        try:
            yield
        finally:
            _current_work.reset(token)
            work.end()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        paused: list[_Work] = []
        work = _current_work.get()
        while work is not None and work.clock is self:
            work.pause()
            paused.append(work)
            work = work.outer
        try:
            yield
        finally:
            for work in paused:
                work.resume()

    @property
    def next_due(self) -> datetime | None:
        """When the next timer is due; None when there is none."""
        self._drop_cancelled()
        return self._start + self._timers[0].due * _MICROSECOND if self._timers else None

    @property
    def timer_count(self) -> int:
        """How many timers wait for their time."""
        return sum(timer.callback is not None for timer in self._timers)

    async def advance(self, seconds: float) -> int:
        """Lets time pass and returns once all that was due has been done.

        What is due is done one after the other in the order of its time, each at its own time and each to its end: a
        timer that another one sets is honoured when it falls into the span. Before the first one, work that is going on
        comes to its end. A second call waits for the first.

        Returns:
            How many timers were due.
        """
        async with self._advancing:
            await self._settle()
            end = self._passed + round(seconds * 1e6)
            count = 0
            while True:
                self._drop_cancelled()
                if not self._timers or self._timers[0].due > end:
                    break
                timer = heapq.heappop(self._timers)
                callback, timer.callback = timer.callback, None
                self._move_to(timer.due)
                assert callback is not None
                count += 1
                callback()
                await self._settle()
            self._move_to(end)
            await self._settle()
            return count

    def _move_to(self, passed: int) -> None:
        if passed != self._passed:
            self._passed = passed
            if self._note is not None:
                self._note(self.now())

    def _drop_cancelled(self) -> None:
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)

    def _change_work(self, difference: int) -> None:
        self._work += difference
        if self._work == 0:
            self._no_work.set()
        else:
            self._no_work.clear()

    async def _settle(self) -> None:
        """Returns when no work goes on, and none has come up for some turns of the event loop."""
        quiet = 0
        while quiet < _QUIET_TURNS:
            if self._work:
                quiet = 0
                await self._no_work.wait()
            await asyncio.sleep(0)
            quiet += 1


class ScaledClock:
    """Time that passes faster (or slower) than the machine's, by a factor.

    Args:
        start: the time of day at the beginning.
        scale: seconds that pass in one second of the machine.
        machine: where machine time comes from.
    """

    def __init__(self, start: datetime, scale: float, machine: Clock | None = None) -> None:
        self._start = start
        self.scale = scale
        self._machine = machine or RealClock()
        self._began = self._machine.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (self._machine.monotonic() - self._began) * self.scale

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return self._machine.call_later(seconds / self.scale, callback)

    async def sleep(self, seconds: float) -> None:
        await self._machine.sleep(seconds / self.scale)

    def working(self, *, apart: bool = False) -> AbstractContextManager[None]:
        return nullcontext()

    def waiting(self) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """What can be said of a clock.

    Attributes:
        kind: ``real``, ``virtual`` or ``scaled``.
        next_due: when the next timer of a virtual clock is due.
        timer_count: how many timers of a virtual clock wait.
    """

    kind: str
    now: datetime
    scale: float = 1.0
    next_due: datetime | None = None
    timer_count: int = 0


def clock_facts(clock: Clock) -> ClockFacts:
    """What is known of a clock now."""
    if isinstance(clock, VirtualClock):
        return ClockFacts("virtual", clock.now(), 0.0, clock.next_due, clock.timer_count)
    if isinstance(clock, ScaledClock):
        return ClockFacts("scaled", clock.now(), clock.scale)
    return ClockFacts("real", clock.now())


async def advance(clock: Clock, seconds: float) -> int:
    """Lets time pass on a virtual clock; returns how many timers were due.

    Raises:
        FailedPrecondition: ``CLOCK_NOT_VIRTUAL``.
        InvalidArgument: ``CLOCK_SECONDS_INVALID``: negative, not a number, or more than a year.
    """
    if not isinstance(clock, VirtualClock):
        raise FailedPrecondition(
            "CLOCK_NOT_VIRTUAL",
            f"This emulator's clock is {clock_facts(clock).kind}: it cannot be advanced. Start an emulator with "
            "'localaml start --clock virtual' (LOCALAML_CLOCK=virtual).",
        )
    if not 0 <= seconds <= MOST_SECONDS:  # also refuses nan
        raise InvalidArgument(
            "CLOCK_SECONDS_INVALID",
            f"A clock can be advanced by 0 to {MOST_SECONDS:.0f} seconds (366 days) at a time, not by {seconds!r}.",
        )
    return await clock.advance(seconds)
