"""Starts of containers that are broken off, as when the emulator stops in the midst of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.compute.machine import MACHINES, until

from localaml.compute.docker.containers import STATE_DIR_LABEL

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker
# When a start is broken off, in seconds after its beginning: before, while and after the engine makes the container.
MOMENTS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


async def test_no_container_stays_and_no_node_is_told_lost(
    tmp_path: Path, docker_engine: DockerClient, host_filesystem_image: str
) -> None:
    machine = MACHINES["docker"](tmp_path / "state", visible=[tmp_path])
    broken_off, other = machine.nodes
    lost: list[str] = []
    machine.runtime.watch_nodes(lambda node_id, cause: lost.append(node_id))
    await machine.start()

    def containers() -> list[str]:
        filters = {"label": [f"{STATE_DIR_LABEL}={machine.paths.root}"]}
        return [each["Id"] for each in docker_engine.api.containers(all=True, filters=filters)]

    try:
        cancelled = 0
        for seconds in MOMENTS:
            starting = asyncio.create_task(machine.runtime.start_node(broken_off))
            await asyncio.wait({starting}, timeout=seconds)
            starting.cancel()
            await asyncio.wait({starting})
            if starting.cancelled():
                cancelled += 1
                assert not containers(), f"broken off after {seconds} seconds"
            await machine.runtime.stop_node(broken_off)
        assert cancelled > 2
        # The engine tells in order: when this loss is told, those of before would have been.
        await machine.runtime.start_node(other)
        [container] = containers()
        docker_engine.api.remove_container(container, force=True)
        await until(lambda: lost, "the loss of a node")
        assert lost == [other.node_id]
    finally:
        await machine.runtime.end_leftovers(frozenset())
        await machine.runtime.close()
