"""Which rule strikes when, exhaustively where that is possible."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaml.domain.faults import (
    CRASH_POINTS,
    FaultEffect,
    FaultKind,
    FaultRule,
    FaultTarget,
    FaultWhen,
    Hook,
    Occasion,
    RuleState,
    check_rule,
    consider,
    consider_all,
    default_count,
    find_kind,
    matches,
)
from localaml.errors import InvalidArgument

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
CALL = Occasion(Hook.CALL, {"method": ("RunService/GetRun",), "run": ("r-1",)})
GOOD_EFFECTS = {
    FaultKind.DELAY: FaultEffect(delay_seconds=1),
    FaultKind.CRASH: FaultEffect(point="placed"),
}


def rule(kind: FaultKind = FaultKind.ERROR, **parts: object) -> FaultRule:
    when = FaultWhen(count=default_count(kind))
    made = FaultRule("f1", kind, when=when, effect=GOOD_EFFECTS.get(kind, FaultEffect()))
    return check_rule(replace(made, **parts))  # type: ignore[arg-type]


def strikes(when: FaultWhen, count: int, now: datetime = NOW) -> list[int]:
    state = RuleState(rule(when=when))
    struck = []
    for number in range(1, count + 1):
        state, does = consider(state, CALL, now)
        if does:
            struck.append(number)
    assert state.struck == len(struck)
    return struck


def test_without_a_limit_it_strikes_always() -> None:
    assert strikes(FaultWhen(), 5) == [1, 2, 3, 4, 5]


def test_the_next_n() -> None:
    assert strikes(FaultWhen(count=2), 5) == [1, 2]


def test_every_nth_after_the_first_few() -> None:
    assert strikes(FaultWhen(every=3), 9) == [3, 6, 9]
    assert strikes(FaultWhen(every=2, skip=3), 9) == [5, 7, 9]
    assert strikes(FaultWhen(skip=1, count=1), 9) == [2]


def test_a_probability_repeats_with_its_seed() -> None:
    first = strikes(FaultWhen(probability=0.3, seed=7), 200)
    assert first == strikes(FaultWhen(probability=0.3, seed=7), 200)
    assert first != strikes(FaultWhen(probability=0.3, seed=8), 200)
    assert 30 < len(first) < 90
    assert strikes(FaultWhen(probability=0.0), 50) == []


def test_only_in_its_time() -> None:
    when = FaultWhen(not_before=NOW, not_after=NOW + timedelta(minutes=1))
    assert strikes(when, 1, NOW - timedelta(seconds=1)) == []
    assert strikes(when, 1, NOW) == [1]
    assert strikes(when, 1, NOW + timedelta(minutes=1)) == [1]
    assert strikes(when, 1, NOW + timedelta(minutes=2)) == []


@pytest.mark.parametrize(
    ("target", "does"),
    [
        (FaultTarget(), True),
        (FaultTarget(method="RunService/*"), True),
        (FaultTarget(method="*/GetRun", run="r-?"), True),
        (FaultTarget(method="MetricService/*"), False),
        (FaultTarget(run="other"), False),
    ],
)
def test_targets_are_patterns_that_must_all_fit(target: FaultTarget, does: bool) -> None:
    assert matches(rule(target=target), CALL) is does


def test_a_thing_goes_by_any_of_its_names() -> None:
    occasion = Occasion(Hook.NODE, {"node": ("tvmps_1_d", "cpu-0"), "cluster": ("cpu",), "run": ()})
    assert matches(rule(FaultKind.NODE_LOST, target=FaultTarget(node="cpu-0")), occasion)
    assert matches(rule(FaultKind.NODE_LOST, target=FaultTarget(node="tvmps_*")), occasion)
    assert not matches(rule(FaultKind.NODE_LOST, target=FaultTarget(run="*")), occasion), "it works for no run"


@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("hook", list(Hook))
def test_a_kind_strikes_at_its_own_hooks_only(kind: FaultKind, hook: Hook) -> None:
    point = "placed" if kind is FaultKind.CRASH else ""
    struck = matches(rule(kind), Occasion(hook, {}, point))
    expected = {
        Hook.CALL: {FaultKind.ERROR, FaultKind.DELAY, FaultKind.DROP, FaultKind.THROTTLE},
        Hook.BYTES: {FaultKind.ERROR, FaultKind.DELAY, FaultKind.DROP, FaultKind.THROTTLE},
        Hook.STORE_WRITE: {FaultKind.DISK_FULL, FaultKind.DATASTORE_UNREACHABLE},
        Hook.STORE_READ: {FaultKind.DATASTORE_UNREACHABLE},
        Hook.CLUSTER_CREATE: {FaultKind.OUT_OF_QUOTA, FaultKind.SKU_NOT_AVAILABLE},
        Hook.NODE_START: {FaultKind.PROVISIONING_FAILED, FaultKind.OUT_OF_QUOTA, FaultKind.SKU_NOT_AVAILABLE},
        Hook.ENVIRONMENT: {FaultKind.IMAGE_BUILD_FAILED},
        Hook.NODE: {
            FaultKind.NODE_EVICTED,
            FaultKind.NODE_LOST,
            FaultKind.PARTITION,
            FaultKind.OUT_OF_MEMORY,
            FaultKind.PROCESS_KILLED,
        },
        Hook.POINT: {FaultKind.CRASH},
    }
    assert struck is (kind in expected[hook])


def test_a_crash_is_at_its_point_only() -> None:
    crash = rule(FaultKind.CRASH, effect=FaultEffect(point="launched"))
    assert [point for point in CRASH_POINTS if matches(crash, Occasion(Hook.POINT, {}, point))] == ["launched"]


def test_every_rule_counts_an_occasion_whatever_the_others_do() -> None:
    states = [RuleState(rule(when=FaultWhen(count=1))), RuleState(rule(FaultKind.DELAY, when=FaultWhen(every=2)))]
    states, first = consider_all(states, CALL, lambda _: NOW)
    assert [each.kind for each in first] == [FaultKind.ERROR]
    states, second = consider_all(states, CALL, lambda _: NOW)
    assert [each.kind for each in second] == [FaultKind.DELAY]
    assert [state.is_used_up for state in states] == [True, False]


@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("part", [each.name for each in fields(FaultTarget)])
def test_a_part_that_a_kind_never_sees_is_refused(kind: FaultKind, part: str) -> None:
    target = FaultTarget(**{part: "x"})
    try:
        rule(kind, target=target)
    except InvalidArgument as error:
        assert error.reason == "FAULT_INVALID" and part.replace("_", " ") in error.message
    else:
        assert any(matches(rule(kind, target=target), Occasion(hook, {part: ("x",)}, "placed")) for hook in Hook), (
            "accepted, so it must mean something"
        )


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (FaultKind.ERROR, {"effect": FaultEffect(code="NONSENSE")}),
        (FaultKind.ERROR, {"effect": FaultEffect(delay_seconds=1)}),
        (FaultKind.ERROR, {"when": FaultWhen(count=-1)}),
        (FaultKind.ERROR, {"when": FaultWhen(every=0)}),
        (FaultKind.ERROR, {"when": FaultWhen(probability=1.5)}),
        (FaultKind.ERROR, {"when": FaultWhen(probability=float("nan"))}),
        (FaultKind.ERROR, {"when": FaultWhen(not_before=NOW, not_after=NOW - timedelta(1))}),
        (FaultKind.DELAY, {"effect": FaultEffect()}),
        (FaultKind.DELAY, {"effect": FaultEffect(delay_seconds=float("inf"))}),
        (FaultKind.DELAY, {"effect": FaultEffect(delay_seconds=-1)}),
        (FaultKind.DROP, {"effect": FaultEffect(after=-2)}),
        (FaultKind.CRASH, {"effect": FaultEffect(point="somewhere")}),
        (FaultKind.CRASH, {"when": FaultWhen(count=0)}),
        (FaultKind.NODE_LOST, {"effect": FaultEffect(notice_seconds=30)}),
    ],
)
def test_what_cannot_be_is_refused(kind: FaultKind, parts: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=kind.value):
        rule(kind, **parts)


def test_an_error_is_unavailable_unless_it_says_otherwise() -> None:
    assert rule().effect.code == "UNAVAILABLE"
    assert rule(effect=FaultEffect(code="not_found")).effect.code == "NOT_FOUND"


def test_kinds_by_name() -> None:
    for kind in FaultKind:
        assert find_kind(kind.value) is kind
    with pytest.raises(InvalidArgument, match="node-evicted"):
        find_kind("earthquake")


def test_what_happens_to_nodes_and_runs_happens_once_by_default() -> None:
    once = {kind for kind in FaultKind if default_count(kind) == 1}
    assert once == {
        FaultKind.NODE_EVICTED,
        FaultKind.NODE_LOST,
        FaultKind.PARTITION,
        FaultKind.OUT_OF_MEMORY,
        FaultKind.PROCESS_KILLED,
        FaultKind.CRASH,
    }


@given(
    st.builds(
        FaultWhen,
        count=st.integers(0, 5),
        skip=st.integers(0, 5),
        every=st.integers(1, 5),
        probability=st.floats(0, 1),
        seed=st.integers(0, 5),
    ),
    st.integers(0, 40),
)
def test_bounds_of_any_rule(when: FaultWhen, count: int) -> None:
    struck = strikes(when, count)
    assert not when.count or len(struck) <= when.count
    assert all(number > when.skip and (number - when.skip) % when.every == 0 for number in struck)
