"""Sweeps: what one is, and what its children have told so far. Plain data; the decisions are in `sweep_sampling`,
`sweep_policies` and `sweep_control`.

Meanings follow Azure's documentation of `azureml.train.hyperdrive` (azureml-train-core 1.61).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from localaml.domain.states import RunState


class Sampling(str, Enum):
    """How values are chosen, with Azure's names."""

    RANDOM = "RANDOM"
    GRID = "GRID"
    BAYESIAN = "BayesianOptimization"


class PolicyKind(str, Enum):
    """Early termination policies, with Azure's names."""

    BANDIT = "Bandit"
    MEDIAN_STOPPING = "MedianStopping"
    TRUNCATION_SELECTION = "TruncationSelection"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A hyperparameter: its option with dashes, and the distribution that its values come from."""

    option: str
    distribution: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """When children are stopped early.

    Attributes:
        interval: a child is judged every so many reports of the primary metric ...
        delay: ... but not before this many.
        slack_factor: Bandit: the distance from the best that is allowed, as a ratio ...
        slack_amount: ... or as an amount; one of the two is None.
        percentage: TruncationSelection: how many of each hundred are cut off.
    """

    kind: PolicyKind
    interval: int = 1
    delay: int = 0
    slack_factor: float | None = None
    slack_amount: float | None = None
    percentage: int = 0


@dataclass(frozen=True, slots=True)
class Sweep:
    """A search over hyperparameters.

    Attributes:
        parameters: in the order in which they were written.
        maximize: whether more of the metric is better; else less is.
        max_total: at most so many children.
        max_concurrent: so many of them at the same time.
        max_seconds: then it is cancelled; 0: never.
    """

    sampling: Sampling
    parameters: tuple[Parameter, ...]
    seed: int
    metric: str
    maximize: bool
    max_total: int
    max_concurrent: int
    max_seconds: float = 0.0
    policy: Policy | None = None


Values = Mapping[str, Any]
"""A value for each option, in the order of the sweep's parameters."""


@dataclass(frozen=True, slots=True)
class Child:
    """A child of a sweep.

    Attributes:
        index: counts from 0 in the sweep.
        reports: the primary metric as it was logged, oldest first.
        judged: at how many reports the policy looked at it last.
        is_stopping: whether it was asked to end.
    """

    index: int
    values: Values
    state: RunState
    reports: tuple[float, ...] = ()
    judged: int = 0
    is_stopping: bool = False

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return not self.state.is_terminal

    def best(self, maximize: bool, reports: int | None = None) -> float | None:
        """The best of its first `reports` reports (None: of all) that are numbers; None when there is none."""
        numbers = [value for value in self.reports[:reports] if not math.isnan(value)]
        return (max if maximize else min)(numbers) if numbers else None


def option_of(name: str) -> str:
    """The option of a hyperparameter's name: a name without dashes gets two (as Azure's SDK documents it)."""
    return name if name.startswith("-") else f"--{name}"


def argument_words(values: Values) -> list[str]:
    """The values as words of a command line. A list is one word, as JSON."""
    return [
        word
        for option, value in values.items()
        for word in (option, json.dumps(value) if isinstance(value, list) else str(value))
    ]


def reports_of(value: Any) -> list[float]:
    """The reports in a logged value: a number, or each of a list's (`log_list`); nothing else is one."""
    items = value if isinstance(value, list) else [value]
    return [float(item) for item in items if isinstance(item, (int, float)) and not isinstance(item, bool)]
