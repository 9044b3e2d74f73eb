"""Runs whose callers say how they have ended, in every state, over a runtime without processes."""

from __future__ import annotations

import asyncio

import pytest
from tests.jobs.world import World

from localaml.compute.runtime import LaunchPlan
from localaml.domain.models import ErrorInfo
from localaml.domain.states import NodeState, RunState
from localaml.errors import FailedPrecondition

S = RunState
TOLD = ErrorInfo("NAN", "the loss is no number")


@pytest.mark.parametrize("state", [S.QUEUED, S.PREPARING, S.RUNNING])
async def test_a_run_that_works_is_failed_at_once(world: World, state: RunState) -> None:
    key = world.cluster(high=1)
    if state is S.PREPARING:
        world.environments.hold = asyncio.Event()
    if state is S.QUEUED:
        world.submit("before")
        await world.state("before", S.RUNNING)
    world.submit("r")
    await world.state("r", state)
    run = await world.orchestrator.ends.fail(world.key("r"), TOLD, by_script=False)
    assert (run.state, run.error) == (S.FAILED, TOLD)
    assert run.ended_at is not None
    if state is S.QUEUED:
        world.runtime.jobs["before"].end()
    await world.until(lambda: world.run("r").is_over, "its end")
    if state is S.RUNNING:
        assert world.runtime.jobs["r"].terminated
    else:
        assert "wid/r" not in world.runtime.launched
    await world.until(
        lambda: [node.state for node in world.orchestrator.cluster_status(key).nodes] == [NodeState.IDLE], "free"
    )
    assert world.states("r")[-2:] == [state, S.FAILED]
    assert world.run("r").error == TOLD
    await world.until(lambda: not world.paths.run(run.key).root.exists(), "the run's folder goes")
    # Its node works for the next one.
    world.environments.hold = None
    world.submit("next")
    await world.state("next", S.RUNNING)
    world.runtime.jobs["next"].end()
    await world.state("next", S.COMPLETED)


async def test_its_processes_have_their_grace_and_the_nodes_stay_its_own(world: World) -> None:
    key = world.cluster(high=1)
    world.submit("r")
    await world.state("r", S.RUNNING)
    job = world.runtime.jobs["r"]
    job.deaf = True
    await world.orchestrator.ends.fail(world.key("r"), TOLD, by_script=False)
    await world.until(lambda: job.terminated, "SIGTERM")
    assert world.store.runs.is_going_on(world.key("r")), "its token is good until its processes have ended"
    assert [run.run_id for run in world.store.runs.list_active()] == ["r"]
    [node] = world.orchestrator.cluster_status(key).nodes
    assert (node.state, node.run_id) == (NodeState.RUNNING, "r")
    with pytest.raises(FailedPrecondition, match="cannot be canceled any more"):
        await world.orchestrator.cancel_run(world.key("r"))
    # What its script says meanwhile changes nothing, and does not disturb it.
    job.end(0)
    await world.until(lambda: world.run("r").is_over, "its end")
    assert (world.run("r").state, world.run("r").error) == (S.FAILED, TOLD)
    assert not world.store.runs.is_going_on(world.key("r"))
    assert world.store.runs.list_active() == []


async def test_it_is_ended_by_the_next_emulator_too(world: World) -> None:
    world.cluster()
    world.submit("r")
    await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].deaf = True
    await world.orchestrator.ends.fail(world.key("r"), TOLD, by_script=False)
    await world.restart()
    assert world.runtime.kept_labels == {"wid/r"}
    await world.until(lambda: world.run("r").is_over, "its end")
    assert world.runtime.jobs["r"].terminated
    assert (world.run("r").state, world.run("r").error) == (S.FAILED, TOLD)
    assert world.states("r")[-2:] == [S.RUNNING, S.FAILED]


async def test_an_eviction_does_not_begin_it_again(world: World) -> None:
    key = world.cluster(priority="lowpriority")
    world.submit("r")
    await world.state("r", S.RUNNING)
    job = world.runtime.jobs["r"]
    job.deaf = True
    await world.orchestrator.ends.fail(world.key("r"), TOLD, by_script=False)
    await world.until(lambda: job.terminated, "SIGTERM")
    [node] = world.orchestrator.cluster_status(key).nodes
    world.orchestrator.disturbances.evict_node(key, node.node_id)
    job.end(143)
    await world.until(lambda: world.run("r").is_over, "its end")
    assert world.run("r").state is S.FAILED
    assert world.runtime.launched == ["wid/r"]


