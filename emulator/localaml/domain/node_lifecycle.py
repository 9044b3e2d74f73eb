"""The life of a node of a cluster: which event leads from which state to which.

States as `AmlCompute.get_status().serialize()['nodeStateCounts']` names them. A node that has left has no state: its
record goes.
"""

from __future__ import annotations

from enum import Enum

from localaml.domain.states import NodeState
from localaml.errors import Internal


class NodeEvent(str, Enum):
    """What can happen to a node."""

    STARTED = "started"
    START_FAILED = "start failed"
    ASSIGN = "assign"
    RELEASE = "release"
    REMOVE = "remove"
    LOSE = "lose"
    EVICT = "evict"


_S, _E = NodeState, NodeEvent

TRANSITIONS: dict[tuple[NodeState, NodeEvent], NodeState] = {
    (_S.PREPARING, _E.STARTED): _S.IDLE,
    (_S.PREPARING, _E.START_FAILED): _S.UNUSABLE,
    (_S.PREPARING, _E.REMOVE): _S.LEAVING,
    (_S.IDLE, _E.ASSIGN): _S.RUNNING,
    (_S.IDLE, _E.REMOVE): _S.LEAVING,
    (_S.IDLE, _E.LOSE): _S.UNUSABLE,
    (_S.RUNNING, _E.RELEASE): _S.IDLE,
    (_S.IDLE, _E.EVICT): _S.PREEMPTED,
    (_S.RUNNING, _E.LOSE): _S.UNUSABLE,
    (_S.RUNNING, _E.EVICT): _S.PREEMPTED,
    (_S.RUNNING, _E.REMOVE): _S.LEAVING,
    (_S.UNUSABLE, _E.REMOVE): _S.LEAVING,
    (_S.PREEMPTED, _E.REMOVE): _S.LEAVING,
    # A node that leaves may still finish its job, and be lost or taken away meanwhile.
    (_S.LEAVING, _E.LOSE): _S.UNUSABLE,
    (_S.LEAVING, _E.EVICT): _S.PREEMPTED,
    (_S.LEAVING, _E.REMOVE): _S.LEAVING,
}


def next_state(state: NodeState, event: NodeEvent) -> NodeState:
    """The state that `event` leads to. Raises Internal ``ILLEGAL_NODE_TRANSITION``: only we move nodes."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise Internal("ILLEGAL_NODE_TRANSITION", f"A node that is {state.value} cannot {event.value}.") from None
