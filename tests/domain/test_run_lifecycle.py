"""The life of a run, exhaustively."""

from __future__ import annotations

import itertools

import pytest

from localaml.domain.run_lifecycle import PLACED, TRANSITIONS, WAITING, RunEvent, next_state
from localaml.domain.states import RunState
from localaml.errors import FailedPrecondition

TERMINAL = {state for state in RunState if state.is_terminal}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(RunState, RunEvent)))
def test_every_pair_is_either_in_the_table_or_refused(state: RunState, event: RunEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(FailedPrecondition) as caught:
            next_state(state, event)
        assert caught.value.reason == "ILLEGAL_RUN_TRANSITION"
        assert state.value in str(caught.value)


def test_only_a_caller_that_says_it_failed_leads_out_of_an_end() -> None:
    out = [(state, event, end) for (state, event), end in TRANSITIONS.items() if state in TERMINAL and end is not state]
    assert out == [(RunState.COMPLETED, RunEvent.FAIL, RunState.FAILED)]


@pytest.mark.parametrize(
    ("event", "verb"),
    [
        (RunEvent.COMPLETE, "be completed"),
        (RunEvent.FAIL, "be failed"),
        (RunEvent.CANCEL, "be canceled"),
        (RunEvent.END_CANCELED, "be canceled"),
    ],
)
def test_what_is_refused_is_named_in_plain_words(event: RunEvent, verb: str) -> None:
    with pytest.raises(FailedPrecondition, match=rf"has ended \(Canceled\); it cannot {verb} any more"):
        next_state(RunState.CANCELED, event)


def test_every_state_that_can_be_reached_can_end_in_each_way_that_fits() -> None:
    reached = {RunState.NOT_STARTED}
    while more := {end for (start, _), end in TRANSITIONS.items() if start in reached} - reached:
        reached |= more
    assert reached >= TERMINAL
    for state in reached - TERMINAL:
        ends = {state}
        while more := {end for (start, _), end in TRANSITIONS.items() if start in ends} - ends:
            ends |= more
        assert RunState.FAILED in ends or RunState.CANCELED in ends, f"{state} is a dead end"


def test_only_an_unplaced_run_is_waiting() -> None:
    assert not WAITING & PLACED
    for state in WAITING:
        assert TRANSITIONS[state, RunEvent.END_CANCELED] is RunState.CANCELED


def test_completed_is_reached_only_after_work() -> None:
    before = {start for (start, _), end in TRANSITIONS.items() if end is RunState.COMPLETED}
    assert before - {RunState.COMPLETED} == {RunState.RUNNING, RunState.FINALIZING}
