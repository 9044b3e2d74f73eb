"""Early termination, against the examples of Azure's documentation and at its edges."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaml.domain.states import RunState
from localaml.domain.sweep_policies import due, reason_to_stop
from localaml.domain.sweeps import Child, Policy, PolicyKind

NAN = float("nan")


def child(*reports: float, index: int = 0, judged: int = 0) -> Child:
    return Child(index, {}, RunState.RUNNING, reports, judged)


def stops(policy: Policy, own: Child, *others: Child, at: int | None = None, maximize: bool = True) -> bool:
    interval = len(own.reports) if at is None else at
    return reason_to_stop(policy, own, others, interval, maximize=maximize) is not None


def bandit(factor: float | None = None, amount: float | None = None) -> Policy:
    return Policy(PolicyKind.BANDIT, slack_factor=factor, slack_amount=amount)


class TestWhen:
    @pytest.mark.parametrize(
        ("interval", "delay", "reports", "judged", "expected"),
        [
            (1, 0, 3, 0, [1, 2, 3]),
            (1, 0, 3, 3, []),
            (1, 0, 3, 2, [3]),
            (2, 0, 5, 0, [2, 4]),
            (1, 5, 4, 0, []),
            (1, 5, 6, 0, [5, 6]),
            (2, 5, 9, 0, [6, 8]),  # multiples of the interval that are at least the delay
            (100, 200, 250, 0, [200]),
            (3, 3, 3, 0, [3]),
            (2, 0, 5, 3, [4]),
        ],
    )
    def test_at_which_reports(self, interval: int, delay: int, reports: int, judged: int, expected: list[int]) -> None:
        policy = Policy(PolicyKind.BANDIT, interval, delay, slack_factor=0.1)
        assert due(policy, child(*([0.0] * reports), judged=judged)) == expected

    @given(st.integers(1, 9), st.integers(0, 30), st.lists(st.integers(1, 7), max_size=20))
    def test_every_interval_is_judged_once_however_reports_come(
        self, interval: int, delay: int, batches: list[int]
    ) -> None:
        policy = Policy(PolicyKind.MEDIAN_STOPPING, interval, delay)
        count, judged, seen = 0, 0, []
        for batch in batches:
            count += batch
            now = due(policy, child(*([0.0] * count), judged=judged))
            seen += now
            judged = now[-1] if now else judged
        assert seen == [n for n in range(1, count + 1) if n % interval == 0 and n >= delay]


class TestBandit:
    def test_azures_example_of_a_factor(self) -> None:
        best = child(0.8, index=1)
        assert stops(bandit(0.2), child(0.66), best)  # 0.66 + 0.132 < 0.8
        assert not stops(bandit(0.2), child(0.67), best)

    def test_an_amount(self) -> None:
        best = child(0.8, index=1)
        assert stops(bandit(amount=0.2), child(0.59), best)
        assert not stops(bandit(amount=0.2), child(0.61), best)

    def test_minimizing(self) -> None:
        best = child(1.0, index=1)
        assert stops(bandit(0.2), child(1.3), best, maximize=False)
        assert not stops(bandit(0.2), child(1.15), best, maximize=False)
        assert not stops(bandit(0.2), child(0.5), best, maximize=False)

    def test_the_best_of_several_others_counts(self) -> None:
        assert stops(bandit(0.1), child(0.5), child(0.1, index=1), child(0.9, index=2))
        assert stops(bandit(0.1), child(0.5), child(0.1, index=1), child(0.9, index=2), maximize=False)

    def test_negative_values_have_slack_too(self) -> None:
        assert not stops(bandit(0.2), child(-1.0), child(-0.85, index=1))
        assert stops(bandit(0.2), child(-1.0), child(-0.5, index=1))

    def test_a_childs_best_counts_and_not_its_last(self) -> None:
        assert not stops(bandit(0.1), child(0.9, 0.1), child(0.9, index=1))

    def test_others_count_up_to_the_same_interval_only(self) -> None:
        assert not stops(bandit(0.1), child(0.5), child(0.5, 0.99, 0.999, index=1))
        assert stops(bandit(0.1), child(0.5, 0.5), child(0.5, 0.99, 0.999, index=1))

    def test_alone_it_goes_on(self) -> None:
        assert not stops(bandit(0.0), child(0.0))
        assert not stops(bandit(0.0), child(0.0), child(index=1))

    def test_what_is_not_a_number_is_worst(self) -> None:
        assert stops(bandit(0.5), child(NAN), child(0.1, index=1))
        assert not stops(bandit(0.5), child(0.1), child(NAN, index=1))
        assert not stops(bandit(0.5), child(NAN, 0.1), child(0.1, index=1))

    def test_infinity(self) -> None:
        assert stops(bandit(0.5), child(-math.inf), child(0.1, index=1))
        assert stops(bandit(0.5), child(math.inf), child(0.1, index=1), maximize=False)
        assert not stops(bandit(0.5), child(math.inf), child(0.1, index=1))

    @given(st.floats(0, 10), st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6), st.booleans())
    def test_the_best_is_never_stopped(self, factor: float, bests: list[float], maximize: bool) -> None:
        best = (max if maximize else min)(bests)
        others = [child(value, index=n + 1) for n, value in enumerate(bests)]
        assert not stops(bandit(factor), child(best), *others, maximize=maximize)


class TestMedianStopping:
    POLICY = Policy(PolicyKind.MEDIAN_STOPPING)

    def test_its_best_against_the_median_of_the_averages(self) -> None:
        others = [child(0.5, 0.7, index=1), child(0.8, 0.8, index=2)]  # averages 0.6 and 0.8; its own below
        assert stops(self.POLICY, child(0.1, 0.55), *others)
        assert not stops(self.POLICY, child(0.1, 0.65), *others)

    def test_averages_of_the_same_intervals_only(self) -> None:
        ahead = [child(0.1, 0.9, 0.9, 0.9, index=1), child(0.1, 0.9, 0.9, 0.9, index=2)]
        assert not stops(self.POLICY, child(0.1), *ahead)

    def test_those_that_have_not_come_so_far_do_not_count(self) -> None:
        assert not stops(self.POLICY, child(0.1, 0.2), child(0.9, index=1), child(0.9, index=2))

    def test_minimizing(self) -> None:
        others = [child(0.5, index=1), child(0.4, index=2)]
        assert stops(self.POLICY, child(0.9), *others, maximize=False)
        assert not stops(self.POLICY, child(0.3), *others, maximize=False)

    def test_not_a_number(self) -> None:
        assert stops(self.POLICY, child(NAN), child(0.5, index=1))
        assert not stops(self.POLICY, child(0.5), child(NAN, index=1))

    def test_alone_it_goes_on(self) -> None:
        assert not stops(self.POLICY, child(0.5, 0.4, 0.3))


class TestTruncation:
    def policy(self, percentage: int) -> Policy:
        return Policy(PolicyKind.TRUNCATION_SELECTION, percentage=percentage)

    def test_the_lowest_of_each_hundred(self) -> None:
        others = [child(0.1 * n, index=n) for n in range(1, 10)]  # with its own there are ten
        assert stops(self.policy(20), child(0.15), *others)  # the second lowest
        assert not stops(self.policy(20), child(0.25), *others)  # the third
        assert not stops(self.policy(9), child(0.05), *others)  # 0.9 of a run is none

    def test_minimizing(self) -> None:
        others = [child(0.1 * n, index=n) for n in range(1, 10)]
        assert stops(self.policy(20), child(0.95), *others, maximize=False)
        assert not stops(self.policy(20), child(0.05), *others, maximize=False)

    def test_only_those_that_have_come_so_far(self) -> None:
        young = [child(0.9, index=n) for n in range(1, 10)]
        assert not stops(self.policy(50), child(0.1, 0.1), *young)

    def test_among_equals_nobody_is_the_worst(self) -> None:
        assert not stops(self.policy(99), child(0.5), *(child(0.5, index=n) for n in range(1, 5)))

    @given(st.integers(1, 99), st.lists(st.floats(0, 1), min_size=1, max_size=30), st.booleans())
    def test_never_more_than_the_percentage(self, percentage: int, bests: list[float], maximize: bool) -> None:
        children = [child(value, index=n) for n, value in enumerate(bests)]
        stopped = sum(
            stops(self.policy(percentage), each, *(o for o in children if o.index != each.index), maximize=maximize)
            for each in children
        )
        assert stopped <= len(bests) * percentage // 100
