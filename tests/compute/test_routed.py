"""Nodes that are processes and nodes that are containers, in one emulator."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.fake_runtime import FakeRuntime

from localaml.compute.assembly import loopback_ports
from localaml.compute.routed import RoutedRuntime
from localaml.compute.runtime import LaunchPlan, NodeSpec
from localaml.domain.job import Launch
from localaml.errors import FailedPrecondition, Internal, Unavailable


class Containers(FakeRuntime):
    """Pretended containers on an engine that may be away."""

    name = "docker"

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.closed = False
        self.note = "small"

    async def start(self) -> None:
        if not self._world.engine:
            raise Unavailable("DOCKER_ENGINE_UNAVAILABLE", "The engine is away.")

    async def close(self) -> None:
        self.closed = True

    async def end_leftovers(self, keep_labels: frozenset[str]) -> int:
        await super().end_leftovers(keep_labels)
        return 3

    def free_addresses(self, nodes: object) -> list[str]:
        return ["10.0.0.2:1"]


class World:
    def __init__(self, folder: Path) -> None:
        self.engine = True
        self.asked = 0
        self.made: list[Containers] = []
        self.processes = FakeRuntime()
        self.marker = folder / "marker"

    def _make(self) -> Containers:
        self.made.append(Containers(self))
        return self.made[-1]

    async def _answers(self) -> bool:
        self.asked += 1
        return self.engine

    def runtime(self, default: str = "process") -> RoutedRuntime:
        return RoutedRuntime(
            self.processes, self._make, default=default, engine_answers=self._answers, marker=self.marker
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _node(number: int = 0, runtime: str = "") -> NodeSpec:
    return NodeSpec("w", "cpu", f"node-{number}", f"cpu-{number}", "Standard_D2_v2", runtime)


def _plan(*nodes: NodeSpec) -> LaunchPlan:
    return LaunchPlan("w/r", Launch.SINGLE, nodes, 1, ("true",), {})


async def test_without_containers_nothing_of_them_is_made(world: World) -> None:
    runtime = world.runtime()
    await runtime.start()
    await runtime.start_node(_node())
    await runtime.launch(_plan(_node()))
    assert await runtime.end_leftovers(frozenset()) == 0
    assert not runtime.runs_in_containers(_node()) and runtime.node_note(_node()) == ""
    await runtime.close()
    assert not world.made and not world.asked and not world.marker.exists()
    assert (runtime.name, list(world.processes.nodes)) == ("process", ["node-0"])


async def test_each_node_goes_where_it_belongs(world: World) -> None:
    runtime = world.runtime()
    lost: list[str] = []
    runtime.watch_nodes(lambda node_id, cause: lost.append(node_id), lambda: lost.append("all is well"))
    await runtime.start()
    process, container = _node(0), _node(1, "docker")
    for node in (process, container):
        await runtime.start_node(node)
    [containers] = world.made
    assert (list(world.processes.nodes), list(containers.nodes)) == (["node-0"], ["node-1"])
    assert (runtime.runs_in_containers(process), runtime.runs_in_containers(container)) == (False, True)
    assert (runtime.node_note(process), runtime.node_note(container)) == ("", "small")
    assert runtime.free_addresses([container]) == ["10.0.0.2:1"]
    assert runtime.free_addresses([process]) == ["127.0.0.1:12000"]
    await runtime.launch(_plan(container))
    await runtime.adopt(_plan(process), {})
    assert (containers.launched, world.processes.adopted) == (["w/r"], ["w/r"])
    containers.lost("node-1", "died")
    containers.recovered()
    assert lost == ["node-1", "all is well"]
    assert await runtime.end_leftovers(frozenset({"w/r"})) == 3
    assert containers.kept_labels == world.processes.kept_labels == {"w/r"}
    for node in (process, container):
        await runtime.stop_node(node)
    assert not world.processes.nodes and not containers.nodes
    await runtime.close()
    assert containers.closed


async def test_containers_by_default(world: World) -> None:
    runtime = world.runtime("docker")
    await runtime.start()
    await runtime.start_node(_node(0))
    await runtime.start_node(_node(1, "process"))
    assert (list(world.made[0].nodes), list(world.processes.nodes)) == (["node-0"], ["node-1"])
    assert runtime.name == "docker" and len(world.made) == 1
    world.engine = False
    with pytest.raises(Unavailable, match="away"):
        await world.runtime("docker").start()
    assert world.made[1].closed


async def test_whatever_is_there(world: World) -> None:
    runtime = world.runtime("auto")
    await runtime.start()
    assert runtime.name == "docker" and runtime.runs_in_containers(_node())
    world.engine = False
    runtime = world.runtime("auto")
    world.marker.unlink()
    await runtime.start()
    assert runtime.name == "process" and not runtime.runs_in_containers(_node())
    assert (world.asked, len(world.made)) == (2, 1)


async def test_a_state_dir_that_has_had_containers_looks_for_them(world: World) -> None:
    world.marker.touch()
    runtime = world.runtime()
    await runtime.start()
    assert await runtime.end_leftovers(frozenset({"w/r"})) == 3
    # The last emulator's default was another one.
    [containers] = world.made
    containers.nodes["node-0"] = _node()
    await runtime.stop_node(_node())
    assert not containers.nodes


async def test_an_engine_that_is_away_is_tried_again(world: World) -> None:
    world.marker.touch()
    world.engine = False
    runtime = world.runtime()
    await runtime.start()
    assert await runtime.end_leftovers(frozenset({"w/r"})) == 0
    with pytest.raises(Unavailable):
        await runtime.start_node(_node(0, "docker"))
    with pytest.raises(FailedPrecondition) as caught:
        await runtime.check("docker")
    assert caught.value.reason == "DOCKER_ENGINE_UNAVAILABLE"
    await runtime.check("process")
    with pytest.raises(Internal, match="node-0"):
        runtime.network_interface([_node(0, "docker")])
    assert all(made.closed for made in world.made)
    world.engine = True
    await runtime.start_node(_node(0, "docker"))
    assert world.made[-1].kept_labels == {"w/r"}, "what was left is looked at as soon as that can be"
    assert world.marker.exists()


def test_ports_of_clouds_on_this_machine() -> None:
    connection = "DefaultEndpointsProtocol=http;AccountName=a;BlobEndpoint=http://127.0.0.1:10000/a;QueueEndpoint=x"
    texts = [
        "http://localhost:4566",
        connection,
        "https://s3.example:9000",
        "http://[::1]:81/",
        "http://127.0.0.1:99999",
    ]
    assert loopback_ports([*texts, texts[0]]) == [4566, 10000, 81]
