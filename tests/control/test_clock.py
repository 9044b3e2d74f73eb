"""Virtual and scaled clocks by themselves."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from localaml.clock import RealClock, Timer
from localaml.control.clock import ScaledClock, VirtualClock, advance, clock_facts
from localaml.control.kept_clock import make_clock
from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.settings import Settings

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def _at(clock: VirtualClock) -> float:
    return (clock.now() - START).total_seconds()


class MachineClock(RealClock):
    """Machine time that the test sets."""

    def __init__(self) -> None:
        self.time = START
        self.asked: list[float] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self.asked.append(seconds)
        return super().call_later(0, callback)


async def test_nothing_happens_by_itself() -> None:
    clock = VirtualClock(START)
    called: list[str] = []
    clock.call_later(0.001, lambda: called.append("timer"))
    await asyncio.sleep(0.01)
    assert (clock.now(), called) == (START, [])


async def test_timers_are_called_in_the_order_of_their_time_each_at_its_own() -> None:
    clock = VirtualClock(START)
    order = list(range(1, 60))
    random.Random(6).shuffle(order)
    called: list[tuple[int, float]] = []
    for minute in order:
        clock.call_later(60 * minute, lambda minute=minute: called.append((minute, _at(clock))))
    assert await clock.advance(1800) == 30
    assert called == [(minute, 60.0 * minute) for minute in range(1, 31)]
    assert (_at(clock), clock.timer_count) == (1800.0, 29)
    assert clock.next_due == START + timedelta(minutes=31)


async def test_timers_of_one_time_are_called_as_they_were_made() -> None:
    clock = VirtualClock(START)
    called: list[int] = []
    for number in range(20):
        clock.call_later(5, lambda number=number: called.append(number))
    await clock.advance(5)
    assert called == list(range(20))


async def test_what_a_timer_sets_counts_when_it_is_due_in_the_span() -> None:
    clock = VirtualClock(START)
    called: list[float] = []

    def again() -> None:
        called.append(_at(clock))
        clock.call_later(10, again)

    clock.call_later(10, again)
    assert await clock.advance(35) == 3
    assert (called, _at(clock)) == ([10.0, 20.0, 30.0], 35.0)


async def test_a_cancelled_timer_is_not_called() -> None:
    clock = VirtualClock(START)
    first = clock.call_later(1, lambda: pytest.fail("cancelled"))
    clock.call_later(2, first.cancel)
    other = clock.call_later(3, lambda: pytest.fail("cancelled by another"))
    clock.call_later(2, other.cancel)
    first.cancel()
    first.cancel()
    assert await clock.advance(10) == 2


async def test_no_seconds_are_now() -> None:
    clock = VirtualClock(START)
    called: list[int] = []
    clock.call_later(0, lambda: called.append(1))
    clock.call_later(-5, lambda: called.append(2))
    await clock.sleep(0)
    await asyncio.sleep(0)
    assert called == [1, 2]


async def test_sleepers_wake_one_after_the_other_and_act_at_their_time() -> None:
    clock = VirtualClock(START)
    story: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            story.append((name, _at(clock)))

    tasks = [asyncio.ensure_future(sleeper("a", 1, 2, 3)), asyncio.ensure_future(sleeper("b", 2, 2))]
    await clock.advance(6)
    await asyncio.gather(*tasks)
    assert story == [("a", 1.0), ("b", 2.0), ("a", 3.0), ("b", 4.0), ("a", 6.0)]


async def test_a_cancelled_sleep_leaves_no_timer() -> None:
    clock = VirtualClock(START)
    task = asyncio.ensure_future(clock.sleep(100))
    await asyncio.sleep(0)
    assert clock.timer_count == 1
    task.cancel()
    await asyncio.wait([task])
    assert clock.timer_count == 0


async def test_work_that_takes_machine_time_takes_no_virtual_time() -> None:
    clock = VirtualClock(START)
    story: list[tuple[str, float]] = []

    async def work() -> None:
        with clock.working():
            await asyncio.sleep(0.02)  # a node is being stopped, a file written
            story.append(("work done", _at(clock)))

    tasks: list[asyncio.Task[None]] = []
    clock.call_later(10, lambda: tasks.append(asyncio.get_running_loop().create_task(work())))
    clock.call_later(11, lambda: story.append(("next timer", _at(clock))))
    await clock.advance(20)
    assert story == [("work done", 10.0), ("next timer", 11.0)]


async def test_work_that_goes_on_is_waited_for_before_time_passes() -> None:
    clock = VirtualClock(START)
    seen: list[float] = []

    async def work() -> None:
        with clock.working():
            await asyncio.sleep(0.02)
            seen.append(_at(clock))

    task = asyncio.get_running_loop().create_task(work())
    await clock.advance(60)
    assert seen == [0.0]
    await task


async def test_waiting_inside_work_does_not_hold_the_clock() -> None:
    clock = VirtualClock(START)
    process = asyncio.get_running_loop().create_future()
    story: list[tuple[str, float]] = []

    async def watch() -> None:
        with clock.working():
            with clock.waiting():
                await process
            await asyncio.sleep(0.02)
            story.append(("collected", _at(clock)))

    task = asyncio.get_running_loop().create_task(watch())
    await clock.advance(60)
    assert not task.done()
    clock.call_later(30, lambda: process.set_result(None))
    clock.call_later(31, lambda: story.append(("next timer", _at(clock))))
    await clock.advance(60)
    assert story == [("collected", 90.0), ("next timer", 91.0)]


async def test_sleeping_inside_work_does_not_hold_the_clock() -> None:
    clock = VirtualClock(START)

    async def inner() -> float:
        with clock.working():
            await clock.sleep(10)
        await clock.sleep(10)
        return _at(clock)

    async def outer() -> tuple[float, float]:
        with clock.working():
            alone = await inner()
            child = await asyncio.ensure_future(inner())
            return alone, child

    task = asyncio.get_running_loop().create_task(outer())
    await asyncio.wait_for(clock.advance(100), 10)
    assert await task == (20.0, 40.0)
    await asyncio.wait_for(clock.advance(1), 10)


async def test_work_that_fails_or_is_cancelled_is_over() -> None:
    clock = VirtualClock(START)

    async def fails() -> None:
        with clock.working():
            raise ValueError

    async def hangs() -> None:
        with clock.working(), clock.waiting():
            await asyncio.Event().wait()

    tasks = [asyncio.ensure_future(fails()), asyncio.ensure_future(hangs())]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert isinstance(tasks[0].exception(), ValueError)
    await asyncio.wait_for(clock.advance(1), 10)


async def test_two_advances_follow_one_another() -> None:
    clock = VirtualClock(START)
    seen: list[float] = []
    clock.call_later(15, lambda: seen.append(_at(clock)))
    counts = await asyncio.gather(clock.advance(10), clock.advance(10))
    assert (counts, seen, _at(clock)) == ([0, 1], [15.0], 20.0)


async def test_a_timer_for_a_time_of_day_finds_that_time() -> None:
    """Differences of times are floats: rounding must not let a timer come a tick too early."""
    clock = VirtualClock(START)
    source = random.Random(1)
    missed: list[float] = []
    for _ in range(300):
        due = clock.now() + timedelta(microseconds=source.randrange(1, 10**15))

        def look(due: datetime = due) -> None:
            if clock.now() != due:
                missed.append((clock.now() - due).total_seconds())

        clock.call_later((due - clock.now()).total_seconds(), look)
    await clock.advance(10**9)
    assert (missed, clock.timer_count) == ([], 0)


async def test_a_scaled_clock_asks_the_machine_for_less() -> None:
    machine = MachineClock()
    clock = ScaledClock(START, 60, machine)
    machine.time += timedelta(seconds=2)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(minutes=2), 120.0)
    clock.call_later(30, lambda: None)
    assert machine.asked == [0.5]
    with clock.working(), clock.waiting():
        await clock.sleep(0)


async def test_only_a_virtual_clock_can_be_advanced() -> None:
    for clock, kind in ((RealClock(), "real"), (ScaledClock(START, 2), "scaled")):
        assert clock_facts(clock).kind == kind
        with pytest.raises(FailedPrecondition, match=f"is {kind}: it cannot be advanced") as caught:
            await advance(clock, 1)
        assert caught.value.reason == "CLOCK_NOT_VIRTUAL"


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 1e9])
async def test_spans_that_make_no_sense(seconds: float) -> None:
    clock = VirtualClock(START)
    with pytest.raises(InvalidArgument) as caught:
        await advance(clock, seconds)
    assert (caught.value.reason, clock.now()) == ("CLOCK_SECONDS_INVALID", START)


class TestKept:
    """Clocks that go on where the last emulator of the state dir left them."""

    @staticmethod
    def _make(folder: Path, machine: MachineClock, **settings: object) -> object:
        return make_clock(Settings(folder, folder, **settings), folder / "clock.json", machine)  # type: ignore[arg-type]

    async def test_a_virtual_clock_stands_still_while_nobody_runs(self, tmp_path: Path) -> None:
        machine = MachineClock()
        clock = self._make(tmp_path, machine, clock="virtual")
        assert isinstance(clock, VirtualClock)
        await clock.advance(3600)
        machine.time += timedelta(days=1)
        assert clock_facts(self._make(tmp_path, machine, clock="virtual")).now == START + timedelta(hours=1)

    async def test_also_when_it_was_killed_while_it_went_on(self, tmp_path: Path) -> None:
        clock = self._make(tmp_path, MachineClock(), clock="virtual")
        assert isinstance(clock, VirtualClock)
        kept: list[str] = []
        clock.call_later(60, lambda: kept.append(json.loads((tmp_path / "clock.json").read_text())["service"]))
        await clock.advance(3600)
        assert kept == [(START + timedelta(minutes=1)).isoformat()], "noted before anything happens at that time"

    def test_a_scaled_clock_went_on(self, tmp_path: Path) -> None:
        machine = MachineClock()
        self._make(tmp_path, machine, clock="scaled", clock_scale=10.0)
        machine.time += timedelta(minutes=1)
        clock = self._make(tmp_path, machine, clock="scaled", clock_scale=2.0)
        assert clock_facts(clock).now == START + timedelta(minutes=10)

    def test_a_start_is_for_new_state(self, tmp_path: Path) -> None:
        machine = MachineClock()
        wanted = datetime(2019, 1, 31, tzinfo=timezone.utc)
        for start in ("2019-01-31", "2030-01-31T00:00:00Z"):
            clock = self._make(tmp_path, machine, clock="virtual", clock_start=start)
            assert clock_facts(clock).now == wanted

    @pytest.mark.parametrize(
        "settings",
        [{"clock": "sundial"}, {"clock": "scaled", "clock_scale": 0.0}, {"clock": "virtual", "clock_start": "noon"}],
    )
    def test_what_cannot_be_is_refused(self, tmp_path: Path, settings: dict[str, object]) -> None:
        with pytest.raises(InvalidArgument) as caught:
            self._make(tmp_path, MachineClock(), **settings)
        assert caught.value.reason == "CLOCK_INVALID"

    def test_a_real_clock_keeps_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "clock.json").write_text("{}")
        machine = MachineClock()
        assert self._make(tmp_path, machine) is machine
        assert not (tmp_path / "clock.json").exists()
