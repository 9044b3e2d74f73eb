"""Figures, their floors and goals, and the table that shows them."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One measured thing.

    Attributes:
        value: median, in `unit`.
        floor: the same unit; what the machine can do without LocalAML. None where there is no such thing.
        goal: in words.
        met: whether the goal was met in this run.
    """

    name: str
    value: float
    unit: str
    floor: float | None
    floor_name: str
    goal: str
    met: bool
    spread: str = ""
    note: str = ""


def median(samples: Sequence[float]) -> float:
    """The median."""
    return statistics.median(samples)


def spread(samples: Sequence[float], scale: float = 1.0) -> str:
    """`min..max (n)`."""
    return f"{min(samples) * scale:.3g}..{max(samples) * scale:.3g} ({len(samples)})"


def percentile(samples: Sequence[float], percent: float) -> float:
    """The value that `percent` of the samples do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def show(figures: Sequence[Figure], as_json: bool) -> None:
    """Prints the figures."""
    if as_json:
        print(json.dumps({"load": os.getloadavg(), "figures": [asdict(figure) for figure in figures]}, indent=2))
        return
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores")
    print(f"{'':4} {'what':44} {'ours':>12} {'floor':>12} {'ratio':>7}  goal")
    for figure in figures:
        floor = f"{figure.floor:.4g} {figure.unit}" if figure.floor is not None else "-"
        ratio = f"{figure.value / figure.floor:.2f}" if figure.floor else "-"
        mark = "ok" if figure.met else "MISS"
        print(f"{mark:4} {figure.name:44} {figure.value:.4g} {figure.unit:<5} {floor:>12} {ratio:>7}  {figure.goal}")
        details = "; ".join(part for part in (figure.spread, figure.floor_name, figure.note) if part)
        if details:
            print(f"     {details}")
