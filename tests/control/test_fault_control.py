"""Faults of emulators that live in this process, one after the other on one clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.jobs.world import World
from tests.support.fake_runtime import FakeEnvironments, FakeRuntime

from localaml.clock import RealClock
from localaml.control.clock import VirtualClock
from localaml.control.fault_book import FaultBook
from localaml.control.faults import FaultControl
from localaml.domain.faults import FaultKind, FaultRule, FaultTarget, FaultWhen, RuleState
from localaml.domain.states import NodeState, RunState
from localaml.jobs.history import History
from localaml.server import Emulator
from localaml.settings import Settings
from localaml.store import Store

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def stored(settings: Settings) -> list[bool]:
    store = Store.open(settings.state_dir / "metadata.sqlite3")
    try:
        return [fault.has_begun for fault in store.faults.list()]
    finally:
        store.close()


def rule(kind: FaultKind, count: int = 1, skip: int = 0) -> FaultRule:
    return FaultRule("", kind, FaultTarget(cluster="cpu"), FaultWhen(count=count, skip=skip))


async def test_two_faults_at_one_moment_strike_one_after_the_other(tmp_path: Path) -> None:
    world = World(tmp_path, RealClock())
    faults = FaultControl(world.store, History(world.store, world.clock), world.clock, world.clock, lambda code: None)
    world.hooks.reached = faults.reached  # type: ignore[method-assign]
    await world.orchestrator.start()
    try:
        faults.attach(world.orchestrator.disturbances, world.orchestrator.try_again)
        key = world.cluster(high=1, priority="lowpriority")
        lost = faults.add(rule(FaultKind.NODE_LOST)).rule.fault_id
        taken = faults.add(rule(FaultKind.NODE_EVICTED)).rule.fault_id
        world.submit("r")
        run = await world.state("r", RunState.FAILED)
        assert run.error is not None and run.error.code == "NODE_LOST"
        # A node that is gone cannot be taken away: the second one waits for the next.
        assert (faults.get(lost).struck, faults.get(taken).struck) == (1, 0)
        assert [fault.state for fault in world.store.faults.list()] == [state for state, _ in faults.list()]
        world.submit("next")
        await world.until(lambda: world.run("next").attempt == 2, "the eviction")
        await world.state("next", RunState.RUNNING)
        assert faults.get(taken).struck == 1
        assert [node.state for node in world.store.nodes.list(key)].count(NodeState.RUNNING) == 1
    finally:
        await world.orchestrator.close()
        faults.close()
        world.store.close()


def test_what_is_not_kept_is_not_remembered(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "metadata.sqlite3")
    book = FaultBook(store, RealClock())
    kept = book.add(rule(FaultKind.NODE_LOST, count=3), START).fault_id
    with pytest.raises(RuntimeError), book.as_a_whole():
        book.add(rule(FaultKind.CRASH), START)
        book.note([RuleState(book.get(kept).rule, seen=2, struck=1)])
        assert book.look(kept, "n", "r", 1)
        raise RuntimeError
    assert book.states() == [fault.state for fault in store.faults.list()] == [book.get(kept)]
    assert (book.get(kept).seen, book.get(kept).struck) == (0, 0)
    assert book.look(kept, "n", "r", 1) and not book.look(kept, "n", "r", 1)
    store.close()


async def test_what_is_to_begin_later_begins_with_the_next_emulator(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    settings = Settings(tmp_path / "state", tmp_path / "cache")

    def emulator() -> Emulator:
        return Emulator(settings, clock=clock, runtime=FakeRuntime(), environments=FakeEnvironments())

    async with emulator() as first:
        later = FaultWhen(count=1, not_before=START + timedelta(seconds=100))
        first.orchestrator._tools.hooks.add(  # type: ignore[attr-defined]  # they are the faults
            FaultRule("", FaultKind.NODE_LOST, FaultTarget(cluster="cpu"), later)
        )
    assert stored(settings) == [False]
    await clock.advance(200)
    assert stored(settings) == [False], "nobody is there to begin it"
    async with emulator():
        pass
    assert stored(settings) == [True]
