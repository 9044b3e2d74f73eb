"""Waiting for processes, and looking them up, also on systems without pidfds or /proc."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compute.machine import DEADLINE_SECONDS, FOREVER, PYTHON, Machine, ended, printed

from localaml.clock import RealClock
from localaml.compute.launch.exits import reap, wait_for_exit
from localaml.compute.launch.table import ProcessTable


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A child that sleeps, in a session of its own."""
    # Waited for by its id, as the runtime does.
    child = subprocess.Popen(["sleep", "600"], env={"MARK": "of the test"}, start_new_session=True)
    child.returncode = 0
    yield child.pid
    try:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


@pytest.fixture(params=["pidfd", "waitpid"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "waitpid":
        monkeypatch.delattr(os, "pidfd_open")
    return str(request.param)


@pytest.fixture(params=["proc", "ps"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> ProcessTable:
    return ProcessTable() if request.param == "proc" else ProcessTable(tmp_path)


async def test_the_end_of_a_child(sleeper: int, way: str, table: ProcessTable) -> None:
    start_time = table.start_time(sleeper)
    assert start_time
    waiting = asyncio.create_task(wait_for_exit(sleeper, start_time, table, RealClock()))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    os.kill(sleeper, signal.SIGKILL)
    await asyncio.wait_for(waiting, DEADLINE_SECONDS)
    # A corpse has ended, too.
    assert table.start_time(sleeper) == ""
    await asyncio.wait_for(wait_for_exit(sleeper, start_time, table, RealClock()), DEADLINE_SECONDS)
    reap(sleeper)
    assert table.start_time(sleeper) == ""


async def test_the_end_of_somebody_elses_child(way: str) -> None:
    table = ProcessTable()
    script = "sleep 600 >/dev/null 2>&1 & echo $!"
    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    orphan = int(shell.stdout)
    waiting = asyncio.create_task(wait_for_exit(orphan, table.start_time(orphan), table, RealClock()))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    os.kill(orphan, signal.SIGKILL)
    await asyncio.wait_for(waiting, DEADLINE_SECONDS)


async def test_a_number_that_is_somebody_elses_by_now(sleeper: int, way: str, table: ProcessTable) -> None:
    await asyncio.wait_for(wait_for_exit(sleeper, "another time", table, RealClock()), DEADLINE_SECONDS)
    assert table.start_time(sleeper)


def test_finding_processes(sleeper: int, table: ProcessTable, tmp_path: Path) -> None:
    assert table.find({}, session=sleeper) == [sleeper]
    assert sleeper not in table.find({}) and sleeper not in table.find({}, session=os.getpid())
    linux = ProcessTable()
    assert linux.find({"MARK": "of the test"}) == [sleeper]
    assert linux.find({"MARK": "of the"}) == [] == linux.find({"MARK": "of the test", "OTHER": ""})
    assert linux.environment(sleeper) == {"MARK": "of the test"}
    assert {os.getpid(), os.getppid()} <= linux.ancestors(os.getpid())
    os.kill(sleeper, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper, os.WEXITED | os.WNOWAIT)
    assert table.find({}, session=sleeper) == []


@pytest.mark.parametrize("machine", ["process"], indirect=True)
async def test_runs_without_pidfds(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    assert (await ended(await machine.runtime.launch(machine.plan("short", PYTHON, "-c", "")))).succeeded
    plan = machine.plan("long", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    again = Machine(machine.paths.root)
    adopted = await again.runtime.adopt(plan, job.handle)
    await asyncio.wait_for(adopted.terminate(grace_seconds=10), DEADLINE_SECONDS)
    assert (await ended(job)).exit_code == 128 + signal.SIGTERM
    await again.runtime.close()
