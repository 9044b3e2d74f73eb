"""What a job may do to the folders that its logs and outputs are in."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from localaml.clock import RealClock
from localaml.compute.runtime import LaunchResult
from localaml.domain.models import RunKey
from localaml.jobs.live_logs import LiveLogs
from localaml.jobs.log_follow import follow_file
from localaml.jobs.run_log import ControlLog, error_with_log_tail
from localaml.paths import RunPaths, StatePaths

KEY = RunKey("w1", "run")


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    found = StatePaths(tmp_path / "state").run(KEY)
    found.logs.mkdir(parents=True)
    return found


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    file = tmp_path / "outside" / "60_control_log.txt"
    file.write_text("untouched")
    return file


@pytest.mark.parametrize("trap", ["file", "folder", "run", "pipe", "directory"])
def test_the_control_log_goes_nowhere_else(paths: RunPaths, victim: Path, trap: str) -> None:
    log = paths.logs / "60_control_log.txt"
    if trap == "file":
        log.symlink_to(victim)
    elif trap == "pipe":
        os.mkfifo(log)
    elif trap == "directory":
        log.mkdir()
    elif trap == "folder":
        paths.logs.rmdir()
        paths.logs.symlink_to(victim.parent)
    else:
        (victim.parent / "logs").symlink_to(victim.parent)
        paths.logs.rmdir()
        paths.root.rmdir()
        paths.root.symlink_to(victim.parent)
    control = ControlLog(paths.logs, distributed=False, clock=RealClock())
    control.line("a line")
    with control.build_log() as build:
        build("a line")
    control.close()
    assert victim.read_text() == "untouched"
    assert not (victim.parent / "20_image_build_log.txt").exists()
    if trap in ("file", "pipe", "directory"):
        assert log.read_text().endswith("a line\n")


@pytest.mark.parametrize("trap", ["pipe", "link", "device"])
def test_the_end_of_a_log_that_is_none(paths: RunPaths, victim: Path, trap: str) -> None:
    log = paths.logs / "80_driver_log.txt"
    if trap == "pipe":
        os.mkfifo(log)
    else:
        log.symlink_to(victim if trap == "link" else "/dev/zero")
    result = LaunchResult(1, (), 1, failed_log=log.name)
    assert error_with_log_tail("failed", paths.logs, result) == "failed"


def test_live_logs_are_files_of_the_run(paths: RunPaths, victim: Path, tmp_path: Path) -> None:
    logs = LiveLogs(StatePaths(tmp_path / "state"))
    (paths.logs / "good.txt").touch()
    os.mkfifo(paths.logs / "pipe.txt")
    (paths.logs / "link.txt").symlink_to(victim)
    (paths.logs / os.fsdecode(b"\xff.txt")).touch()
    assert logs.names(KEY) == ["azureml-logs/good.txt"]
    assert logs.path(KEY, "azureml-logs/link.txt") is None
    (paths.logs).rename(paths.root / "aside")
    paths.logs.symlink_to(victim.parent)
    assert logs.names(KEY) == []
    assert logs.path(KEY, f"azureml-logs/{victim.name}") is None


@pytest.mark.parametrize("trap", ["pipe", "link"])
async def test_what_is_no_log_is_not_followed(paths: RunPaths, victim: Path, trap: str) -> None:
    log = paths.logs / "80_driver_log.txt"
    if trap == "pipe":
        os.mkfifo(log)
    else:
        log.symlink_to(victim)

    async def never() -> None:
        await asyncio.Event().wait()

    found = [chunk async for chunk in follow_file(lambda: log, 0, lambda: True, never)]
    assert found == []
