"""The folders of runs: what an attempt leaves to the next, whatever interrupts it, and what others do meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from tests.jobs.world import World

from localaml.domain.models import RunKey
from localaml.domain.states import RunState
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


async def test_no_job_sees_a_run_that_is_prepared_and_people_see_its_logs(world: World) -> None:
    world.cluster()
    world.environments.hold = asyncio.Event()
    key = world.submit("r").key
    prepared, place = world.paths.prepared(key), world.paths.run(key)
    log = "azureml-logs/20_image_build_log.txt"
    await world.until(lambda: log in world.orchestrator.logs.names(key), "the log of a run that is prepared")
    assert world.orchestrator.logs.path(key, log) == prepared.logs / "20_image_build_log.txt"
    assert not place.root.exists()

    # The emulator goes in the midst of it, and leaves things behind.
    (prepared.work / "half").touch()
    await world.restart()
    await world.until(lambda: len(world.environments.containers) == 2, "the run to be prepared again")
    assert not (prepared.work / "half").exists()
    world.environments.hold.set()
    await world.state("r", RunState.RUNNING)
    assert not prepared.root.exists() and (place.work / "outputs").is_dir()
    assert world.orchestrator.logs.path(key, log) == place.logs / "20_image_build_log.txt"
    world.runtime.jobs["r"].end()
    await world.state("r", RunState.COMPLETED)
    assert {"azureml-logs/20_image_build_log.txt"} <= {row.path for row in world.store.artifacts.list(key)}


async def test_a_run_that_fails_while_it_is_prepared_has_its_logs(world: World) -> None:
    world.cluster()
    world.environments.error = FailedPrecondition("ENVIRONMENT_FAILED", "no such package")
    key = world.submit("r").key
    await world.state("r", RunState.FAILED)
    paths = {row.path for row in world.store.artifacts.list(key)}
    assert {"azureml-logs/20_image_build_log.txt", "azureml-logs/60_control_log.txt"} <= paths
    await world.until(lambda: not world.paths.run(key).root.exists(), "the folder to go")
    assert not world.paths.prepared(key).root.exists()
