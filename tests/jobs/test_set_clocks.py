"""The machine's clock is set back or forward, while the emulator runs or is away: every wait keeps its length."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.test_sweeps import submit_sweep
from tests.jobs.world import World
from tests.support.set_clock import SetClock

from localaml.clock import SteadyTime
from localaml.control.faults import FaultControl
from localaml.domain.faults import FaultKind, FaultRule, FaultTarget, FaultWhen
from localaml.domain.states import NodeState, RunState
from localaml.errors import LocalAmlError, PermissionDenied
from localaml.jobs.history import History
from localaml.services.tokens import UrlSigner
from localaml.settings import LatencySettings
from localaml_proto.v1 import run_pb2

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
JUMPS = [{"hours": -1}, {"hours": 1}]


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture
async def world(tmp_path: Path, clock: SetClock) -> AsyncIterator[World]:
    world = World(tmp_path, clock)
    await world.orchestrator.start()
    yield world
    await world.orchestrator.close()
    world.store.close()


def _node_states(world: World, key: Any) -> list[NodeState]:
    return [node.state for node in world.orchestrator.cluster_status(key).nodes]


async def _until_idle(world: World, key: Any, count: int = 1) -> None:
    await world.until(lambda: _node_states(world, key) == [NodeState.IDLE] * count, f"{count} idle nodes")


class TestSteadyTime:
    def test_a_stamp_of_the_future_counts_as_of_now(self, clock: SetClock) -> None:
        stamp = clock.now()
        clock.set_by(hours=-1)
        assert SteadyTime(clock).seconds_left(30, stamp) == 30
        assert SteadyTime(clock).seconds_since(stamp) == 0

    @pytest.mark.parametrize("jump", JUMPS)
    async def test_what_has_begun_keeps_its_length(self, clock: SetClock, jump: dict[str, float]) -> None:
        steady = SteadyTime(clock)
        began = steady.of(clock.now())
        await clock.advance(10)
        clock.set_by(**jump)
        await clock.advance(10)
        assert steady.now() - began == timedelta(seconds=20)

    def test_nothing_is_left_of_what_is_over(self, clock: SetClock) -> None:
        assert SteadyTime(clock).seconds_left(30, START - timedelta(days=1)) == 0


async def test_nodes_are_there_at_once_after_a_restart_with_the_clock_set_back(world: World, clock: SetClock) -> None:
    key = world.cluster(low=1, high=1)
    await _until_idle(world, key)
    clock.set_by(hours=-1)
    await world.restart()
    await _until_idle(world, key)


async def test_a_machine_takes_no_longer_after_a_restart_with_the_clock_set_back(world: World, clock: SetClock) -> None:
    world.latency = LatencySettings(provisioning_seconds=100.0)
    await world.restart()
    key = world.cluster(low=1, high=1)
    await clock.advance(50)
    assert _node_states(world, key) == [NodeState.PREPARING]
    clock.set_by(hours=-1)
    await world.restart()
    await clock.advance(99)
    assert _node_states(world, key) == [NodeState.PREPARING]
    await clock.advance(1)
    await _until_idle(world, key)


@pytest.mark.parametrize("jump", JUMPS)
async def test_an_idle_node_stays_for_its_time_while_the_clock_is_set(
    world: World, clock: SetClock, jump: dict[str, float]
) -> None:
    key = world.cluster(low=0, high=1, idle=120)
    world.submit("first")
    await world.until(lambda: "first" in world.runtime.jobs, "it runs")
    world.runtime.jobs["first"].end()
    await world.state("first", RunState.COMPLETED)
    await _until_idle(world, key)
    await clock.advance(60)
    clock.set_by(**jump)
    world.cluster(name="other")
    world.submit("elsewhere", target="other")  # somebody has the schedulers look again
    world.orchestrator.try_again()
    await clock.advance(59)
    assert _node_states(world, key) == [NodeState.IDLE]
    await clock.advance(1)
    await world.until(lambda: _node_states(world, key) == [], "it goes after its time")


async def test_a_node_that_failed_is_tried_again_after_its_time_though_the_clock_is_set_back(
    world: World, clock: SetClock
) -> None:
    world.runtime.broken = True
    key = world.cluster(low=1, high=1)
    await world.until(lambda: bool(world.orchestrator.cluster_status(key).cluster.errors), "it fails")
    clock.set_by(hours=-1)
    world.runtime.broken = False
    await clock.advance(31)
    await _until_idle(world, key)


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_run_has_its_whole_time_though_the_clock_is_set(
    world: World, clock: SetClock, jump: dict[str, float]
) -> None:
    world.cluster(high=1)
    world.submit("limited", max_run_duration_seconds=100)
    await world.state("limited", RunState.RUNNING)
    await clock.advance(50)
    clock.set_by(**jump)
    await clock.advance(49)
    assert world.run("limited").state is RunState.RUNNING
    await clock.advance(1)
    await world.state("limited", RunState.FAILED)


async def test_a_limit_is_not_longer_than_its_length_after_a_restart(world: World, clock: SetClock) -> None:
    world.cluster(high=1)
    world.submit("limited", max_run_duration_seconds=100)
    await world.state("limited", RunState.RUNNING)
    clock.set_by(hours=-1)
    await world.restart()
    await world.until(lambda: "limited" in world.runtime.jobs, "it was adopted")
    await clock.advance(100)
    await world.state("limited", RunState.FAILED)


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_sweep_has_its_whole_time_though_the_clock_is_set(
    world: World, clock: SetClock, jump: dict[str, float]
) -> None:
    world.cluster(high=2)
    submit_sweep(world, 1, 2, 3, minutes=5)
    await world.until(lambda: len(world.runtime.jobs) == 2, "two run")
    await clock.advance(100)
    clock.set_by(**jump)
    await clock.advance(199)
    assert world.run("s").state is RunState.RUNNING
    await clock.advance(1)
    await world.state("s", RunState.CANCELED)


async def test_a_sweep_has_no_more_than_its_time_after_a_restart(world: World, clock: SetClock) -> None:
    world.cluster(high=2)
    submit_sweep(world, 1, 2, 3, minutes=5)
    await world.until(lambda: len(world.runtime.jobs) == 2, "two run")
    clock.set_by(hours=-1)
    await world.restart()
    await world.until(lambda: len(world.runtime.jobs) == 2, "two are adopted")
    await clock.advance(300)
    await world.state("s", RunState.CANCELED)


class TestFaults:
    def _control(self, world: World, clock: SetClock) -> FaultControl:
        return FaultControl(world.store, History(world.store, clock), clock, clock, lambda _: None)

    async def test_one_that_begins_later_does_so_though_the_clock_was_set_back(
        self, world: World, clock: SetClock
    ) -> None:
        later = clock.now() + timedelta(seconds=60)
        rule = FaultRule("", FaultKind.ERROR, FaultTarget(method="*"), FaultWhen(count=0, not_before=later))
        self._control(world, clock).add(rule)
        clock.set_by(hours=-1)
        faults = self._control(world, clock)
        assert await _fails(faults) is False
        await clock.advance(60)
        assert await _fails(faults) is True

    async def test_one_that_ends_does_so_while_the_clock_is_set_back(self, world: World, clock: SetClock) -> None:
        end = clock.now() + timedelta(seconds=60)
        rule = FaultRule("", FaultKind.ERROR, FaultTarget(method="*"), FaultWhen(count=0, not_after=end))
        faults = self._control(world, clock)
        faults.add(rule)
        await clock.advance(30)
        clock.set_by(hours=-1)
        assert await _fails(faults) is True
        await clock.advance(31)
        assert await _fails(faults) is False


async def _fails(faults: FaultControl) -> bool:
    try:
        await faults.before_call("/localaml.v1.RunService/GetRun", run_pb2.GetRunRequest())
    except LocalAmlError:
        return True
    return False


class TestUrls:
    def _signer(self, clock: SetClock) -> UrlSigner:
        return UrlSigner(b"k" * 32, lambda: "http://localhost", clock, 3600)

    def _is_good(self, signer: UrlSigner, url: str) -> bool:
        query = dict(part.split("=", 1) for part in url.partition("?")[2].split("&"))
        try:
            signer.verify("content", "w/abc", "read", query)
        except PermissionDenied as error:
            assert error.reason == "SIGNED_URL_EXPIRED"
            return False
        return True

    @pytest.mark.parametrize("jump", JUMPS)
    async def test_of_this_start_are_good_for_their_length(self, clock: SetClock, jump: dict[str, float]) -> None:
        signer = self._signer(clock)
        url, _ = signer.sign("content", ("w", "abc"), "read")
        clock.set_by(**jump)
        await clock.advance(3600)
        assert self._is_good(signer, url)
        await clock.advance(1)
        assert not self._is_good(signer, url)

    async def test_of_an_earlier_start_are_good_for_no_longer(self, clock: SetClock) -> None:
        url, _ = self._signer(clock).sign("content", ("w", "abc"), "read")
        clock.set_by(hours=-5)
        signer = self._signer(clock)
        await clock.advance(3600)
        assert self._is_good(signer, url)  # its time may have begun with this start, so to speak
        await clock.advance(1)
        assert not self._is_good(signer, url)

    async def test_of_an_earlier_start_end_as_they_were_made(self, clock: SetClock) -> None:
        url, _ = self._signer(clock).sign("content", ("w", "abc"), "read")
        await clock.advance(1800)
        signer = self._signer(clock)
        await clock.advance(1800)
        assert self._is_good(signer, url)
        await clock.advance(1)
        assert not self._is_good(signer, url)
