"""The network of each cluster, over which its nodes reach each other by their host names."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.compute.docker.containers import STATE_DIR_LABEL, network_labels, network_name
from localaml.compute.runtime import NodeSpec
from localaml.errors import FailedPrecondition, NotFound

if TYPE_CHECKING:
    from docker import DockerClient

    from localaml.compute.docker.engine import Engine


class ClusterNetworks:
    """Networks of one state dir. All methods raise what `Engine.call` raises."""

    def __init__(self, engine: Engine, state_dir: Path) -> None:
        self._engine = engine
        self._state_dir = state_dir
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(self, node: NodeSpec) -> None:
        """Makes the network of the node's cluster, unless it is there."""
        name = network_name(self._state_dir, node)
        labels = network_labels(self._state_dir, node)

        def ensure(client: DockerClient) -> None:
            from docker.errors import NotFound as Missing

            try:
                client.api.inspect_network(name)
            except Missing:
                client.api.create_network(name, driver="bridge", labels=labels)

        async with self._lock(name):
            making = asyncio.ensure_future(self._engine.call(ensure))
            try:
                await asyncio.shield(making)
            except asyncio.CancelledError:
                # The thread goes on; until it has ended nobody may make a network of that name, or there are two.
                await asyncio.wait([making])
                raise

    async def remove(self, node: NodeSpec) -> None:
        """Removes the network of the node's cluster, unless it is gone, or has another node by now."""
        name = network_name(self._state_dir, node)
        async with self._lock(name):
            with suppress(NotFound, FailedPrecondition):
                await self._engine.call(lambda client: client.api.remove_network(name))

    async def remove_empty(self) -> None:
        """Removes all that no node is on."""

        def remove(client: DockerClient) -> None:
            from docker.errors import APIError

            for network in client.api.networks(filters={"label": [f"{STATE_DIR_LABEL}={self._state_dir}"]}):
                with suppress(APIError):
                    client.api.remove_network(network["Id"])

        await self._engine.call(remove)

    async def addresses(self, node: NodeSpec) -> str:
        """The addresses of the cluster's network (``172.18.0.0/16``); empty when the engine does not say."""
        name = network_name(self._state_dir, node)
        found = await self._engine.call(lambda client: client.api.inspect_network(name))
        for configuration in found["IPAM"]["Config"] or ():
            if ":" not in configuration["Subnet"]:
                return str(configuration["Subnet"])
        return ""

    async def disconnect(self, node: NodeSpec, container_id: str) -> None:
        """Takes a container off the network of the node's cluster; one that is not on it is fine."""
        name = network_name(self._state_dir, node)
        with suppress(NotFound):
            await self._engine.call(
                lambda client: client.api.disconnect_container_from_network(container_id, name, force=True)
            )

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())
