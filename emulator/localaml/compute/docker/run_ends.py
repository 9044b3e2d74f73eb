"""What the nodes know about the end of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from localaml.compute.docker.agents import AgentGone, number_in
from localaml.compute.docker.containers import memory_limit
from localaml.compute.launch.marks import NODE_LOST, OUT_OF_MEMORY, mark
from localaml.compute.runtime import LaunchPlan, NodeSpec
from localaml.domain.docker_arguments import parse_docker_arguments
from localaml.errors import FailedPrecondition, LocalAmlError

if TYPE_CHECKING:
    from localaml.compute.docker.engine import Engine
    from localaml.compute.docker.node import Node
    from localaml.compute.docker.nodes import Nodes

_ASK_SECONDS = 15.0
# For giving a run's files to another user: a job may have millions.
OWN_SECONDS = 600.0
_GIB = 1024**3


class RunEnds:
    """Explains ends of runs that their own records do not explain."""

    def __init__(self, engine: Engine, nodes: Nodes) -> None:
        self._engine = engine
        self._nodes = nodes
        self._plans: dict[str, LaunchPlan] = {}

    def going_on(self, plan: LaunchPlan) -> None:
        """A run has begun."""
        self._plans[plan.label] = plan

    def noticed_out_of_memory(self, node: NodeSpec) -> None:
        """The engine tells that there was no memory left on a node."""
        for plan in self._plans.values():
            if any(spec.node_id == node.node_id for spec in plan.nodes):
                self._mark_out_of_memory(plan, node)

    async def look_around(self, plan: LaunchPlan, handle: Mapping[str, Any], nodes: Sequence[Node]) -> None:
        """Marks what the nodes know about the end of a run's processes."""
        before = handle.get("killed_for_memory") or [0] * len(nodes)
        for node, killed in zip(nodes, before, strict=True):
            try:
                if node.is_gone:
                    raise AgentGone("the node has gone")
                answer = await node.agent.ask("hello", timeout_seconds=_ASK_SECONDS)
                if number_in(answer, "killed_for_memory") > killed:
                    self._mark_out_of_memory(plan, node.spec)
            except (AgentGone, FailedPrecondition):
                if node.was_stopped:
                    continue
                if await self._ran_out_of_memory(node):
                    self._mark_out_of_memory(plan, node.spec)
                mark(plan, NODE_LOST, node.spec.node_id)
                self._nodes.lose(node, "its container has ended")

    async def _ran_out_of_memory(self, node: Node) -> bool:
        with suppress(LocalAmlError):
            found = await self._engine.call(lambda client: client.api.inspect_container(node.container_id))
            return bool(found["State"].get("OOMKilled"))
        return False

    def _mark_out_of_memory(self, plan: LaunchPlan, node: NodeSpec) -> None:
        arguments = plan.container.arguments if plan.container is not None else ()
        limit = memory_limit(self._nodes.limits(node), parse_docker_arguments(arguments)) / _GIB
        mark(plan, OUT_OF_MEMORY, f"node {node.host_name} (limit {limit:.1f} GiB)")

    async def hand_back(self, plan: LaunchPlan, owned: Sequence[str], nodes: Sequence[Node]) -> None:
        """Files that processes of other users wrote become the emulator's: those of the run, and in the datastores that
        it had mounted."""
        self._plans.pop(plan.label, None)
        if os.getuid() == 0:
            return
        for node in nodes:
            with suppress(AgentGone, LocalAmlError):
                await node.agent.ask(
                    "own", timeout_seconds=OWN_SECONDS, paths=list(owned), user=[os.getuid(), os.getgid()]
                )
                return
