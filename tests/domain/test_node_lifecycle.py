"""The life of a node, exhaustively."""

from __future__ import annotations

import itertools

import pytest

from localaml.domain.node_lifecycle import TRANSITIONS, NodeEvent, next_state
from localaml.domain.states import NodeState
from localaml.errors import Internal


@pytest.mark.parametrize(("state", "event"), list(itertools.product(NodeState, NodeEvent)))
def test_every_pair_is_either_in_the_table_or_refused(state: NodeState, event: NodeEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(Internal, match=state.value):
            next_state(state, event)


def test_every_node_can_leave() -> None:
    for state in NodeState:
        if state is not NodeState.LEAVING:
            assert next_state(state, NodeEvent.REMOVE) is NodeState.LEAVING


@pytest.mark.parametrize("gone", [NodeState.UNUSABLE, NodeState.PREEMPTED])
def test_a_node_that_has_gone_never_works_again(gone: NodeState) -> None:
    assert {end for (start, _), end in TRANSITIONS.items() if start is gone} == {NodeState.LEAVING}


def test_only_nodes_that_were_got_can_be_taken_away() -> None:
    taken = {start for (start, event) in TRANSITIONS if event is NodeEvent.EVICT}
    assert taken == {NodeState.IDLE, NodeState.RUNNING, NodeState.LEAVING}
