"""Runs and clusters together, over a runtime without processes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.jobs.world import World

from localaml.domain.job import ContainerSpec
from localaml.domain.models import ErrorInfo, ScaleSettings
from localaml.domain.states import NodeState, RunState
from localaml.errors import FailedPrecondition, InvalidArgument, NotFound

S = RunState


async def test_a_run_goes_through_its_states_in_order(world: World) -> None:
    key = world.cluster()
    assert world.submit("r").state is S.QUEUED
    await world.state("r", S.RUNNING)
    [node] = world.orchestrator.cluster_status(key).nodes
    assert (node.state, node.run_id) == (NodeState.RUNNING, "r")
    world.runtime.jobs["r"].end()
    run = await world.state("r", S.COMPLETED)
    assert world.states("r") == [
        S.NOT_STARTED,
        S.QUEUED,
        S.PREPARING,
        S.STARTING,
        S.RUNNING,
        S.FINALIZING,
        S.COMPLETED,
    ]
    assert run.started_at is not None and run.ended_at is not None
    [node] = world.orchestrator.cluster_status(key).nodes
    assert (node.state, node.run_id) == (NodeState.IDLE, None)
    await world.until(lambda: not world.paths.run(run.key).root.exists(), "the run's folder goes")


async def test_the_process_gets_its_variables_and_nothing_else_of_ours(world: World) -> None:
    world.cluster()
    world.submit("r", arguments=("$AZUREML_RUN_ID", "--x"), environment_variables={"MINE": "1", "AZUREML_RUN_ID": "no"})
    await world.state("r", S.RUNNING)
    plan = world.runtime.jobs["r"].plan
    assert plan.argv == ("/usr/bin/python3", "train.py", "r", "--x")
    assert plan.environment["AZUREML_RUN_ID"] == "r"
    assert plan.environment["AZUREML_RUN_TOKEN"] == "token-r"
    assert plan.environment["MINE"] == "1"
    assert plan.environment["HOME"] == "/root"
    assert "SECRET" not in plan.environment
    assert "token-r" not in repr(plan)
    world.runtime.jobs["r"].end()


async def test_runs_wait_for_each_other_in_order(world: World) -> None:
    world.cluster(high=2)
    for name, nodes in [("a", 1), ("b", 2), ("c", 1)]:
        world.submit(name, nodes)
    await world.state("a", S.RUNNING)
    assert world.run("b").state is S.QUEUED and world.run("c").state is S.QUEUED
    world.runtime.jobs["a"].end()
    await world.state("b", S.RUNNING)
    assert len(world.runtime.jobs["b"].plan.nodes) == 2
    assert world.run("c").state is S.QUEUED
    world.runtime.jobs["b"].end()
    await world.state("c", S.RUNNING)
    world.runtime.jobs["c"].end()
    await world.state("c", S.COMPLETED)


async def test_a_failed_process_fails_the_run(world: World) -> None:
    world.cluster()
    world.submit("r")
    await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].end(3)
    run = await world.state("r", S.FAILED)
    assert run.error is not None and run.error.code == "USER_SCRIPT_FAILED"


async def test_a_script_can_fail_its_run(world: World) -> None:
    world.cluster()
    world.submit("r")
    await world.state("r", S.RUNNING)
    await world.orchestrator.ends.fail(world.key("r"), ErrorInfo("Mine", "because"), by_script=True)
    assert world.run("r").state is S.RUNNING, "its processes decide when"
    world.runtime.jobs["r"].end()
    run = await world.state("r", S.FAILED)
    assert run.error == ErrorInfo("Mine", "because")


async def test_an_environment_that_cannot_be_made_fails_in_preparing(world: World) -> None:
    world.cluster()
    world.environments.error = FailedPrecondition("ENVIRONMENT_BUILD_FAILED", "no such package")
    world.submit("r")
    run = await world.state("r", S.FAILED)
    assert world.states("r")[-2:] == [S.PREPARING, S.FAILED]
    assert run.error is not None and run.error.message == "no such package"
    assert world.runtime.launched == []


async def test_a_waiting_run_is_canceled_at_once(world: World) -> None:
    world.cluster(high=1)
    world.submit("a")
    world.submit("b")
    run = await world.orchestrator.cancel_run(world.key("b"))
    assert run.state is S.CANCELED
    await world.state("a", S.RUNNING)
    world.runtime.jobs["a"].end()
    await world.state("a", S.COMPLETED)
    assert world.runtime.launched == ["wid/a"]


@pytest.mark.parametrize("state", [S.PREPARING, S.RUNNING])
async def test_a_placed_run_is_canceled(world: World, state: RunState) -> None:
    key = world.cluster()
    if state is S.PREPARING:
        world.environments.hold = asyncio.Event()
    world.submit("r")
    await world.state("r", state)
    assert (await world.orchestrator.cancel_run(world.key("r"))).state is S.CANCEL_REQUESTED
    await world.state("r", S.CANCELED)
    if state is S.RUNNING:
        assert world.runtime.jobs["r"].terminated
    await world.until(
        lambda: [node.state for node in world.orchestrator.cluster_status(key).nodes] == [NodeState.IDLE], "free"
    )
    with pytest.raises(FailedPrecondition, match="Canceled"):
        await world.orchestrator.cancel_run(world.key("r"))


async def test_a_run_that_takes_too_long_is_ended(world: World) -> None:
    world.cluster()
    world.submit("r", max_run_duration_seconds=1)
    run = await world.state("r", S.FAILED)
    assert run.error is not None and run.error.code == "MAX_RUN_DURATION_EXCEEDED"
    assert world.runtime.jobs["r"].terminated
    assert run.started_at is not None and run.ended_at is not None
    assert timedelta(seconds=0.9) < run.ended_at - run.started_at < timedelta(seconds=5)


async def test_a_lost_node_fails_its_run_and_is_replaced(world: World) -> None:
    key = world.cluster(low=1)
    world.submit("r")
    run = await world.state("r", S.RUNNING)
    world.orchestrator.disturbances.lose_node(key, run.node_ids[0])
    run = await world.state("r", S.FAILED)
    assert run.error is not None and run.error.code == "NODE_LOST"
    assert world.runtime.jobs["r"].lost == list(run.node_ids)
    await world.until(
        lambda: [node.state for node in world.orchestrator.cluster_status(key).nodes] == [NodeState.IDLE], "replaced"
    )
    assert world.orchestrator.cluster_status(key).nodes[0].node_id != run.node_ids[0]


async def test_a_node_that_cannot_be_had_is_said_so(world: World) -> None:
    key = world.cluster()
    world.runtime.broken = True
    world.submit("r")
    await world.until(lambda: bool(world.orchestrator.cluster_status(key).cluster.errors), "error")
    assert world.run("r").state is S.QUEUED
    world.runtime.broken = False
    world.orchestrator.resize_cluster(key, ScaleSettings(0, 3, 60))
    await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].end()


async def test_what_could_not_be_had_holds_up_nothing_once_it_is_not_wanted_any_more(world: World) -> None:
    key = world.cluster(low=1, high=2)

    def nodes() -> list[str]:
        return [node.node_id for node in world.orchestrator.cluster_status(key).nodes if node.state is NodeState.IDLE]

    await world.until(lambda: len(nodes()) == 1, "its minimum")
    world.runtime.broken = True
    world.submit("r", 2)
    await world.until(lambda: bool(world.orchestrator.cluster_status(key).cluster.errors), "error")
    await world.orchestrator.cancel_run(world.key("r"))
    await world.until(lambda: not world.orchestrator.cluster_status(key).cluster.errors, "no error")
    world.runtime.broken = False
    [first] = nodes()
    world.orchestrator.disturbances.lose_node(key, first)
    # At once: the pause after a failure was for nodes that nobody wants now, and nothing would tell of it.
    await world.until(lambda: bool(nodes()) and nodes() != [first], "another node")


async def test_bad_targets_and_counts_are_refused_and_nothing_is_stored(world: World) -> None:
    world.cluster(high=2)
    with pytest.raises(InvalidArgument, match="3 nodes") as caught:
        world.submit("r", 3)
    assert caught.value.reason == "NODE_COUNT_TOO_LARGE"
    with pytest.raises(NotFound):
        world.submit("r", target="nowhere")
    with pytest.raises(InvalidArgument, match="vm_size"):
        world.submit("r", target="amlcompute")
    with pytest.raises(InvalidArgument, match="one machine"):
        world.submit("r", 2, target="local")
    assert world.store.runs.find(world.key("r")) is None
    assert [cluster.name.name for cluster in world.store.clusters.list()] == ["cpu"]


async def test_a_cluster_for_one_run_comes_and_goes_with_it(world: World) -> None:
    run = world.submit("r", 2, target="amlcompute", vm_size="standard_nc6")
    assert run.target.startswith("amlc-")
    await world.state("r", S.RUNNING)
    assert S.PROVISIONING in world.states("r")
    [cluster] = world.store.clusters.list()
    assert (cluster.vm_size, cluster.for_run) == ("Standard_NC6", "r")
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)
    await world.until(lambda: not world.store.clusters.list(), "cluster gone")
    assert world.runtime.nodes == {}


async def test_the_local_target_needs_no_cluster(world: World) -> None:
    for name in "abc":
        world.submit(name, target="local")
    await world.state("a", S.RUNNING)
    await world.state("b", S.RUNNING)
    assert world.run("c").state is S.QUEUED, "two at a time"
    assert world.runtime.jobs["a"].plan.nodes[0].host_name == "here"
    for name in "abc":
        await world.state(name, S.RUNNING)
        world.runtime.jobs[name].end()
        await world.state(name, S.COMPLETED)
    assert world.store.clusters.list() == []


async def test_deleting_a_cluster_cancels_its_runs(world: World) -> None:
    key = world.cluster(high=1)
    world.submit("a")
    world.submit("b")
    await world.state("a", S.RUNNING)
    await world.orchestrator.delete_cluster(key)
    assert world.run("a").state is S.CANCELED and world.run("b").state is S.CANCELED
    assert world.runtime.nodes == {}
    with pytest.raises(NotFound):
        world.orchestrator.cluster_status(key)


async def test_a_smaller_cluster_keeps_working_nodes_until_they_are_free(world: World) -> None:
    key = world.cluster(low=2, high=2, idle=600)
    world.submit("r")
    await world.state("r", S.RUNNING)
    world.orchestrator.resize_cluster(key, ScaleSettings(0, 1, 600))
    await world.until(lambda: len(world.runtime.nodes) == 1, "the idle node goes")
    assert world.run("r").state is S.RUNNING
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)


async def test_runs_of_every_stage_survive_a_restart(world: World) -> None:
    world.cluster(high=1)
    world.submit("running")
    world.submit("queued")
    await world.state("running", S.RUNNING)
    await world.restart()
    assert world.runtime.kept_labels == frozenset({"wid/running"})
    await world.until(lambda: world.runtime.adopted == ["wid/running"], "adoption")
    assert world.runtime.launched == []
    world.runtime.jobs["running"].end()
    await world.state("running", S.COMPLETED)
    await world.state("queued", S.RUNNING)
    world.runtime.jobs["queued"].end()
    await world.state("queued", S.COMPLETED)


async def test_a_run_in_preparing_begins_again_after_a_restart(world: World) -> None:
    world.cluster(high=1)
    world.environments.hold = asyncio.Event()
    world.submit("r")
    before = await world.state("r", S.PREPARING)
    await world.restart()
    assert world.runtime.launched == []
    world.environments.hold.set()
    after = await world.state("r", S.RUNNING)
    assert after.node_ids == before.node_ids
    assert world.runtime.launched == ["wid/r"]
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)


async def test_a_cancel_survives_a_restart(world: World) -> None:
    world.cluster(high=1)
    world.submit("r")
    await world.state("r", S.RUNNING)
    world.store.runs.update(replace(world.run("r"), state=S.CANCEL_REQUESTED))
    await world.restart()
    await world.state("r", S.CANCELED)
    assert world.runtime.jobs["r"].terminated


async def test_a_run_that_wants_gpus_where_there_are_none_is_told_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cluster()
    monkeypatch.setattr(world.runtime, "lacks_gpus", lambda node: "no GPUs here")
    for run_id, gpu in (("wants", True), ("wants-not", False)):
        world.submit(run_id, container=ContainerSpec(gpu=gpu))
        await world.state(run_id, S.RUNNING)
        world.runtime.jobs[run_id].end()
        run = await world.state(run_id, S.COMPLETED)
        told = [(warning.code, warning.message) for warning in run.warnings]
        assert told == ([("NO_GPU", "no GPUs here")] if gpu else [])
