"""Which values a sweep's children get.

Child number n of a random sweep or a grid has the same values whenever they are asked for: they follow from the sweep's
seed and n alone. So nothing of it has to be kept, and a restart changes nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from localaml.domain.sweeps import Child, Parameter, Sampling, Sweep, Values

# exp of more is no float any more.
_MOST_EXPONENT = 709.0
# `random.sample` needs a length that the machine can count to.
_MOST_POINTS = 2**60


class Sampler(Protocol):
    """Chooses values."""

    def sample(self, index: int, children: Sequence[Child]) -> Values | None:
        """The values of child number `index`; None when the space has no more points.

        Args:
            children: those before it, in the order of their indices.
        """
        ...


def own_sampler(sweep: Sweep) -> Sampler:
    """The sampler of a random sweep or a grid; those that learn are `jobs.sweeps.bayesian`'s."""
    if sweep.sampling is Sampling.GRID:
        # A longer range could not be counted.
        return _Points(sweep, range(min(_point_count(sweep.parameters), sweep.max_total)))
    count = _point_count(sweep.parameters)
    if 0 < count <= _MOST_POINTS:
        # Azure documents that there may be fewer runs than asked for when the space is smaller: no point comes twice.
        chosen = _source(sweep.seed, "points").sample(range(count), min(count, sweep.max_total))
        return _Points(sweep, chosen)
    return _Drawn(sweep)


class _Points:
    """Points of a space that can be counted, the last parameter changing fastest."""

    def __init__(self, sweep: Sweep, numbers: Sequence[int]) -> None:
        self._parameters = sweep.parameters
        self._numbers = numbers

    def sample(self, index: int, children: Sequence[Child]) -> Values | None:
        if index >= len(self._numbers):
            return None
        number = self._numbers[index]
        values: list[tuple[str, Any]] = []
        for parameter in reversed(self._parameters):
            number, position = divmod(number, _choice_count(parameter))
            chosen = position if parameter.distribution == "randint" else parameter.arguments[position]
            values.append((parameter.option, chosen))
        return dict(reversed(values))


class _Drawn:
    """Independent draws, for spaces that cannot be counted."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep

    def sample(self, index: int, children: Sequence[Child]) -> Values | None:
        source = _source(self._sweep.seed, index)
        return {parameter.option: draw(parameter, source) for parameter in self._sweep.parameters}


def draw(parameter: Parameter, source: random.Random) -> Any:
    """A value from a parameter's distribution, by the formulas that Azure documents for its parameter expressions.

    The `q` ones round to the nearest multiple of q, which may lie outside of the bounds by less than q.
    """
    return _DRAWS[parameter.distribution](source, *parameter.arguments)


def _choice_count(parameter: Parameter) -> int:
    """How many values there are; 0 when they cannot be counted."""
    if parameter.distribution == "choice":
        return len(parameter.arguments)
    return int(parameter.arguments[0]) if parameter.distribution == "randint" else 0


def _point_count(parameters: Sequence[Parameter]) -> int:
    return math.prod(_choice_count(parameter) for parameter in parameters)


def _source(seed: int, what: object) -> random.Random:
    return random.Random(f"{seed}/{what}")  # noqa: S311 - to be repeated, not to be secret


def _exp(value: float) -> float:
    return math.exp(min(value, _MOST_EXPONENT))


def _choice(source: random.Random, *options: Any) -> Any:
    return source.choice(options)


def _randint(source: random.Random, upper: int) -> int:
    return source.randrange(upper)


def _uniform(source: random.Random, low: float, high: float) -> float:
    return source.uniform(low, high)


def _loguniform(source: random.Random, low: float, high: float) -> float:
    return _exp(source.uniform(low, high))


def _normal(source: random.Random, mu: float, sigma: float) -> float:
    return source.gauss(mu, sigma)


def _lognormal(source: random.Random, mu: float, sigma: float) -> float:
    return _exp(source.gauss(mu, sigma))


def _stepped(of: Callable[[random.Random, float, float], float]) -> Callable[..., int]:
    def draw_step(source: random.Random, first: float, second: float, q: int) -> int:
        return round(of(source, first, second) / q) * q

    return draw_step


_DRAWS: dict[str, Callable[..., Any]] = {
    "choice": _choice,
    "randint": _randint,
    "uniform": _uniform,
    "quniform": _stepped(_uniform),
    "loguniform": _loguniform,
    "qloguniform": _stepped(_loguniform),
    "normal": _normal,
    "qnormal": _stepped(_normal),
    "lognormal": _lognormal,
    "qlognormal": _stepped(_lognormal),
}
DISTRIBUTIONS = tuple(_DRAWS)
"""The names of Azure's parameter expressions."""
