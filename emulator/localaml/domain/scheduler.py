"""Decides what a cluster does next: add or remove nodes, place runs. Pure: a picture in, instructions out.

Rules:
- Runs are placed in the order of their submission. A run gets all its nodes at once, or waits; those behind it wait
  with it, so that small runs cannot starve a large one.
- A run that asks for more nodes than the cluster may have (it was resized after the submit) is passed over.
- The cluster grows as far as the waiting runs ask, never above its maximum, never below its minimum. It shrinks by
  idle nodes: at once above the maximum, after `idle_seconds_before_scaledown` above the minimum.
- A node that works is never taken away. Above the maximum it is leaving: it goes when its job is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from localaml.domain.models import Node, ScaleSettings
from localaml.domain.states import NodeState

# States in which a node counts as one that the cluster has.
_PRESENT = (NodeState.PREPARING, NodeState.IDLE, NodeState.RUNNING)


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run in the queue of a cluster.

    Attributes:
        position: grows with the time of submission: a run that comes back to the queue takes its old place.
    """

    run_id: str
    node_count: int
    position: int = 0


@dataclass(frozen=True, slots=True)
class AddNodes:
    """Start so many nodes."""

    count: int


@dataclass(frozen=True, slots=True)
class RemoveNode:
    """Stop an idle or unusable node."""

    node_id: str
    cause: str


@dataclass(frozen=True, slots=True)
class DrainNode:
    """Let a working node leave once its job is done."""

    node_id: str


@dataclass(frozen=True, slots=True)
class PlaceRun:
    """Give idle nodes to a run, rank 0's node first."""

    run_id: str
    node_ids: tuple[str, ...]


Instruction = AddNodes | RemoveNode | DrainNode | PlaceRun


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and when to ask again if nothing happens before.

    Attributes:
        target_node_count: how many nodes the cluster is on its way to.
    """

    instructions: tuple[Instruction, ...]
    target_node_count: int
    ask_again_at: datetime | None = None


def plan(scale: ScaleSettings, nodes: Iterable[Node], queue: Iterable[WaitingRun], now: datetime) -> Plan:
    """Plans the next steps of one cluster.

    Args:
        nodes: all nodes that the cluster has, in the order in which they should be used.
        queue: waiting runs, the oldest first; read only as far as needed.
    """
    nodes = list(nodes)
    instructions: list[Instruction] = [
        RemoveNode(node.node_id, node.state.value)
        for node in nodes
        if node.state in (NodeState.UNUSABLE, NodeState.PREEMPTED)
    ]
    idle = [node for node in nodes if node.state is NodeState.IDLE]
    present = sum(node.state in _PRESENT for node in nodes)

    # Over the maximum, idle nodes are not for placing any more.
    over = min(len(idle), max(0, present - scale.max_node_count))
    instructions += [RemoveNode(node.node_id, "above the maximum") for node in idle[len(idle) - over :]]
    free = idle[: len(idle) - over]
    present -= over
    working = [node for node in nodes if node.state is NodeState.RUNNING]
    # Nodes that are on their way go before working ones: once they are idle.
    too_many = min(len(working), max(0, len(working) - scale.max_node_count))
    instructions += [DrainNode(node.node_id) for node in working[len(working) - too_many :]]
    present -= too_many
    running = len(working) - too_many

    wanted = 0
    blocked = False
    for run in queue:
        if run.node_count > scale.max_node_count:
            continue
        if not blocked and run.node_count <= len(free):
            # In the order of their names, as people expect: rank 0 on the first, also after a restart.
            taken = sorted(free[: run.node_count], key=lambda node: (len(node.host_name), node.host_name))
            instructions.append(PlaceRun(run.run_id, tuple(node.node_id for node in taken)))
            running += run.node_count
            free = free[run.node_count :]
            continue
        blocked = True
        wanted += run.node_count
        if wanted >= scale.max_node_count:
            break

    target = min(scale.max_node_count, max(scale.min_node_count, running + wanted))
    if target > present:
        instructions.append(AddNodes(target - present))
        return Plan(tuple(instructions), target)

    # Too many: the longest idle go first, each after its time.
    ask_again_at: datetime | None = None
    spare = present - target
    patience = timedelta(seconds=scale.idle_seconds_before_scaledown)
    kept = present
    for node in sorted(free, key=lambda node: node.state_changed_at)[:spare]:
        leaves_at = node.state_changed_at + patience
        if leaves_at <= now:
            instructions.append(RemoveNode(node.node_id, "idle"))
            kept -= 1
        elif ask_again_at is None or leaves_at < ask_again_at:
            ask_again_at = leaves_at
    return Plan(tuple(instructions), max(kept, scale.min_node_count), ask_again_at)
