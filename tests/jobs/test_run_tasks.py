"""Work beside everything else, when it is to end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.jobs.world import World

from localaml.clock import RealClock
from localaml.compute.runtime import NodeSpec
from localaml.domain.states import RunState
from localaml.jobs.run_tasks import RunTasks


async def test_what_is_begun_while_all_is_being_ended_ends_too() -> None:
    tasks, begun, log = RunTasks(RealClock()), asyncio.Event(), []

    async def late() -> None:
        log.append("late")
        await asyncio.Event().wait()

    async def early() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            tasks.spawn(late())

    tasks.spawn(early())
    await begun.wait()
    await asyncio.wait_for(tasks.cancel_all(), 10)
    assert log == []
    tasks.spawn(late())
    await asyncio.wait_for(tasks.cancel_all(), 10)
    assert log == []


@pytest.mark.parametrize("turns", range(8))  # of the loop, before the node is ready
async def test_a_run_whose_node_becomes_ready_while_the_emulator_closes_is_begun_by_the_next_one(
    tmp_path: Path, turns: int
) -> None:
    world = World(tmp_path)
    await world.orchestrator.start()
    world.cluster(high=2)
    world.submit("first")
    await world.state("first", RunState.RUNNING)
    start_node, asked, may_be_ready = world.runtime.start_node, asyncio.Event(), asyncio.Event()

    async def start_later(node: NodeSpec) -> None:
        asked.set()
        await may_be_ready.wait()
        await start_node(node)

    world.runtime.start_node = start_later  # type: ignore[method-assign]
    world.submit("late")
    await asyncio.wait_for(asked.wait(), 10)
    closing = asyncio.create_task(world.orchestrator.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    may_be_ready.set()
    await asyncio.wait_for(closing, 10)
    for _ in range(50):
        await asyncio.sleep(0)
    assert set(world.runtime.jobs) == {"first"}, "begun by an emulator that was closed"
    await world.restart(closed=True)
    await world.until(lambda: "late" in world.runtime.jobs, "the next emulator begins with it")
    world.runtime.jobs["late"].end()
    await world.state("late", RunState.COMPLETED)
    await world.orchestrator.close()
    world.store.close()
