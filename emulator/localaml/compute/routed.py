"""`RoutedRuntime`: nodes that are processes of this machine and nodes that are containers, side by side.

The part for containers is made when it is first needed: an emulator without containers imports nothing for them and
asks no engine. A state dir that has had containers remembers that, so that what a killed emulator left is found.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from localaml.compute.runtime import LaunchPlan, NodeRuntime, NodeSpec, RunningJob
from localaml.errors import FailedPrecondition, Internal, LocalAmlError, Unavailable

_LOG = logging.getLogger(__name__)

PROCESS = "process"
DOCKER = "docker"
AUTO = "auto"


class RoutedRuntime:
    """Sends what concerns a node to the runtime that it lives in.

    Args:
        processes: the runtime of nodes that are processes.
        containers: makes (in a thread) the runtime of nodes that are containers.
        default: of nodes that do not say: ``process``, ``docker``, or ``auto``: ``docker`` when an engine answers.
        engine_answers: whether one does; asked once, for ``auto``.
        marker: a file that says that there have been containers.
    """

    def __init__(
        self,
        processes: NodeRuntime,
        containers: Callable[[], NodeRuntime],
        *,
        default: str,
        engine_answers: Callable[[], Awaitable[bool]],
        marker: Path,
    ) -> None:
        self._processes = processes
        self._make_containers = containers
        self._default = default
        self._engine_answers = engine_answers
        self._marker = marker
        self._containers: NodeRuntime | None = None
        self._connecting = asyncio.Lock()
        self._watchers: tuple[Callable[[str, str], None], Callable[[], None] | None] | None = None
        # What `end_leftovers` was told, for containers that can be looked at only later.
        self._labels_to_keep: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """What nodes are that do not say."""
        return self._default

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises Unavailable ``DOCKER_ENGINE_UNAVAILABLE`` when containers are the default, and no engine answers."""
        await self._processes.start()
        if self._default == AUTO:
            self._default = DOCKER if await self._engine_answers() else PROCESS
            _LOG.info(
                "nodes are %s", "containers" if self._default == DOCKER else "processes: no Docker engine answers"
            )
        if self._default == DOCKER:
            await self._connected()
        elif self._marker.exists():
            try:
                await self._connected()
            except LocalAmlError as error:
                _LOG.warning("this state dir has had containers, which cannot be looked after now: %s", error)

    async def close(self) -> None:
        await self._processes.close()
        if self._containers is not None:
            await self._containers.close()

    def watch_nodes(self, lost: Callable[[str, str], None], recovered: Callable[[], None] | None = None) -> None:
        self._watchers = lost, recovered
        self._processes.watch_nodes(lost, recovered)

    async def check(self, name: str) -> None:
        """Makes sure that nodes can be ``process`` or ``docker``.

        Raises FailedPrecondition ``DOCKER_ENGINE_UNAVAILABLE``, ``DOCKER_PACKAGE_MISSING``.
        """
        if name == DOCKER:
            try:
                await self._connected()
            except Unavailable as error:
                # To a caller that would mean that the emulator is away, and be tried again.
                raise FailedPrecondition(error.reason, error.message) from error

    # -- one node -----------------------------------------------------------------------------------------------------

    def runs_in_containers(self, node: NodeSpec) -> bool:
        return self._route(node) == DOCKER

    def node_note(self, node: NodeSpec) -> str:
        if self._route(node) == PROCESS or self._containers is None:
            return ""
        return self._containers.node_note(node)

    def lacks_gpus(self, node: NodeSpec) -> str:
        if self._route(node) == PROCESS or self._containers is None:
            return ""
        return self._containers.lacks_gpus(node)

    async def start_node(self, node: NodeSpec) -> None:
        await (await self._of(node)).start_node(node)

    async def stop_node(self, node: NodeSpec) -> None:
        await (await self._of(node)).stop_node(node)
        if not node.runtime and self._containers is not None and self._default == PROCESS:
            # It may be a container of an earlier emulator, which had another default.
            await self._containers.stop_node(node)

    async def cut_off(self, node: NodeSpec) -> None:
        await (await self._of(node)).cut_off(node)

    # -- the nodes of a run: all of one kind -------------------------------------------------------------------------

    def free_addresses(self, nodes: Sequence[NodeSpec]) -> list[str]:
        return self._known(nodes).free_addresses(nodes) if nodes else []

    def network_interface(self, nodes: Sequence[NodeSpec]) -> str:
        return self._known(nodes).network_interface(nodes)

    async def launch(self, plan: LaunchPlan) -> RunningJob:
        return await (await self._of(plan.nodes[0])).launch(plan)

    async def adopt(self, plan: LaunchPlan, handle: Mapping[str, Any]) -> RunningJob:
        return await (await self._of(plan.nodes[0])).adopt(plan, handle)

    async def end_leftovers(self, keep_labels: frozenset[str]) -> int:
        self._labels_to_keep = keep_labels
        ended = await self._processes.end_leftovers(keep_labels)
        if self._containers is not None:
            ended += await self._containers.end_leftovers(keep_labels)
        return ended

    # -- inside -------------------------------------------------------------------------------------------------------

    def _route(self, node: NodeSpec) -> str:
        return node.runtime or self._default

    async def _of(self, node: NodeSpec) -> NodeRuntime:
        return await self._connected() if self._route(node) == DOCKER else self._processes

    def _known(self, nodes: Sequence[NodeSpec]) -> NodeRuntime:
        if self._route(nodes[0]) == PROCESS:
            return self._processes
        if self._containers is None:
            raise Internal("NODE_NOT_STARTED", f"Node {nodes[0].node_id} is used before it was started.")
        return self._containers

    async def _connected(self) -> NodeRuntime:
        """The runtime of containers. What could not be done for want of an engine is tried again each time."""
        async with self._connecting:
            if self._containers is None:
                made = await asyncio.to_thread(self._make_containers)
                if self._watchers is not None:
                    made.watch_nodes(*self._watchers)
                try:
                    await made.start()
                    if self._labels_to_keep is not None:
                        await made.end_leftovers(self._labels_to_keep)
                    self._marker.touch(mode=0o600)
                except BaseException:
                    await made.close()
                    raise
                self._containers = made
            return self._containers
