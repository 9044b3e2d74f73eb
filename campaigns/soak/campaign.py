"""One soak from start to verdict."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from campaigns.calls import Caller
from campaigns.emulator import EmulatorProcess
from campaigns.soak.load import Load
from campaigns.soak.samples import Floor, Row, Sample, Tolerances, judge, take
from campaigns.waiting import pause

_SAMPLES = 100
_MOST_SHOWN = 10
# How often the machine itself is measured.
_FLOOR_SECONDS = 0.25


@dataclass(frozen=True)
class Options:
    """What a soak is asked for.

    Attributes:
        folder: where everything lies; None for a temporary one, which goes when all is flat.
    """

    seconds: float = 1200.0
    clients: int = 3
    seed: int = 1
    tolerances: Tolerances = field(default_factory=Tolerances)
    folder: Path | None = None


def perform(options: Options) -> bool:
    """Performs a soak and prints its table; whether all is flat and nothing went wrong."""
    folder = options.folder or Path(tempfile.mkdtemp(prefix="soak-campaign-"))
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        emulator = EmulatorProcess(folder, folder / "cache")
        stack.callback(emulator.kill)
        emulator.start()
        caller = Caller(emulator, "grpc")
        stack.callback(caller.close)
        load = Load(emulator, sys.executable, options.seed)
        load.prepare(caller, options.clients)
        stack.callback(load.ended.set)
        threads = load.start(options.clients)
        samples = _measure(load, options.seconds)
        load.ended.set()
        for thread in threads:
            thread.join(60)
        emulator.stop()
    rows = judge(samples, options.tolerances)
    _show(load, samples, rows, folder)
    is_good = all(row.is_flat for row in rows) and not load.troubles
    if is_good and options.folder is None:
        shutil.rmtree(folder)
    return is_good


def _measure(load: Load, seconds: float) -> list[Sample]:
    process, floor = psutil.Process(load.emulator.pid), Floor()
    began = time.monotonic()
    samples = []
    with (load.emulator.log.parent / "samples.txt").open("w") as file:
        for number in range(1, _SAMPLES + 1):
            while (left := began + seconds * number / _SAMPLES - time.monotonic()) > 0:
                pause(min(left, _FLOOR_SECONDS))
                floor.measure()
            submits = [load.submits.popleft() for _ in range(len(load.submits))]
            now = time.monotonic() - began
            samples.append(take(process, load.emulator.state_dir, now, load.completed, submits, floor.take()))
            file.write(f"{samples[-1]}\n")
    return samples


def _show(load: Load, samples: Sequence[Sample], rows: Sequence[Row], folder: Path) -> None:
    last = samples[-1]
    print(f"{last.seconds:.0f} seconds, {last.runs} runs, {load.follows} streams, {last.disk / 2**20:.1f} MiB on disk")
    print(f"{'':<20} {'start':>9} {'end':>9} {'at most':>9}")
    for row in rows:
        verdict = "flat" if row.is_flat else "GROWS"
        print(f"{row.name:<20} {row.start:>9.1f} {row.end:>9.1f} {row.limit:>9.1f} {row.unit:<4} {verdict}")
    for text in load.troubles[:_MOST_SHOWN]:
        print(f"TROUBLE: {text}")
    if load.troubles or not all(row.is_flat for row in rows):
        print(f"kept for a look: {folder}", flush=True)
