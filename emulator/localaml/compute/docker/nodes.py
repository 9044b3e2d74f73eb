"""The nodes of a state dir that are containers, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaml.clock import Clock
from localaml.compute.docker.containers import (
    CLUSTER_LABEL,
    NODE_LABEL,
    STATE_DIR_LABEL,
    WORKSPACE_LABEL,
    Limits,
    node_limits,
    remove,
)
from localaml.compute.docker.node import Node, run_on
from localaml.compute.docker.outcomes import all_of
from localaml.compute.docker.ownerless import end_ownerless
from localaml.compute.runtime import NodeSpec
from localaml.errors import Internal, LocalAmlError
from localaml.paths import StatePaths
from localaml.settings import DockerSettings

if TYPE_CHECKING:
    from docker import DockerClient

    from localaml.compute.docker.engine import Engine, EngineFacts
    from localaml.compute.docker.relay import Relay

_LOG = logging.getLogger(__name__)
# Longest wait for the end of removals; the engine takes some ten seconds at most.
_REMOVAL_SECONDS = 30.0


class Nodes:
    """Knows the nodes by their ids, and tells when one goes by itself.

    Args:
        scripts: folder of the agent and the other scripts.
    """

    def __init__(
        self, engine: Engine, paths: StatePaths, scripts: Path, settings: DockerSettings, clock: Clock
    ) -> None:
        self._engine = engine
        self._paths = paths
        self._scripts = scripts
        self._settings = settings
        self._clock = clock
        self._facts: EngineFacts | None = None
        self._relay: Relay | None = None
        self._nodes: dict[str, Node] = {}
        self._tell_lost: Callable[[str, str], None] | None = None
        self._tell_recovered: Callable[[], None] | None = None
        self._out_of_memory: Callable[[NodeSpec], None] | None = None
        self._was_connected = False
        self._errands: set[asyncio.Task[None]] = set()
        # Of containers whose nodes went by themselves.
        self._removals: set[asyncio.Task[None]] = set()

    def watch(self, lost: Callable[[str, str], None], recovered: Callable[[], None] | None) -> None:
        """Whom to tell: of a node that goes by itself (id, cause), and of an engine that is there again."""
        self._tell_lost, self._tell_recovered = lost, recovered

    def begin(self, facts: EngineFacts, relay: Relay, out_of_memory: Callable[[NodeSpec], None]) -> None:
        """The engine is there.

        Args:
            out_of_memory: called when the engine tells that a node has no memory left.
        """
        self._facts, self._relay, self._out_of_memory = facts, relay, out_of_memory

    async def close(self) -> None:
        """Those that wait for a run go. Raises what `Engine.call` raises."""
        for errand in self._errands:
            errand.cancel()
        await self._settle()
        waiting = []
        for node in self._nodes.values():
            node.detach()
            if not run_on(self._folder(node.spec)):
                node.is_gone = node.was_stopped = True
                waiting.append(node)
        self._nodes.clear()
        await all_of(node.remove_container() for node in waiting)

    # -- the nodes ----------------------------------------------------------------------------------------------------

    def get(self, node_id: str) -> Node | None:
        return self._nodes.get(node_id)

    def add(self, spec: NodeSpec) -> Node:
        """A node whose container is still to be made, or to be found."""
        if self._relay is None or self._facts is None:
            raise Internal("NOT_STARTED", "The runtime of containers was not started.")
        node = self._nodes[spec.node_id] = Node(
            spec,
            folder=self._folder(spec),
            state_dir=self._paths.root,
            scripts=self._scripts,
            relay=self._relay,
            engine=self._engine,
            facts=self._facts,
            settings=self._settings,
            clock=self._clock,
        )
        return node

    def drop(self, spec: NodeSpec) -> None:
        """Forgets a node."""
        self._nodes.pop(spec.node_id, None)

    def of_cluster(self, spec: NodeSpec) -> list[Node]:
        """All nodes of this one's cluster."""
        cluster = (spec.workspace_id, spec.cluster)
        return [node for node in self._nodes.values() if (node.spec.workspace_id, node.spec.cluster) == cluster]

    def limits(self, spec: NodeSpec) -> Limits:
        """What a node may use; nothing before the engine is there."""
        return Limits(0, 0) if self._facts is None else node_limits(spec.vm_size, self._facts)

    def lacks_gpus(self) -> str:
        """Why containers cannot have the machine's GPUs; empty where they can, as far as the engine says."""
        if self._facts is None or self._facts.has_nvidia_runtime:
            return ""
        return (
            "GPUs were asked for (use_gpu), but the Docker engine has no NVIDIA runtime: the run's containers see CPUs "
            "only. Where this machine has GPUs, install NVIDIA's container toolkit and restart the engine, or run on "
            "a cluster whose nodes are processes."
        )

    def lose(self, node: Node, why: str) -> None:
        """A node went by itself: told once; what is left of it is removed."""
        if node.is_gone:
            return
        node.is_gone = True
        _LOG.warning("node %s has gone: %s", node.spec.node_id, why)
        self._spawn(_remove(node), self._removals)
        if self._tell_lost is not None:
            self._tell_lost(node.spec.node_id, why)

    async def end_leftovers(self, keep_labels: frozenset[str]) -> int:
        """Removes the containers of this state dir that work for none of these runs; returns how many. Those that wait
        for a run are made anew by whoever needs them. Raises what `Engine.call` raises."""
        ours = frozenset(self._nodes) if keep_labels else frozenset()
        if not keep_labels:
            for node in list(self._nodes.values()):
                node.is_gone = node.was_stopped = True
                await node.settle()
            self._nodes.clear()

        await self._settle()

        def leftovers(client: DockerClient) -> list[str]:
            found = client.api.containers(all=True, filters={"label": [f"{STATE_DIR_LABEL}={self._paths.root}"]})
            return [
                container["Id"]
                for container in found
                if container["Labels"][NODE_LABEL] not in ours
                and run_on(self._folder_by(container["Labels"])) not in keep_labels
            ]

        names = await self._engine.call(leftovers)
        await all_of(self._remove(name) for name in names)
        return len(names)

    # -- what the engine tells ----------------------------------------------------------------------------------------

    def happened(self, event: Mapping[str, Any]) -> None:
        """An event, in Docker's own form."""
        actor = event.get("Actor") or {}
        attributes = actor.get("Attributes") or {}
        is_network = event.get("Type") == "network"
        node = self._of_container(attributes.get("container", "") if is_network else actor.get("ID", ""))
        if node is None or node.is_gone:
            return
        match event.get("Action"):
            case "die" if not is_network:
                self.lose(node, f"its container ended with exit code {attributes.get('exitCode', '?')}")
            case "disconnect" if is_network:
                self.lose(node, "its container was cut off the cluster's network")
            case "pause" if not is_network and node.awaited_pauses:
                node.awaited_pauses -= 1
            case "pause" if not is_network:
                self.lose(node, "its container was paused from outside")
            case "oom" if not is_network and self._out_of_memory is not None:
                self._out_of_memory(node.spec)

    def connected(self) -> None:
        """From now on the engine tells; what happened before has to be looked up."""
        self._spawn(self._look_after_nodes(), self._errands)
        self._spawn(self._end_ownerless(), self._errands)

    async def _look_after_nodes(self) -> None:
        with suppress(LocalAmlError):
            labels = [f"{STATE_DIR_LABEL}={self._paths.root}"]
            found = await self._engine.call(lambda client: client.api.containers(filters={"label": labels}))
            running = {container["Id"] for container in found}
            for node in list(self._nodes.values()):
                if node.container_id and node.container_id not in running:
                    self.lose(node, "its container ended with the Docker engine")
            if self._was_connected and self._tell_recovered is not None:
                self._tell_recovered()
            self._was_connected = True

    async def _end_ownerless(self) -> None:
        with suppress(LocalAmlError):
            await self._engine.call(lambda client: end_ownerless(client, self._paths.root))

    def _of_container(self, container_id: str) -> Node | None:
        return next((node for node in self._nodes.values() if container_id and node.container_id == container_id), None)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _folder(self, spec: NodeSpec) -> Path:
        return self._paths.node(spec.workspace_id, spec.cluster, spec.node_id)

    def _folder_by(self, labels: Mapping[str, str]) -> Path:
        return self._paths.node(labels[WORKSPACE_LABEL], labels[CLUSTER_LABEL], labels[NODE_LABEL])

    async def _remove(self, container_id: str) -> None:
        await self._engine.call(lambda client: remove(client, container_id))

    async def _settle(self) -> None:
        """What has gone is gone: a network cannot be removed before."""
        if self._removals:
            await asyncio.wait(set(self._removals), timeout=_REMOVAL_SECONDS)

    def _spawn(self, errand: Any, among: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(errand)
        among.add(task)
        task.add_done_callback(among.discard)


async def _remove(node: Node) -> None:
    # Also a frozen one, or one without a network: nobody may wait for an answer of what is in it.
    with suppress(LocalAmlError):
        await node.remove_container()
