"""Runs on nodes that are containers: what is asked of the image, what the processes get, and nodes that go by
themselves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.jobs.world import NAME, NOW, World

from localaml.compute.runtime import Bind, ContainerPlan
from localaml.domain.job import ContainerSpec, RegistryCredentials
from localaml.domain.models import Cluster, ClusterKey, ScaleSettings
from localaml.domain.names import ChildName
from localaml.domain.states import NodeState, ProvisioningState, RunState
from localaml.errors import Unavailable
from localaml.jobs.containers import container_variables, wanted_container
from localaml.jobs.targets import RUNTIME_TAG

S = RunState


def _cluster(world: World, runtime: str = "docker", high: int = 2) -> ClusterKey:
    cluster = Cluster(
        ChildName(NAME, "computes", "cpu"),
        "wid",
        "Standard_D2_v2",
        "dedicated",
        ScaleSettings(0, high, 60),
        ProvisioningState.SUCCEEDED,
        *(NOW, NOW, NOW, NOW),
        tags={RUNTIME_TAG: runtime},
    )
    return world.orchestrator.create_cluster(cluster).key


async def test_a_cluster_says_what_its_nodes_are(world: World) -> None:
    _cluster(world)
    world.submit("r")
    await world.state("r", S.RUNNING)
    [node] = world.runtime.nodes.values()
    assert node.runtime == "docker"
    world.submit("here", target="local")
    await world.state("here", S.RUNNING)
    [node] = world.runtime.jobs["here"].plan.nodes
    assert node.runtime == "process", "`local` is this machine, whatever clusters are"
    assert world.environments.containers[-1] is None
    plan = world.runtime.jobs["here"].plan
    assert plan.container is None and plan.environment["LANG"] == "of the machine"


async def test_processes_of_a_container_have_its_variables_and_not_the_machine_s(world: World) -> None:
    _cluster(world)
    container = ContainerSpec(image="a/b", arguments=("-e", "ASKED=1", "-e", "OF_IMAGE=2", "--cpus=1"))
    world.submit("r", container=container, environment_variables={"ASKED": "3"})
    await world.state("r", S.RUNNING)
    plan = world.runtime.jobs["r"].plan
    assert "LANG" not in plan.environment and "HOME" in plan.environment
    assert plan.environment["OF_IMAGE"] == "2", "an argument comes before the image"
    assert plan.environment["ASKED"] == "3", "the run comes before an argument"
    assert plan.environment["PATH"] == "/usr/bin:/image/bin"
    assert plan.container is not None and plan.container.binds == (Bind(Path("/sdk")),)
    [asked] = world.environments.containers
    assert asked == ContainerSpec(image="a/b", arguments=("--cpus=1.000000000",))


async def test_a_run_goes_on_in_its_container_though_nodes_are_processes_by_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cluster()
    monkeypatch.setattr(type(world.runtime), "runs_in_containers", lambda runtime, node: node.runtime != "process")
    world.submit("r")
    await world.state("r", S.RUNNING)
    assert world.runtime.jobs["r"].plan.nodes[0].runtime == ""
    monkeypatch.setattr(type(world.runtime), "runs_in_containers", lambda runtime, node: node.runtime == "docker")
    await world.restart()
    await world.until(lambda: "r" in world.runtime.jobs, "it is adopted")
    [node] = world.runtime.jobs["r"].plan.nodes
    assert node.runtime == "docker"
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)


async def test_a_node_that_goes_by_itself_fails_its_run_and_is_replaced(world: World) -> None:
    key = _cluster(world)
    world.submit("r", 2)
    run = await world.state("r", S.RUNNING)
    world.submit("next", 2)
    world.runtime.lost(run.node_ids[1], "its container ended with exit code 137")
    failed = await world.state("r", S.FAILED)
    assert failed.error is not None and failed.error.code == "NODE_LOST"
    assert "its container ended with exit code 137" in failed.error.message and run.node_ids[1] in failed.error.message
    assert world.runtime.jobs["r"].lost == [run.node_ids[1]]
    after = await world.state("next", S.RUNNING)
    assert run.node_ids[1] not in after.node_ids
    await world.until(lambda: run.node_ids[1] not in world.runtime.nodes, "the lost node is removed")
    world.runtime.lost("no-such-node", "x")
    world.runtime.jobs["next"].end()
    await world.state("next", S.COMPLETED)
    assert {node.state for node in world.orchestrator.cluster_status(key).nodes} == {NodeState.IDLE}


async def test_an_idle_node_that_goes_by_itself_is_replaced(world: World) -> None:
    key = _cluster(world)
    world.submit("r")
    run = await world.state("r", S.RUNNING)
    world.runtime.jobs["r"].end()
    await world.state("r", S.COMPLETED)
    world.runtime.lost(run.node_ids[0], "died")
    world.runtime.lost(run.node_ids[0], "died again")
    await world.until(lambda: not world.orchestrator.cluster_status(key).nodes, "it is removed")
    world.submit("next")
    await world.state("next", S.RUNNING)


async def test_what_cannot_be_removed_counts_until_it_can(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localaml.jobs.cluster_control._STOP_RETRY_SECONDS", 0.01)
    key = _cluster(world)
    world.submit("r")
    await world.state("r", S.RUNNING)
    world.runtime.stop_error = Unavailable("DOCKER_ENGINE_UNAVAILABLE", "The engine is away.")
    deleting = asyncio.ensure_future(world.orchestrator.delete_cluster(key))
    await world.until(lambda: bool(world.store.clusters.get(key).errors), "the trouble is told")
    assert world.store.clusters.get(key).errors[0].code == "DOCKER_ENGINE_UNAVAILABLE"
    assert not deleting.done() and world.runtime.nodes
    world.runtime.stop_error = None
    await asyncio.wait_for(deleting, 10)
    assert not world.runtime.nodes and world.store.clusters.find(key) is None


async def test_a_node_s_note_is_told(world: World) -> None:
    world.runtime.note = "cpu-0 has 2 of 4 cores: this machine has no more."
    _cluster(world)
    world.submit("r")
    run = await world.state("r", S.RUNNING)
    assert world.runtime.note in (world.paths.run(run.key).logs / "60_control_log.txt").read_text()
    causes = [event.cause for event in world.store.events.list()]
    assert f"started: {world.runtime.note}" in causes


def test_what_is_asked_of_an_image() -> None:
    spec = ContainerSpec(
        image="a/b",
        shm_size_bytes=1024,
        gpu=True,
        arguments=("--ulimit", "nofile=5", "--shm-size=1m", "--memory", "1g", "-eA=1", "--ulimit=core=0:-1"),
        registry=RegistryCredentials("r", "u", "p"),
    )
    wanted = wanted_container(spec)
    assert wanted == replace(
        spec,
        shm_size_bytes=1024**2,
        arguments=("--memory=1073741824", "--ulimit=core=0:-1", "--ulimit=nofile=5:5"),
    )
    assert wanted_container(wanted) == wanted
    plan = ContainerPlan("sha256:1", "/p", environment={"A": "0", "B": "0"})
    assert container_variables(spec, plan) == {"A": "1", "B": "0"}
    assert wanted_container(replace(spec, arguments=())).shm_size_bytes == 1024


async def test_a_defect_in_starting_a_node_is_told_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = _cluster(world)

    async def defect(*_: object) -> None:
        raise KeyError("what")

    with monkeypatch.context() as patched:
        patched.setattr(type(world.runtime), "start_node", defect)
        world.submit("r")
        await world.until(lambda: bool(world.orchestrator.cluster_status(key).cluster.errors), "the error is told")
    [error] = world.orchestrator.cluster_status(key).cluster.errors
    assert error.code == "NODE_START_FAILED" and "what" in error.message
    world.orchestrator.try_again()
    await world.state("r", S.RUNNING)
