"""The second attempt of an evicted run gets the folder of the first (see `tests.support.kill_points`)."""

from __future__ import annotations

from pathlib import Path

from localaml.domain.models import RunKey
from localaml.jobs.disk_reserve import DiskReserve
from localaml.jobs.run_folders import RunFolder, RunFolders
from localaml.paths import StatePaths

KEY = RunKey("w1", "run")


def prepare(folder: Path) -> None:
    state = StatePaths(folder)
    first = RunFolder(state, KEY, 1)
    first.prepare()
    (first.now.work / "outputs").mkdir()
    (first.now.work / "outputs" / "checkpoint").write_text("of the first attempt")
    (first.now.logs / "80_driver_log.txt").write_text("log")
    first.hand_over()


def act(folder: Path) -> None:
    second = RunFolder(StatePaths(folder), KEY, 2)
    second.prepare()
    second.restore()
    second.hand_over()


def resume(folder: Path) -> None:
    state = StatePaths(folder)
    RunFolders(state, DiskReserve(state.disk_reserve, 0)).remove_all_but([KEY])
    act(folder)
    place = state.run(KEY)
    assert (place.work / "outputs" / "checkpoint").read_text() == "of the first attempt"
    assert (place.logs / "80_driver_log.txt").read_text() == "log"
    assert not list(state.preparing.rglob("*")) or not state.prepared(KEY).root.exists()
