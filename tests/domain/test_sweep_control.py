"""What a sweep does next: each situation by itself, and whole sweeps in any order of events."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localaml.domain.models import ErrorInfo
from localaml.domain.run_lifecycle import RunEvent
from localaml.domain.states import RunState
from localaml.domain.sweep_control import Action, Finish, Judged, Start, Stop, next_actions
from localaml.domain.sweep_sampling import own_sampler
from localaml.domain.sweeps import Child, Parameter, Policy, PolicyKind, Sampling, Sweep

S = RunState
GRID = (Parameter("--a", "choice", (1, 2, 3)),)
BANDIT = Policy(PolicyKind.BANDIT, slack_factor=0.1)
ENDED = (S.COMPLETED, S.FAILED, S.CANCELED)


def sweep(**changes: Any) -> Sweep:
    return replace(Sweep(Sampling.GRID, GRID, 1, "acc", True, 10, 2), **changes)


def children(*states: RunState) -> list[Child]:
    return [Child(index, {"--a": index + 1}, state) for index, state in enumerate(states)]


def decide(what: Sweep, found: Sequence[Child] = (), **more: Any) -> list[Action]:
    return next_actions(what, own_sampler(what), found, **more)


def test_it_begins_with_as_many_as_may_go_on_at_once() -> None:
    assert decide(sweep()) == [Start(0, {"--a": 1}), Start(1, {"--a": 2})]
    assert len(decide(sweep(max_concurrent=10))) == 3
    assert len(decide(sweep(max_concurrent=10, max_total=2))) == 2


def test_the_next_one_comes_when_one_has_ended() -> None:
    assert decide(sweep(), children(S.RUNNING, S.QUEUED)) == []
    for state in ENDED:
        assert decide(sweep(), children(state, S.RUNNING)) == [Start(2, {"--a": 3})]


@pytest.mark.parametrize("state", [state for state in S if state not in ENDED])
def test_what_has_not_ended_takes_its_place(state: RunState) -> None:
    assert decide(sweep(max_concurrent=1), children(state)) == []


def test_it_ends_when_all_have_ended() -> None:
    (finish,) = decide(sweep(), children(S.COMPLETED, S.FAILED, S.CANCELED))
    assert isinstance(finish, Finish)
    assert finish.outcome.event is RunEvent.COMPLETE
    (finish,) = decide(sweep(max_total=1), children(S.COMPLETED))
    assert isinstance(finish, Finish)


@pytest.mark.parametrize("states", list(itertools.combinations_with_replacement(ENDED, 3)))
def test_how_it_ends(states: tuple[RunState, ...]) -> None:
    (finish,) = decide(sweep(), children(*states))
    assert isinstance(finish, Finish)
    has_failed = S.FAILED in states and S.COMPLETED not in states
    assert finish.outcome.event is (RunEvent.FAIL if has_failed else RunEvent.COMPLETE)
    assert (finish.outcome.error is not None) == has_failed


def test_one_that_fails_does_not_end_it() -> None:
    assert decide(sweep(max_concurrent=1), children(S.FAILED)) == [Start(1, {"--a": 2})]


class TestEarlyEnds:
    """Cancelled, out of time, or unable to go on: nothing new begins, all is stopped, and then it ends."""

    WAYS = (
        ({"is_cancelled": True}, RunEvent.END_CANCELED),
        ({"elapsed_seconds": 60.0}, RunEvent.END_CANCELED),
        ({"failure": ErrorInfo("GONE", "The cluster is gone.")}, RunEvent.FAIL),
    )

    @pytest.mark.parametrize(("how", "event"), WAYS)
    def test_all_are_stopped_and_it_waits_for_them(self, how: dict[str, Any], event: RunEvent) -> None:
        what = sweep(max_seconds=60.0, max_concurrent=3)
        found = children(S.COMPLETED, S.RUNNING, S.QUEUED)
        actions = decide(what, found, **how)
        assert [action.index for action in actions if isinstance(action, Stop)] == [1, 2]
        assert len(actions) == 2
        asked = [found[0], *(replace(child, is_stopping=True) for child in found[1:])]
        assert decide(what, asked, **how) == []
        (finish,) = decide(what, children(S.COMPLETED, S.CANCELED, S.CANCELED), **how)
        assert isinstance(finish, Finish)
        assert finish.outcome.event is event

    @pytest.mark.parametrize(("how", "event"), WAYS)
    def test_before_anything_has_begun(self, how: dict[str, Any], event: RunEvent) -> None:
        (finish,) = decide(sweep(max_seconds=60.0), (), **how)
        assert isinstance(finish, Finish)
        assert finish.outcome.event is event

    def test_just_in_time(self) -> None:
        assert decide(sweep(max_seconds=60.0), children(S.RUNNING, S.RUNNING), elapsed_seconds=59.9) == []
        assert decide(sweep(), children(S.RUNNING, S.RUNNING), elapsed_seconds=1e9) == []


class TestPolicy:
    def test_a_bad_one_is_stopped_and_a_good_one_noted(self) -> None:
        good = Child(0, {}, S.RUNNING, (0.9,))
        bad = Child(1, {}, S.RUNNING, (0.1,))
        actions = decide(sweep(policy=BANDIT), [good, bad])
        assert actions[0] == Judged(0, 1)
        assert isinstance(actions[1], Stop)
        assert "Bandit" in actions[1].why
        assert "0.1" in actions[1].why
        assert len(actions) == 2  # its place is free once it has ended

    def test_what_was_judged_is_not_judged_again(self) -> None:
        good, bad = Child(0, {}, S.RUNNING, (0.9,), judged=1), Child(1, {}, S.RUNNING, (0.1,), judged=1)
        assert decide(sweep(policy=BANDIT), [good, bad]) == []

    @pytest.mark.parametrize("state", [S.QUEUED, S.PREPARING, S.FINALIZING, S.CANCEL_REQUESTED])
    def test_only_what_runs_is_judged(self, state: RunState) -> None:
        good, bad = Child(0, {}, S.RUNNING, (0.9,), judged=1), Child(1, {}, state, (0.1,))
        assert decide(sweep(policy=BANDIT), [good, bad]) == []

    def test_one_report_late_of_several_is_enough(self) -> None:
        good = Child(0, {}, S.COMPLETED, (0.5, 0.9, 0.9))
        bad = Child(1, {}, S.RUNNING, (0.5, 0.5, 0.9))
        (stop, start) = decide(sweep(policy=BANDIT), [good, bad])
        assert isinstance(stop, Stop)
        assert "interval 2" in stop.why
        assert isinstance(start, Start)

    def test_without_a_policy_nobody_is_stopped(self) -> None:
        assert decide(sweep(), [Child(0, {}, S.RUNNING, (0.9,)), Child(1, {}, S.RUNNING, (0.1,))]) == []


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whole_sweeps_in_any_order_of_events(data: st.DataObject) -> None:
    """Children start, report, end and are stopped in any order; what a restart forgets changes nothing."""
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=2), "options")
    parameters = tuple(Parameter(f"--p{n}", "choice", tuple(range(size))) for n, size in enumerate(sizes))
    points = list(itertools.product(*(range(size) for size in sizes)))
    what = Sweep(
        data.draw(st.sampled_from([Sampling.GRID, Sampling.RANDOM])),
        parameters,
        seed=data.draw(st.integers(0, 99)),
        metric="acc",
        maximize=data.draw(st.booleans()),
        max_total=data.draw(st.integers(1, 12)),
        max_concurrent=data.draw(st.integers(1, 5)),
        policy=data.draw(
            st.sampled_from(
                [
                    None,
                    BANDIT,
                    Policy(PolicyKind.MEDIAN_STOPPING, 2),
                    Policy(PolicyKind.TRUNCATION_SELECTION, percentage=40),
                ]
            )
        ),
    )
    found: dict[int, Child] = {}
    is_cancelled = False
    finish: Finish | None = None
    for _ in range(400):
        for action in decide(what, [found[index] for index in sorted(found)], is_cancelled=is_cancelled):
            if isinstance(action, Start):
                assert not is_cancelled
                assert action.index == len(found)
                found[action.index] = Child(action.index, action.values, S.QUEUED)
            elif isinstance(action, Stop):
                child = found[action.index]
                assert child.is_active
                assert not child.is_stopping
                state = S.CANCELED if child.state is S.QUEUED else S.CANCEL_REQUESTED
                found[action.index] = replace(child, state=state, is_stopping=True)
            elif isinstance(action, Judged):
                found[action.index] = replace(found[action.index], judged=action.reports)
            else:
                assert isinstance(action, Finish)
                finish = action
        active = [child for child in found.values() if child.is_active]
        assert len(active) <= what.max_concurrent
        assert len(found) <= what.max_total
        if finish is not None:
            assert not active
            break
        if not active:
            continue
        child = data.draw(st.sampled_from(active), "whose turn it is")
        moves = {
            S.QUEUED: [S.RUNNING, S.FAILED],
            S.RUNNING: [S.RUNNING, S.RUNNING, S.COMPLETED, S.FAILED, S.CANCELED],
            S.CANCEL_REQUESTED: [S.CANCELED],
        }
        state = data.draw(st.sampled_from(moves[child.state]), "its next state")
        reports = child.reports
        if state is S.RUNNING and child.state is S.RUNNING:
            reports = (*reports, *data.draw(st.lists(st.floats(-1, 1), min_size=1, max_size=3), "reports"))
        judged = data.draw(st.sampled_from([child.judged, max(0, len(child.reports) - 1)]), "what is remembered")
        found[child.index] = replace(child, state=state, reports=reports, judged=judged)
        if data.draw(st.integers(0, 40), "whether it is cancelled") == 0:
            is_cancelled = True
    assert finish is not None, "it never ended"
    tried = [tuple(found[index].values.values()) for index in sorted(found)]
    assert len(set(tried)) == len(tried)
    if is_cancelled:
        assert finish.outcome.event in (RunEvent.END_CANCELED, RunEvent.COMPLETE, RunEvent.FAIL)
    else:
        assert len(tried) == min(what.max_total, len(points))
        if what.sampling is Sampling.GRID:
            assert tried == points[: what.max_total]
