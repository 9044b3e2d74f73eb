"""Bayesian sampling: inside its bounds, the same again from the same reports, and better than chance."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest

from localaml.domain.states import RunState
from localaml.domain.sweeps import Child, Parameter, Sampling, Sweep
from localaml.errors import FailedPrecondition
from localaml.jobs.sweeps.bayesian import BayesianSampler, check_extra

SPACE = (
    Parameter("--x", "uniform", (-10.0, 10.0)),
    Parameter("--kind", "choice", ("good", 1, 1.0, "bad")),
    Parameter("--step", "quniform", (0, 100, 5)),
)
SWEEP = Sweep(
    sampling=Sampling.BAYESIAN,
    parameters=SPACE,
    seed=7,
    metric="score",
    maximize=True,
    max_total=60,
    max_concurrent=2,
)


def _score(values: Any) -> float:
    kind = 0.0 if values["--kind"] == "good" else -20.0
    return float(kind - (values["--x"] - 3) ** 2 - abs(values["--step"] - 40) / 10)


def _played(sweep: Sweep, count: int) -> list[Child]:
    """Children one after the other, each with what its values give."""
    sampler, children = BayesianSampler(sweep), list[Child]()
    for index in range(count):
        values = sampler.sample(index, children)
        assert values is not None
        score = _score(values) if sweep.maximize else -_score(values)
        children.append(Child(index, values, RunState.COMPLETED, reports=(score,)))
    return children


@pytest.mark.parametrize("maximize", [True, False])
def test_it_learns_where_values_are_good(maximize: bool) -> None:
    children = _played(replace(SWEEP, maximize=maximize), 50)
    scores = [_score(child.values) for child in children]
    assert fmean(scores[-15:]) > fmean(scores[:10]) + 10
    assert [child.values["--kind"] for child in children[-15:]].count("good") >= 8  # by chance: 4


def test_values_stay_inside_of_their_space_and_follow_from_the_seed() -> None:
    children = _played(SWEEP, 25)
    assert [child.values for child in children] == [child.values for child in _played(SWEEP, 25)]
    assert [child.values for child in children] != [child.values for child in _played(replace(SWEEP, seed=8), 25)]
    for child in children:
        assert list(child.values) == ["--x", "--kind", "--step"]
        assert -10 <= child.values["--x"] <= 10
        assert child.values["--step"] in range(0, 101, 5)
        kind = child.values["--kind"]
        assert (type(kind), kind) in [(str, "good"), (int, 1), (float, 1.0), (str, "bad")]


def test_children_that_go_on_failed_or_logged_nothing_are_no_hindrance() -> None:
    children = _played(SWEEP, 12)
    for state, reports in (
        (RunState.RUNNING, (1.0,)),
        (RunState.QUEUED, ()),
        (RunState.FAILED, (1.0,)),
        (RunState.CANCELED, ()),
        (RunState.COMPLETED, ()),
        (RunState.COMPLETED, (float("nan"),)),
    ):
        children.append(Child(len(children), children[0].values, state, reports=reports))
    assert BayesianSampler(SWEEP).sample(len(children), children) is not None


def test_without_optuna_it_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    check_extra(Sampling.BAYESIAN)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_extra(Sampling.RANDOM)
    with pytest.raises(FailedPrecondition, match=r"localaml\[sweep\]") as caught:
        check_extra(Sampling.BAYESIAN)
    assert caught.value.reason == "EXTRA_MISSING"
