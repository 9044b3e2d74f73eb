"""The end of a run: its files become artifacts (see `tests.support.kill_points`)."""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import datetime, timezone
from pathlib import Path

from localaml.clock import RealClock
from localaml.domain.models import Experiment, Run, Workspace
from localaml.domain.names import ChildName, RunName, WorkspaceName
from localaml.domain.states import RunState
from localaml.jobs.collect import OutputCollector
from localaml.jobs.storage_check import check_storage
from localaml.paths import StatePaths
from localaml.storage.disk import DiskStore
from localaml.store import Store

NAME = WorkspaceName("s", "g", "w")
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
RUN = Run(RunName(NAME, "e", "e_1"), "wid", 0, "azureml.scriptrun", RunState.FINALIZING, NOW, True)
FILES = {
    "outputs/model.bin": b"weights" * 1000,
    "outputs/deep/er/empty": b"",
    "outputs/two names": b"linked",
    "logs/metrics.txt": b"loss 1\n",
}
DRIVER_LOG = b"hello\n"


def prepare(folder: Path) -> None:
    state = StatePaths(folder)
    store = Store.open(state.metadata)
    store.workspaces.insert(Workspace(NAME, "wid", NOW))
    store.experiments.insert(Experiment(ChildName(NAME, "experiments", "e"), "wid", "experiment-guid", NOW))
    store.runs.insert(RUN)
    store.close()
    paths = state.run(RUN.key)
    for name, data in FILES.items():
        (paths.work / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.work / name).write_bytes(data)
    os.link(paths.work / "outputs/two names", paths.work / "outputs/second")
    paths.logs.mkdir()
    (paths.logs / "80_driver_log.txt").write_bytes(DRIVER_LOG)


def act(folder: Path) -> None:
    state = StatePaths(folder)
    store, objects = Store.open(state.metadata), DiskStore(state.objects, state.incoming)
    asyncio.run(_collect(store, objects, state))


def resume(folder: Path) -> None:
    state = StatePaths(folder)
    # As a start does: the store first, then the run goes on in the state that it is in.
    store, objects = Store.open(state.metadata), DiskStore(state.objects, state.incoming)
    notes = asyncio.run(_collect(store, objects, state))
    assert notes == [], notes
    wanted = {
        **FILES,
        "outputs/second": FILES["outputs/two names"],
        "azureml-logs/80_driver_log.txt": DRIVER_LOG,
    }
    rows = {row.path: row for row in store.artifacts.list(RUN.key)}
    assert sorted(rows) == sorted(wanted)
    for path, data in wanted.items():
        there = (state.objects / rows[path].object_key).read_bytes()
        assert hashlib.sha256(there).digest() == hashlib.sha256(data).digest(), path
        assert rows[path].size_bytes == len(data), path
        assert rows[path].sha256 == hashlib.sha256(data).hexdigest(), path
    assert list(state.incoming.iterdir()) == []
    assert not list(state.marks.rglob("*.*")) and store.unfinished.list() == []
    findings = asyncio.run(check_storage(store, objects, repair=False))
    assert findings.count == 0, findings


async def _collect(store: Store, objects: DiskStore, state: StatePaths) -> list[str]:
    collector = OutputCollector(
        key=RUN.key, paths=state.run(RUN.key), store=store, objects=objects, clock=RealClock(), watched=("logs",)
    )
    return await collector.finish()
