"""Containers of nodes beside their runs: at rest, without GPUs, and those that nobody owns any more."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.compute.machine import PYTHON, DockerMachine, ended, until

from localaml.compute.docker import ownerless
from localaml.compute.docker.containers import STATE_DIR_LABEL
from localaml.compute.docker.ownerless import end_ownerless
from localaml.compute.docker.runtime import DockerRuntime
from localaml.compute.runtime import LaunchPlan
from localaml.errors import FailedPrecondition, LocalAmlError

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker


@pytest.fixture
async def docker(tmp_path: Path, host_filesystem_image: str) -> AsyncIterator[DockerMachine]:
    machine = DockerMachine(tmp_path / "state")
    await machine.start()
    yield machine
    await machine.runtime.end_leftovers(frozenset())
    await machine.runtime.close()
    assert not machine.left_on_the_engine()


@pytest.fixture
def containers(docker_engine: DockerClient) -> Callable[[Path], dict[str, str]]:
    """Ids and states of a state dir's containers."""

    def found(state: Path) -> dict[str, str]:
        filters = {"label": [f"{STATE_DIR_LABEL}={state}"]}
        return {each["Id"]: each["State"] for each in docker_engine.api.containers(all=True, filters=filters)}

    return found


# -- at rest ----------------------------------------------------------------------------------------------------------


def _without_program(docker: DockerMachine) -> LaunchPlan:
    return docker.plan("missing", "/no/such/program")


def _with_a_bad_variable(docker: DockerMachine) -> LaunchPlan:
    return docker.plan("variable", PYTHON, "-c", "pass", environment={"": "x"})


def _on_two_nodes_without_open_mpi(docker: DockerMachine) -> LaunchPlan:
    return replace(docker.mpi_plan("mpi", PYTHON, "-c", "pass"), open_mpi_prefix=docker.paths.runs / "w1")


@pytest.mark.parametrize("broken", [_without_program, _with_a_bad_variable, _on_two_nodes_without_open_mpi])
async def test_after_a_launch_that_fails_its_containers_rest_again(
    docker: DockerMachine,
    containers: Callable[[Path], dict[str, str]],
    broken: Callable[[DockerMachine], LaunchPlan],
) -> None:
    # The first ones have to wait at rest, so that the launch wakes them up.
    plan = broken(docker)
    (docker.paths.runs / "w1" / "bin").mkdir(parents=True)
    await asyncio.gather(*(docker.runtime.start_node(node) for node in plan.nodes))

    def at_rest() -> bool:
        return list(containers(docker.paths.root).values()) == ["paused"] * len(plan.nodes)

    await until(at_rest, "the containers to rest")
    before = set(containers(docker.paths.root))
    with pytest.raises(LocalAmlError):
        await docker.runtime.launch(plan)
    await until(at_rest, "the containers to rest again")
    # They are as good as before.
    good = replace(docker.plan("good", PYTHON, "-c", "pass"), nodes=plan.nodes[:1])
    assert (await ended(await docker.runtime.launch(good))).succeeded
    assert set(containers(docker.paths.root)) == before


# -- GPUs -------------------------------------------------------------------------------------------------------------


def _wanting_gpus(docker: DockerMachine) -> LaunchPlan:
    plan = docker.plan("gpu", PYTHON, "-c", "pass")
    assert plan.container is not None
    return replace(plan, container=replace(plan.container, gpu=True))


async def test_a_job_that_wants_gpus_of_an_engine_without_them_runs_and_is_told(docker: DockerMachine) -> None:
    if (await docker.engine.facts(10)).has_nvidia_runtime:
        pytest.skip("this engine has an NVIDIA runtime")
    why = docker.runtime.lacks_gpus(docker.nodes[0])
    assert "no NVIDIA runtime" in why and "CPUs only" in why and "container toolkit" in why
    assert (await ended(await docker.runtime.launch(_wanting_gpus(docker)))).succeeded


async def test_an_engine_that_fails_to_hand_gpus_on(docker: DockerMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An NVIDIA runtime, but no GPU behind it: the engine's own words alone would help nobody."""
    facts = await docker.engine.facts(10)
    if facts.has_nvidia_runtime:
        pytest.skip("this engine has an NVIDIA runtime")
    assert isinstance(docker.runtime, DockerRuntime)
    monkeypatch.setattr(docker.runtime._nodes, "_facts", replace(facts, has_nvidia_runtime=True))
    assert docker.runtime.lacks_gpus(docker.nodes[0]) == ""
    with pytest.raises(FailedPrecondition) as caught:
        await docker.runtime.launch(_wanting_gpus(docker))
    assert caught.value.reason == "GPU_NOT_AVAILABLE"
    assert "use_gpu" in caught.value.message and "could not select device driver" in caught.value.message


# -- owners -----------------------------------------------------------------------------------------------------------


async def test_containers_of_a_state_dir_that_exists_no_more(
    docker: DockerMachine, tmp_path: Path, containers: Callable[[Path], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, live = (docker.another(tmp_path / name) for name in ("gone", "live"))
    try:
        for machine in (gone, live):
            await machine.start()
            await machine.runtime.start_node(machine.nodes[0])
            await until(lambda m=machine: "paused" in containers(m.paths.root).values(), "a container at rest")
        theirs = containers(live.paths.root)
        shutil.rmtree(gone.paths.root)
        await docker.runtime.close()
        again = docker.another(docker.paths.root)
        await again.start()
        docker.runtime = again.runtime
        await until(lambda: not gone.left_on_the_engine(), "containers and networks of the state dir to go")
        assert containers(live.paths.root) == theirs

        # An emulator that does not see the folder of another (in a container, or of another user) asks the engine.
        seen = os.path.lexists
        monkeypatch.setattr(ownerless.os.path, "lexists", lambda path: path != str(live.paths.root) and seen(path))
        assert docker.engine.call_here(lambda client: end_ownerless(client, docker.paths.root)) == 0
        assert containers(live.paths.root) == theirs
    finally:
        for machine in (gone, live):
            await machine.runtime.end_leftovers(frozenset())
            await machine.runtime.close()


async def test_whether_a_folder_is_gone_is_told_by_what_the_engine_says(
    docker: DockerMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another error than that of a missing folder proves nothing."""
    await docker.runtime.start_node(docker.nodes[0])

    def gone(client: Any) -> int:
        return end_ownerless(client, tmp_path / "another")

    monkeypatch.setattr(ownerless.os.path, "lexists", lambda path: False)
    monkeypatch.setattr(ownerless, "_LABELLED", {"label": [f"{STATE_DIR_LABEL}={docker.paths.root}"]})
    monkeypatch.setattr(ownerless, "_MISSING", "no engine says this")
    docker.paths.root.rename(tmp_path / "moved")
    try:
        assert docker.engine.call_here(gone) == 0
    finally:
        (tmp_path / "moved").rename(docker.paths.root)
    assert docker.left_on_the_engine()
