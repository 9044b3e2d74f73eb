"""Nodes that are lost, taken away or too many, and what becomes of their runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.jobs.world import World

from localaml.domain.models import ScaleSettings
from localaml.domain.run_lifecycle import RunEvent
from localaml.domain.states import NodeState, RunState
from localaml.errors import FailedPrecondition
from localaml.jobs.run_book import RunBook

S = RunState


async def test_an_evicted_run_goes_back_to_the_queue_and_on_from_what_it_wrote(world: World) -> None:
    key = world.cluster(high=2, priority="lowpriority")
    world.submit("r", 2)
    run = await world.state("r", S.RUNNING)
    work, logs = world.paths.run(run.key).work, world.paths.run(run.key).logs
    (work / "outputs" / "checkpoint").write_text("step 50")
    (work / "elsewhere").write_text("x")
    (logs / "80_driver_log.txt").write_text("step 50\n")
    first = world.runtime.jobs["r"]
    world.orchestrator.disturbances.evict_node(key, run.node_ids[1])
    await world.until(lambda: world.runtime.jobs["r"] is not first, "the second attempt")
    again = await world.state("r", S.RUNNING)
    assert first.terminated
    assert again.attempt == 2 and run.node_ids[1] not in again.node_ids and run.node_ids[0] in again.node_ids
    assert (work / "outputs" / "checkpoint").read_text() == "step 50"
    assert not (work / "elsewhere").exists(), "only outputs and logs are kept"
    assert (logs / "80_driver_log.txt").read_text().startswith("step 50\n")
    assert world.runtime.jobs["r"].plan.environment["LOCALAML_ATTEMPT"] == "2"
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)
    assert world.states("r") == [
        S.NOT_STARTED,
        S.QUEUED,
        S.PREPARING,
        S.STARTING,
        S.RUNNING,
        S.QUEUED,
        S.PREPARING,
        S.STARTING,
        S.RUNNING,
        S.FINALIZING,
        S.COMPLETED,
    ]
    assert world.store.artifacts.find(run.key, "outputs/checkpoint") is not None


async def test_an_evicted_run_takes_its_old_place(world: World) -> None:
    key = world.cluster(high=1, priority="lowpriority")
    for name in ("a", "b", "c"):
        world.submit(name)
    run = await world.state("a", S.RUNNING)
    world.orchestrator.disturbances.evict_node(key, run.node_ids[0])
    await world.until(lambda: world.run("a").attempt == 2 and world.run("a").state is S.RUNNING, "a again")
    assert world.run("b").state is S.QUEUED
    for name in ("a", "b", "c"):
        await world.state(name, S.RUNNING)
        world.runtime.jobs[name].end()
        await world.state(name, S.COMPLETED)


async def test_dedicated_nodes_are_not_taken_away(world: World) -> None:
    key = world.cluster(low=1)
    await world.until(lambda: len(world.runtime.nodes) == 1, "node")
    [node] = world.orchestrator.cluster_status(key).nodes
    with pytest.raises(FailedPrecondition, match="dedicated") as caught:
        world.orchestrator.disturbances.evict_node(key, node.node_id)
    assert caught.value.reason == "NODE_NOT_LOW_PRIORITY"


async def test_an_idle_node_that_is_taken_away_is_replaced(world: World) -> None:
    key = world.cluster(low=1, priority="lowpriority")
    await world.until(lambda: bool(world.orchestrator.disturbances.nodes()), "an idle node")
    [node] = world.orchestrator.cluster_status(key).nodes
    world.orchestrator.disturbances.evict_node(key, node.node_id)
    await world.until(lambda: node.node_id not in world.runtime.nodes and len(world.runtime.nodes) == 1, "replaced")
    told = [(event.old_state, event.new_state) for event in world.store.events.list() if event.subject == node.node_id]
    assert told == [
        ("", "preparing"),
        ("preparing", "idle"),
        ("idle", "preempted"),
        ("preempted", "leaving"),
        ("leaving", "removed"),
    ]


async def test_a_notice_comes_before_the_end(world: World) -> None:
    key = world.cluster(priority="lowpriority")
    world.submit("r")
    run = await world.state("r", S.RUNNING)
    job = world.runtime.jobs["r"]
    job.deaf = True
    world.orchestrator.disturbances.evict_node(key, run.node_ids[0], notice_seconds=0.2)
    await world.until(lambda: job.terminated, "SIGTERM")
    assert world.run("r").state is S.RUNNING and not job.lost
    [node] = world.orchestrator.cluster_status(key).nodes
    assert node.state is NodeState.RUNNING, "until the notice is over"
    await world.until(lambda: bool(job.lost), "the end of the notice")
    await world.until(lambda: world.run("r").attempt == 2 and world.run("r").state is S.RUNNING, "again")
    assert world.run("r").node_ids != run.node_ids
    world.runtime.jobs["r"].end()


async def test_a_script_that_ends_well_at_the_notice_is_not_done(world: World) -> None:
    key = world.cluster(priority="lowpriority")
    world.submit("r")
    run = await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].exit_code_at_term = 0
    world.orchestrator.disturbances.evict_node(key, run.node_ids[0], notice_seconds=30)
    await world.until(lambda: world.run("r").attempt == 2 and world.run("r").state is S.RUNNING, "again")
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)


async def test_an_eviction_in_preparing_begins_again_without_counting(world: World) -> None:
    key = world.cluster(priority="lowpriority")
    world.environments.hold = asyncio.Event()
    world.submit("r")
    run = await world.state("r", S.PREPARING)
    world.orchestrator.disturbances.evict_node(key, run.node_ids[0])
    await world.until(lambda: world.states("r").count(S.PREPARING) == 2, "placed again")
    world.environments.hold.set()
    assert (await world.state("r", S.RUNNING)).attempt == 1
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)


@pytest.mark.parametrize("when", ["notice", "queued"])
async def test_a_cancel_is_stronger_than_an_eviction(world: World, when: str) -> None:
    key = world.cluster(priority="lowpriority")
    world.submit("r")
    run = await world.state("r", S.RUNNING)
    (world.paths.run(run.key).work / "outputs" / "model").write_text("m")
    job = world.runtime.jobs["r"]
    if when == "queued":
        world.runtime.hold_nodes = asyncio.Event()
        world.orchestrator.disturbances.evict_node(key, run.node_ids[0])
        await world.state("r", S.QUEUED)
        await world.orchestrator.cancel_run(run.key)
        world.runtime.hold_nodes.set()
    else:
        job.deaf = True
        world.orchestrator.disturbances.evict_node(key, run.node_ids[0], notice_seconds=30)
        await world.until(lambda: job.terminated, "SIGTERM")
        await world.orchestrator.cancel_run(run.key)
        job.end(143)
    await world.state("r", S.CANCELED)
    assert world.store.artifacts.find(run.key, "outputs/model") is not None
    await world.until(lambda: not world.paths.run(run.key).root.exists(), "the folder goes")


async def test_a_run_that_had_just_ended_completes_all_the_same(world: World) -> None:
    key = world.cluster(priority="lowpriority")
    world.submit("r")
    run = await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].end()
    world.orchestrator.disturbances.evict_node(key, run.node_ids[0])
    await world.state("r", S.COMPLETED)
    assert S.QUEUED not in world.states("r")[2:]


async def test_memory_that_is_gone_and_processes_that_are_killed(world: World) -> None:
    world.cluster(high=2)
    for name in ("memory", "killed"):
        world.submit(name)
        run = await world.state(name, S.RUNNING)
        do = world.orchestrator.disturbances
        {"memory": do.out_of_memory, "killed": do.kill_processes}[name](run.key, run.node_ids[0], "a test")
        run = await world.state(name, S.FAILED)
        assert run.error is not None and "a test" in run.error.message
        assert f"localaml events --run {name}" in run.error.message
        assert run.error.code == {"memory": "OUT_OF_MEMORY", "killed": "PROCESS_KILLED"}[name]
        assert ("OutOfMemory" in run.error.message) == (name == "memory")


async def test_an_eviction_survives_a_restart(world: World) -> None:
    """The emulator is killed after the node was noted as taken away, and before its run was back in the queue."""
    key = world.cluster(priority="lowpriority")
    world.submit("r")
    run = await world.state("r", S.RUNNING)
    [node] = world.store.nodes.list(key)
    await world.orchestrator.close()
    world.store.nodes.put(replace(node, state=NodeState.PREEMPTED))
    await world.restart(closed=True)
    await world.until(lambda: world.run("r").attempt == 2 and world.run("r").state is S.RUNNING, "again")
    assert world.run("r").node_ids != run.node_ids
    await world.until(lambda: len(world.runtime.nodes) == 1, "the old node goes")
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)


async def test_what_had_ended_before_a_crash_cannot_be_evicted_after_it(world: World) -> None:
    """Found by tests/machine: the run was sent back to the queue from Finalizing, which cannot be, and stayed there."""
    key = world.cluster(priority="lowpriority")
    world.submit("r")
    run = await world.state("r", S.RUNNING)
    [node] = world.store.nodes.list(key)
    await world.orchestrator.close()
    world.runtime.jobs["r"].end()
    RunBook(world.store, world.clock).advance(run.key, RunEvent.PROCESSES_ENDED, "processes ended")
    world.store.nodes.put(replace(node, state=NodeState.PREEMPTED))
    await world.restart(closed=True)
    await world.state("r", S.COMPLETED)
    await world.until(lambda: node.node_id not in world.runtime.nodes, "the node goes")


async def test_a_leaving_node_finishes_its_job_also_over_a_restart(world: World) -> None:
    key = world.cluster(high=2)
    world.submit("r", 2)
    await world.state("r", S.RUNNING)
    world.orchestrator.resize_cluster(key, ScaleSettings(0, 1, 600))
    states = sorted(node.state for node in world.orchestrator.cluster_status(key).nodes)
    assert states == [NodeState.LEAVING, NodeState.RUNNING]
    await world.restart()
    assert sorted(node.state for node in world.orchestrator.cluster_status(key).nodes) == states
    assert world.run("r").state is S.RUNNING
    await world.until(lambda: "r" in world.runtime.jobs, "adopted")
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)
    await world.until(lambda: len(world.orchestrator.cluster_status(key).nodes) == 1, "the leaving one goes")


async def test_a_quota_stops_growth_and_says_so_until_it_is_raised(world: World) -> None:
    world.orchestrator.quotas.set_limit("wid", "standardDv2Family", 3)
    key = world.cluster(high=2)
    world.submit("r", 2)
    await world.until(lambda: bool(world.orchestrator.cluster_status(key).cluster.errors), "error")
    status = world.orchestrator.cluster_status(key)
    [error] = status.cluster.errors
    assert error.code == "ClusterCoreQuotaReached" and "Maximum allowed: 3" in error.message
    assert len(status.nodes) == 1 and status.target_node_count == 2
    with pytest.raises(FailedPrecondition, match="ClusterMinNodesExceedCoreQuota"):
        world.orchestrator.resize_cluster(key, ScaleSettings(2, 4, 60))
    with pytest.raises(FailedPrecondition, match="ClusterMinNodesExceedCoreQuota"):
        world.cluster(low=2, name="other")
    assert [cluster.name.name for cluster in world.store.clusters.list()] == ["cpu"]
    world.orchestrator.quotas.set_limit("wid", "standardDv2Family", 4)
    await world.state("r", S.RUNNING)
    assert world.orchestrator.cluster_status(key).cluster.errors == (), "it is over"
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)


async def test_nodes_that_go_make_room_for_another_cluster(world: World) -> None:
    world.orchestrator.quotas.set_limit("wid", "standardDv2Family", 2)
    first = world.cluster(low=1, high=1)
    await world.until(lambda: len(world.runtime.nodes) == 1, "node")
    world.cluster(high=1, name="other")
    world.submit("r", target="other")
    assert world.run("r").state is S.QUEUED
    await world.orchestrator.delete_cluster(first)
    await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)


async def test_the_history_has_every_state_in_order_with_its_cause(world: World) -> None:
    world.cluster(high=1)
    world.submit("r")
    await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)
    events = world.store.events.list()
    assert [event.sequence for event in events] == sorted({event.sequence for event in events})
    run = [event for event in events if event.kind == "run"]
    assert [event.new_state for event in run] == [state.value for state in world.states("r")[1:]]
    assert [event.old_state for event in run[1:]] == [event.new_state for event in run[:-1]]
    assert all(event.cause and event.workspace_id == "wid" and event.cluster == "cpu" for event in run)
    assert next(event.cause for event in events if event.kind == "cluster") == "created"
    assert {event.new_state for event in events if event.kind == "node"} >= {"preparing", "idle", "running"}
