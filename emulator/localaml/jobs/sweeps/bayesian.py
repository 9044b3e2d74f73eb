"""Bayesian sampling, by optuna: an extra, loaded when the first such sweep begins.

The study is made anew for every sample from what the children have told, so there is nothing to keep.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from localaml.domain.states import RunState
from localaml.domain.sweeps import Child, Parameter, Sampling, Sweep, Values
from localaml.errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Mapping

DISTRIBUTIONS = ("choice", "uniform", "quniform")
"""What Azure allows for this sampling."""


def check_extra(sampling: Sampling) -> None:
    """Raises FailedPrecondition ``EXTRA_MISSING`` when a sweep needs optuna and it is not there."""
    if sampling is Sampling.BAYESIAN and importlib.util.find_spec("optuna") is None:
        raise FailedPrecondition(
            "EXTRA_MISSING",
            "Bayesian sampling needs optuna on the emulator's side: install it with pip install 'localaml[sweep]', "
            "or use RandomParameterSampling.",
        )


class BayesianSampler:
    """Samples where earlier children make good values likely (optuna's tree-structured Parzen estimator).

    Until ten children have ended it draws at random. Children that go on count as bad, so that those that run side by
    side look at different places.
    """

    def __init__(self, sweep: Sweep) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)  # else each study is told of
        self._optuna = optuna
        self._sweep = sweep
        self._spaces = {parameter.option: self._space(parameter) for parameter in sweep.parameters}

    def sample(self, index: int, children: Sequence[Child]) -> Values | None:
        optuna, sweep = self._optuna, self._sweep
        sampler = optuna.samplers.TPESampler(seed=(sweep.seed + index) % 2**32, constant_liar=True)
        study = optuna.create_study(direction="maximize" if sweep.maximize else "minimize", sampler=sampler)
        for child in children:
            study.add_trial(self._trial(child))
        asked = study.ask(self._spaces)
        return {parameter.option: self._value(parameter, asked.params) for parameter in sweep.parameters}

    def _trial(self, child: Child) -> Any:
        states = self._optuna.trial.TrialState
        best = child.best(self._sweep.maximize)
        value = None
        if child.is_active:
            state = states.RUNNING
        elif child.state is RunState.COMPLETED and best is not None:
            state, value = states.COMPLETE, best
        else:
            state = states.FAIL
        inner = {each.option: self._inner(each, child.values[each.option]) for each in self._sweep.parameters}
        return self._optuna.trial.create_trial(
            state=state, params=inner, distributions=self._spaces, values=None if value is None else [value]
        )

    def _space(self, parameter: Parameter) -> Any:
        distributions, arguments = self._optuna.distributions, parameter.arguments
        if parameter.distribution == "choice":
            return distributions.CategoricalDistribution(tuple(range(len(arguments))))
        if parameter.distribution == "uniform":
            return distributions.FloatDistribution(float(arguments[0]), float(arguments[1]))
        low, high, q = arguments
        return distributions.IntDistribution(round(low / q), round(high / q))

    def _value(self, parameter: Parameter, inner: Mapping[str, Any]) -> Any:
        """What the script gets, of what the study has."""
        value = inner[parameter.option]
        if parameter.distribution == "choice":
            return parameter.arguments[value]
        return value * parameter.arguments[2] if parameter.distribution == "quniform" else value

    def _inner(self, parameter: Parameter, value: Any) -> Any:
        if parameter.distribution == "choice":
            # 1 and 1.0 are equal, and different options all the same.
            return [(type(each), each) for each in parameter.arguments].index((type(value), value))
        return round(value / parameter.arguments[2]) if parameter.distribution == "quniform" else value
