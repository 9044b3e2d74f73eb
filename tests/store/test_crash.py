"""`kill -9` at any moment: what was reported as stored is there."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.store.records import WORKSPACE_ID, make_run, make_workspace

from localaml.domain.models import MetricRecord, RunKey
from localaml.domain.states import RunState
from localaml.store import Store


def write_for_ever(path: Path) -> None:
    """The process that is killed: prints the id of each run after it was stored, with three metrics and a new state."""
    store = Store.open(path)
    if not store.workspaces.list():
        store.workspaces.insert(make_workspace())
    number = store.runs.count(WORKSPACE_ID, "e")
    while True:
        number += 1
        run = store.runs.insert(make_run(f"r{number}", tags={"n": str(number)}, definition=b"x" * 3000))
        store.metrics.append(run.key, [MetricRecord("m", 1, str(i), i) for i in range(3)], "w", 1)
        store.runs.update(replace(run, state=RunState.RUNNING))
        sys.stdout.write(f"{run.run_id}\n")
        sys.stdout.flush()


@pytest.mark.parametrize("seed", range(5))
def test_nothing_accepted_is_lost(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "metadata.sqlite3"
    generator = random.Random(seed)
    printed: list[str] = []
    for _ in range(2):
        command = [sys.executable, "-c", f"from {__name__} import *; write_for_ever(Path({str(path)!r}))"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
            assert process.stdout is not None
            for _ in range(generator.randrange(1, 400)):
                printed.append(process.stdout.readline().strip())
            process.kill()
            # What it printed before the signal reached it; the last line may be cut off.
            printed += [line.strip() for line in process.stdout if line.endswith("\n")]
    assert "" not in printed

    store = Store.open(path)
    try:
        for run_id in printed:
            key = RunKey(WORKSPACE_ID, run_id)
            assert store.runs.get(key).state is RunState.RUNNING
            assert len(store.metrics.list(key)) == 3
        assert store._database.one("PRAGMA integrity_check") == ("ok",)
        assert store._database.all("PRAGMA foreign_key_check") == []
        # At most the one run of each killed process was under way.
        assert 0 <= store.runs.count(WORKSPACE_ID, "e") - len(printed) <= 2
    finally:
        store.close()
