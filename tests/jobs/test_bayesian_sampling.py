"""Bayesian sampling: inside its bounds, repeatable, and better than chance."""

from __future__ import annotations

import importlib.util
import statistics
from typing import Any

import pytest

from localaml.domain.states import RunState
from localaml.domain.sweep_sampling import own_sampler
from localaml.domain.sweeps import Child, Parameter, Sampling, Sweep
from localaml.errors import FailedPrecondition
from localaml.jobs.sweeps.bayesian import BayesianSampler, check_extra

SPACE = (
    Parameter("--x", "uniform", (-10, 10)),
    Parameter("--n", "quniform", (0, 40, 5)),
    Parameter("--kind", "choice", ("good", "bad", 1, 1.0)),
)


def sweep(seed: int = 1, maximize: bool = False, sampling: Sampling = Sampling.BAYESIAN) -> Sweep:
    return Sweep(sampling, SPACE, seed, "loss", maximize, 40, 1)


def loss(values: Any) -> float:
    penalty = 0.0 if values["--kind"] == "good" else 5.0
    return float((values["--x"] - 3) ** 2 + (values["--n"] - 20) ** 2 / 25 + penalty)


def children_of(what: Sweep, count: int = 40) -> list[Child]:
    sampler = BayesianSampler(what) if what.sampling is Sampling.BAYESIAN else own_sampler(what)
    children: list[Child] = []
    for index in range(count):
        values = sampler.sample(index, children)
        assert values is not None
        told = -loss(values) if what.maximize else loss(values)
        children.append(Child(index, values, RunState.COMPLETED, (told,)))
    return children


@pytest.mark.parametrize("maximize", [False, True])
def test_it_comes_nearer_than_chance(maximize: bool) -> None:
    def late(what: Sweep) -> float:
        return statistics.median(loss(child.values) for child in children_of(what)[20:])

    learned = statistics.fmean(late(sweep(seed, maximize)) for seed in range(3))
    by_chance = statistics.fmean(late(sweep(seed, maximize, Sampling.RANDOM)) for seed in range(3))
    assert learned < by_chance / 2


def test_values_are_inside_and_of_their_kind() -> None:
    for child in children_of(sweep()):
        assert list(child.values) == ["--x", "--n", "--kind"]
        assert -10 <= child.values["--x"] <= 10
        assert child.values["--n"] in range(0, 41, 5)
        assert isinstance(child.values["--n"], int)
    # 1 and 1.0 are options of their own.
    assert {repr(child.values["--kind"]) for child in children_of(sweep())} <= {"'good'", "'bad'", "1", "1.0"}


def test_the_same_children_give_the_same_values() -> None:
    assert [child.values for child in children_of(sweep(), 15)] == [child.values for child in children_of(sweep(), 15)]
    assert [child.values for child in children_of(sweep(1), 3)] != [child.values for child in children_of(sweep(2), 3)]


def test_children_side_by_side_look_at_different_places() -> None:
    known = children_of(sweep(), 15)
    sampler = BayesianSampler(sweep())
    active = list(known)
    for index in range(15, 19):
        values = sampler.sample(index, active)
        assert values is not None
        active.append(Child(index, values, RunState.RUNNING))
    assert len({child.values["--x"] for child in active[15:]}) == 4


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELED, RunState.COMPLETED, RunState.QUEUED])
def test_children_without_the_metric_are_no_hindrance(state: RunState) -> None:
    known = [Child(child.index, child.values, state) for child in children_of(sweep(), 12)]
    assert BayesianSampler(sweep()).sample(12, known) is not None


def test_a_step_that_meets_no_bound() -> None:
    what = Sweep(Sampling.BAYESIAN, (Parameter("--n", "quniform", (1, 11, 4)),), 1, "loss", False, 40, 1)
    sampler = BayesianSampler(what)
    found = [sampler.sample(index, ()) for index in range(30)]
    assert {values["--n"] for values in found if values} == {0, 4, 8, 12}  # round(x / 4) * 4, as Azure documents it


def test_without_optuna_it_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    check_extra(Sampling.BAYESIAN)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_extra(Sampling.RANDOM)
    with pytest.raises(FailedPrecondition, match=r"localaml\[sweep\]") as caught:
        check_extra(Sampling.BAYESIAN)
    assert caught.value.reason == "EXTRA_MISSING"
