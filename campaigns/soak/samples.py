"""What an emulator needs, measured again and again; and the verdict on its trend."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import psutil

_PARTS = 5


@dataclass(frozen=True)
class Sample:
    """One look.

    Attributes:
        seconds: since the start.
        runs: how many runs had ended.
        memory: resident, bytes.
        run_folders: how many folders of runs are there.
        disk: bytes of records and objects.
        submits: seconds of the submits since the last look.
        floors: seconds that this machine took meanwhile for something that has nothing to do with the emulator.
    """

    seconds: float
    runs: int
    memory: int
    descriptors: int
    threads: int
    run_folders: int
    disk: int
    submits: tuple[float, ...]
    floors: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """A line of the table: what, at the start, at the end, and at most.

    Attributes:
        limit: what the end may be.
    """

    name: str
    start: float
    end: float
    limit: float
    unit: str

    @property
    def is_flat(self) -> bool:
        """Whether the end is within the limit."""
        return self.end <= self.limit


@dataclass(frozen=True)
class Tolerance:
    """What may be more at the end than at the start: a part of it, and something in any case."""

    part: float
    constant: float

    def limit(self, start: float) -> float:
        """For this start."""
        return start * (1 + self.part) + self.constant


@dataclass(frozen=True)
class Tolerances:
    """For each thing that is measured. Memory in MiB, submits in ms, disk in KiB per run."""

    memory: Tolerance = Tolerance(0.05, 6.0)
    descriptors: Tolerance = Tolerance(0.0, 8.0)
    threads: Tolerance = Tolerance(0.0, 4.0)
    run_folders: Tolerance = Tolerance(0.0, 8.0)
    disk: Tolerance = Tolerance(0.25, 4.0)
    submit_median: Tolerance = Tolerance(0.3, 5.0)
    submit_p95: Tolerance = Tolerance(0.5, 25.0)


class Floor:
    """How long the machine takes to start and end a process: where that takes longer, a submit may, too."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def measure(self) -> None:
        """Once more."""
        began = time.monotonic()
        subprocess.run(["true"], check=True)
        self._seconds.append(time.monotonic() - began)

    def take(self) -> tuple[float, ...]:
        """What was measured since the last call."""
        taken, self._seconds = tuple(self._seconds), []
        return taken


def take(
    process: psutil.Process,
    state_dir: Path,
    seconds: float,
    runs: int,
    submits: Sequence[float],
    floors: tuple[float, ...] = (),
) -> Sample:
    """Looks at an emulator."""
    with process.oneshot():
        memory, descriptors, threads = process.memory_info().rss, process.num_fds(), process.num_threads()
    folders = [each for name in ("runs", "preparing", "removing", "marks") for each in (state_dir / name).glob("*/*")]
    disk = sum(_size(path) for path in state_dir.glob("metadata.sqlite3*")) + _tree_size(state_dir / "objects")
    return Sample(seconds, runs, memory, descriptors, threads, len(folders), disk, tuple(submits), floors)


def judge(samples: Sequence[Sample], tolerances: Tolerances) -> list[Row]:
    """Compares the second fifth of the time with the last one. The first is for warming up.

    Raises ValueError: too few samples.
    """
    count = len(samples)
    if count < 2 * _PARTS:
        raise ValueError(f"{count} samples are too few: at least {2 * _PARTS} are needed.")
    start, end = samples[count // _PARTS : 2 * count // _PARTS], samples[-(count // _PARTS) :]

    def row(
        name: str, unit: str, tolerance: Tolerance, value: Callable[[Sequence[Sample]], float], slower: float = 1.0
    ) -> Row:
        before = value(start)
        return Row(name, before, value(end), tolerance.limit(before * slower), unit)

    # This machine may have more to do now than before, for others.
    slower = max(1.0, _floor(end) / _floor(start)) if _floor(start) else 1.0

    def middle(of: Callable[[Sample], float]) -> Callable[[Sequence[Sample]], float]:
        return lambda part: median(map(of, part))

    return [
        row("memory", "MiB", tolerances.memory, middle(lambda sample: sample.memory / 2**20)),
        row("descriptors", "", tolerances.descriptors, middle(lambda sample: sample.descriptors)),
        row("threads", "", tolerances.threads, middle(lambda sample: sample.threads)),
        row("folders of runs", "", tolerances.run_folders, middle(lambda sample: sample.run_folders)),
        row("disk for each run", "KiB", tolerances.disk, _disk_per_run),
        row("submit, median", "ms", tolerances.submit_median, lambda part: 1000 * median(_submits(part)), slower),
        row(
            "submit, 95 %", "ms", tolerances.submit_p95, lambda part: 1000 * quantiles(_submits(part), n=20)[-1], slower
        ),
        Row("(start of a process)", 1000 * _floor(start), 1000 * _floor(end), math.inf, "ms"),
    ]


def _floor(part: Sequence[Sample]) -> float:
    found = [seconds for sample in part for seconds in sample.floors]
    return median(found) if found else 0.0


def _submits(part: Sequence[Sample]) -> list[float]:
    found = [seconds for sample in part for seconds in sample.submits]
    if len(found) < 2:
        raise ValueError("Too few submits to compare: let it go on for longer.")
    return found


def _disk_per_run(part: Sequence[Sample]) -> float:
    return (part[-1].disk - part[0].disk) / 1024 / max(1, part[-1].runs - part[0].runs)


def _tree_size(folder: Path) -> int:
    return sum(_size(Path(above) / name) for above, _, names in os.walk(folder) for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