@pytest.mark.parametrize("how", ["cancel", "fail"])
async def test_a_wish_that_comes_during_the_launch_ends_the_processes(world: World, how: str) -> None:
    world.cluster()
    reached, go_on = asyncio.Event(), asyncio.Event()
    launch = world.runtime.launch

    async def slow_launch(plan: LaunchPlan) -> object:
        job = await launch(plan)
        reached.set()
        await go_on.wait()
        return job

    world.runtime.launch = slow_launch  # type: ignore[method-assign, assignment]
    world.submit("r")
    await asyncio.wait_for(reached.wait(), 10)
    if how == "cancel":
        await world.orchestrator.cancel_run(world.key("r"))
    else:
        await world.orchestrator.ends.fail(world.key("r"), TOLD, by_script=False)
    go_on.set()
    await world.until(lambda: world.run("r").is_over, "its end")
    assert world.runtime.jobs["r"].terminated
    assert world.run("r").state is (S.CANCELED if how == "cancel" else S.FAILED)
    assert world.run("r").error == (TOLD if how == "fail" else None)


async def test_a_completed_run_can_be_failed_and_a_cancelled_one_cannot(world: World) -> None:
    world.cluster()
    ends = world.orchestrator.ends
    world.submit("r")
    await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].end()
    ended_at = (await world.state("r", S.COMPLETED)).ended_at
    assert ends.complete(world.key("r")).state is S.COMPLETED
    failed = await ends.fail(world.key("r"), TOLD, by_script=False)
    assert (failed.state, failed.error, failed.ended_at) == (S.FAILED, TOLD, ended_at)
    assert (await ends.fail(world.key("r"), ErrorInfo("", ""), by_script=False)).error == TOLD
    other = ErrorInfo("UserError", "rather this")
    assert (await ends.fail(world.key("r"), ErrorInfo("", "rather this"), by_script=False)).error == other
    with pytest.raises(FailedPrecondition, match=r"has ended \(Failed\); it cannot be completed any more"):
        ends.complete(world.key("r"))
    with pytest.raises(FailedPrecondition, match=r"has ended \(Failed\); it cannot be canceled any more"):
        await world.orchestrator.cancel_run(world.key("r"))
    world.submit("c")
    await world.orchestrator.cancel_run(world.key("c"))
    await world.state("c", S.CANCELED)
    with pytest.raises(FailedPrecondition, match=r"has ended \(Canceled\); it cannot be failed any more"):
        await ends.fail(world.key("c"), TOLD, by_script=False)
    with pytest.raises(FailedPrecondition, match=r"has ended \(Canceled\); it cannot be completed any more"):
        ends.complete(world.key("c"))


async def test_a_run_that_is_being_cancelled_can_be_failed(world: World) -> None:
    world.cluster()
    world.submit("r")
    await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].deaf = True
    await world.orchestrator.cancel_run(world.key("r"))
    run = await world.orchestrator.ends.fail(world.key("r"), TOLD, by_script=False)
    assert run.state is S.FAILED
    world.runtime.jobs["r"].end(0)
    await world.until(lambda: world.run("r").is_over, "its end")
    assert (world.run("r").state, world.run("r").error) == (S.FAILED, TOLD)


async def test_a_cluster_that_is_deleted_waits_for_it(world: World) -> None:
    key = world.cluster()
    world.submit("r")
    await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].deaf = True
    await world.orchestrator.ends.fail(world.key("r"), TOLD, by_script=False)
    deleting = asyncio.ensure_future(world.orchestrator.delete_cluster(key))
    await world.until(lambda: world.runtime.jobs["r"].terminated, "SIGTERM")
    assert not deleting.done()
    assert world.runtime.nodes
    world.runtime.jobs["r"].end(143)
    await asyncio.wait_for(deleting, 10)
    assert world.run("r").is_over
    assert not world.runtime.nodes
