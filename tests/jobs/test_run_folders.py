"""The folders of runs: what an attempt leaves to the next, whatever interrupts it, and what others do meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from localaml.domain.models import RunKey
from localaml.errors import FailedPrecondition
from localaml.jobs import job_folders
from localaml.jobs.disk_reserve import DiskReserve
from localaml.jobs.run_folders import RunFolder, RunFolders
from localaml.paths import RunPaths, StatePaths

KEY = RunKey("w1", "run")


@pytest.fixture
def state(tmp_path: Path) -> StatePaths:
    return StatePaths(tmp_path / "state")


def _fill(state: StatePaths) -> RunPaths:
    folder = RunFolder(state, KEY, 1)
    folder.prepare()
    paths = folder.now
    (paths.work / "outputs").mkdir()
    (paths.work / "outputs" / "a").write_text("1")
    (paths.work / "data").write_text("d")
    (paths.logs / "80_driver_log.txt").write_text("log")
    (paths.control / "exit").write_text("0")
    folder.hand_over()
    assert not state.prepared(KEY).root.exists()
    return folder.now


def test_outputs_and_logs_are_carried_over(state: StatePaths) -> None:
    paths = _fill(state)
    for interrupted in ("before", "in between", "after"):
        folder = RunFolder(state, KEY, 2)
        folder.prepare()
        assert (paths.work / "outputs" / "a").read_text() == "1"
        assert list(folder.now.work.iterdir()) == [] and list(folder.now.control.iterdir()) == []
        if interrupted == "before":
            continue
        (folder.now.work / "outputs").mkdir()
        (folder.now.work / "outputs" / "a").write_text("of the snapshot")
        folder.restore()
        if interrupted == "in between":
            continue
        folder.hand_over()
        assert (paths.work / "outputs" / "a").read_text() == "1"
    # Processes that ran before their start was noted have changed it.
    (paths.work / "outputs" / "a").unlink()
    folder = RunFolder(state, KEY, 2)
    folder.prepare()
    folder.hand_over()
    assert (paths.work / "outputs" / "a").read_text() == "1"
    folder.forget_carried()
    assert not (paths.root / "carried-2").exists()
    (paths.work / "outputs" / "a").write_text("2")
    folder = RunFolder(state, KEY, 3)
    folder.prepare()
    folder.hand_over()
    assert (paths.work / "outputs" / "a").read_text() == "2"
    assert (paths.logs / "80_driver_log.txt").read_text() == "log"


def test_a_run_that_is_given_up_early_has_what_it_wrote_before(state: StatePaths) -> None:
    paths = _fill(state)
    folder = RunFolder(state, KEY, 2)
    folder.prepare()
    folder.hand_over()
    assert (paths.work / "outputs" / "a").read_text() == "1" and not (paths.work / "data").exists()


def test_a_first_attempt_begins_with_nothing(state: StatePaths) -> None:
    paths = _fill(state)
    folder = RunFolder(state, KEY, 1)
    folder.prepare()
    (folder.now.root / "left").touch()
    folder.prepare()
    folder.hand_over()
    assert not list(paths.work.iterdir()) and not list(paths.logs.iterdir()) and not (paths.root / "left").exists()
    assert not list(state.removing.iterdir())


def test_links_of_a_job_lead_nowhere_for_us(state: StatePaths, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    paths = _fill(state)
    (paths.work / "outputs" / "link").symlink_to(outside)
    os.mkfifo(paths.work / "outputs" / "pipe")
    (paths.work / "logs").symlink_to(outside)
    shutil.rmtree(paths.logs)
    paths.logs.symlink_to(outside)
    folder = RunFolder(state, KEY, 2)
    folder.prepare()
    folder.restore()
    assert sorted(path.name for path in (folder.now.work / "outputs").iterdir()) == ["a", "link"]
    assert (folder.now.work / "outputs" / "link").is_symlink()
    assert not (folder.now.work / "logs").exists() and not list(folder.now.logs.iterdir())
    assert (outside / "secret").read_text() == "s"


@pytest.mark.parametrize("trap", ["link", "file", "folder", "empty folder", "link to nothing", "pipe"])
def test_a_place_that_somebody_has_taken_before(state: StatePaths, tmp_path: Path, trap: str) -> None:
    """A job that guesses which run comes next."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "work").mkdir()
    place = state.run(KEY).root
    place.parent.mkdir(parents=True)
    if trap in ("link", "link to nothing"):
        place.symlink_to(outside if trap == "link" else tmp_path / "nothing")
    elif trap == "file":
        place.touch()
    elif trap == "pipe":
        os.mkfifo(place)
    else:
        (place / ("work" if trap == "folder" else "")).mkdir(parents=True)
    folder = RunFolder(state, KEY, 1)
    folder.prepare()
    (folder.now.work / "mine").touch()
    folder.hand_over()
    assert not place.is_symlink() and (place / "work" / "mine").exists()
    assert [path.name for path in outside.rglob("*")] == ["work"] and not (tmp_path / "nothing").exists()


def test_somebody_who_takes_the_place_again_and_again(state: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state.run(KEY).root

    def again(*_: object) -> None:
        place.touch()

    monkeypatch.setattr(job_folders, "take_out", again)
    place.parent.mkdir(parents=True)
    again()
    folder = RunFolder(state, KEY, 1)
    folder.prepare()
    with pytest.raises(FailedPrecondition) as caught:
        folder.hand_over()
    assert caught.value.reason == "RUN_FOLDER_TAKEN" and KEY.run_id in caught.value.message


def test_what_a_killed_emulator_was_preparing_or_removing_goes(state: StatePaths) -> None:
    paths = _fill(state)
    folder = RunFolder(state, KEY, 2)
    folder.prepare()
    (state.removing / "half").mkdir(parents=True)
    RunFolders(state, DiskReserve(state.disk_reserve)).remove_all_but([KEY])
    assert not state.preparing.exists() and not state.removing.exists()
    assert (paths.work / "outputs" / "a").exists()
