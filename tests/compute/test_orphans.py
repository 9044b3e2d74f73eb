"""Nothing that a run starts outlives it: whatever it does to its session, its environment, its parents, its files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compute.emulators import kill_emulator, start_emulator
from tests.compute.machine import KINDS, PYTHON, WHICH, Machine, all_printed, ended, until

from localaml.compute.process.keeper import Keeper

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs subreapers")

# Every process of the run starts some of each kind, none with an environment to be known by; the marker is on the
# command line of all of them.
_ESCAPES = (
    WHICH
    + """
import subprocess, sys, time
marker = {marker!r}
chain = '''
import os, time
# It ends by itself, long after the test: one that got away would take a processor for good, and nobody would see why.
deadline, links = time.monotonic() + 300, 0
while time.monotonic() < deadline:
    if os.fork(): os._exit(0)
    os.setsid()
    links += 1
    # Every other link stays long enough to be seen.
    time.sleep(0.02 * (links % 2))
'''
def daemon(*words):
    if os.fork(): return
    os.setsid()
    if os.fork(): os._exit(0)
    os.closerange(0, 64)
    os.execve(words[0], words, {{}})
subprocess.Popen(["/usr/bin/env", "-i", "setsid", "/bin/sleep", marker])
daemon("/bin/sleep", marker)
daemon("/bin/sh", "-c", "trap '' TERM INT HUP; /bin/sleep " + marker + "; :")
for _ in range(3): daemon(sys.executable, "-c", chain, marker)
print("ready", flush=True)
"""
)
_WAIT = "\nimport pathlib\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)\n"


def _found(marker: str) -> list[int]:
    """Living processes with the marker on their command line: some of them never stay for long."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and marker.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def _is_quiet(marker: str) -> bool:
    # One look misses a chain whose link of that moment ends before its line is read.
    return not any(_found(marker) for _ in range(20))


async def _nothing_is_left(machine: Machine, marker: str) -> None:
    """A container is cleared right after the end of its run, before another gets it."""
    if machine.kind == "docker":
        await until(lambda: _is_quiet(marker), "the clearing of the container")
    assert _is_quiet(marker)


@pytest.fixture
def marker() -> Iterator[str]:
    """A time to sleep that nobody else sleeps; at the end all who have it are ended."""
    marker = f"7{int.from_bytes(os.urandom(6), 'big')}.25"
    yield marker
    while not _is_quiet(marker):
        for number in _found(marker):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


@pytest.mark.parametrize("kind", KINDS)
async def test_of_a_run_that_ends_by_itself(machine: Machine, kind: str, marker: str) -> None:
    plan = machine.plan_of(kind, "ends", PYTHON, "-uc", _ESCAPES.format(marker=marker))
    result = await ended(await machine.runtime.launch(plan))
    assert result.succeeded, result.error
    await _nothing_is_left(machine, marker)


@pytest.mark.parametrize("kind", KINDS)
async def test_of_a_run_that_is_cancelled(machine: Machine, kind: str, marker: str) -> None:
    plan = machine.plan_of(kind, "cancelled", PYTHON, "-uc", _ESCAPES.format(marker=marker) + _WAIT)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    assert not _is_quiet(marker)
    await asyncio.wait_for(job.terminate(grace_seconds=0.3), 30)
    assert not (await ended(job)).succeeded
    await _nothing_is_left(machine, marker)


@pytest.mark.parametrize("kind", KINDS)
async def test_of_a_run_whose_emulator_is_killed(machine: Machine, kind: str, marker: str) -> None:
    emulator, handle = start_emulator(machine, kind, _ESCAPES.format(marker=marker) + _WAIT)
    plan = machine.plan_of(kind, "adopted")
    await all_printed(machine, plan, "ready")
    kill_emulator(emulator)
    (plan.run_dir / "work" / "go").touch()
    if machine.kind == "process":
        # Nobody is there to look after it. (A container keeps what is in it until somebody comes.)
        await until(lambda: _is_quiet(marker), "the end of all that the run has started")
    assert (await ended(await machine.runtime.adopt(plan, handle))).succeeded
    await _nothing_is_left(machine, marker)


@pytest.mark.parametrize("kind", KINDS)
async def test_of_a_run_that_the_next_emulator_does_not_know(machine: Machine, kind: str, marker: str) -> None:
    emulator, handle = start_emulator(machine, kind, _ESCAPES.format(marker=marker) + _WAIT)
    plan = machine.plan_of(kind, "adopted")
    await all_printed(machine, plan, "ready")
    kill_emulator(emulator)
    assert await machine.runtime.end_leftovers(frozenset()) >= 1
    await _nothing_is_left(machine, marker)
    assert not (await ended(await machine.runtime.adopt(plan, handle))).succeeded


@pytest.mark.parametrize("kind", KINDS)
async def test_of_a_run_that_kills_its_launcher(machine: Machine, kind: str, marker: str) -> None:
    kill = "\nos.kill(int(open('../control/pid').read()), 9)" if kind != "single" else "\nos.kill(os.getppid(), 9)"
    only_one = "\nif which: time.sleep(600)"
    script = _ESCAPES.format(marker=marker) + only_one + kill + "\ntime.sleep(600)"
    result = await ended(await machine.runtime.launch(machine.plan_of(kind, "kills", PYTHON, "-uc", script)))
    assert (result.reason, result.exit_code) == ("PROCESS_KILLED", None)
    await _nothing_is_left(machine, marker)


async def test_a_guard_that_is_killed_leaves_nothing(tmp_path: Path, marker: str) -> None:
    machine = Machine(tmp_path / "state")
    script = _ESCAPES.format(marker=marker) + _WAIT
    plan = machine.plan("guarded", PYTHON, "-uc", script)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    os.kill(job.handle["guard"], signal.SIGKILL)
    assert (await ended(job)).reason == "PROCESS_KILLED"
    await until(lambda: _is_quiet(marker), "the end of all that the run has started")
    # And so for the next one, also when the keeper itself has gone.
    keeper = machine.table.parent((await machine.runtime.launch(plan)).handle["guard"])
    await until(lambda: not _is_quiet(marker), "the second run")
    os.kill(keeper, signal.SIGKILL)
    third = machine.plan("third", PYTHON, "-c", "print('well')")
    assert (await ended(await machine.runtime.launch(third))).succeeded
    await machine.runtime.end_leftovers(frozenset())
    assert _is_quiet(marker)
    await machine.runtime.close()


async def test_the_keeper_goes_with_its_last_run(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "state")
    plan = machine.plan("kept", PYTHON, "-uc", "print('ready')" + _WAIT.replace("import", "import time,"))
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    guard = job.handle["guard"]
    keeper = machine.table.parent(guard)
    await machine.runtime.close()
    assert machine.table.start_time(guard) and machine.table.start_time(keeper)
    (plan.run_dir / "work" / "go").touch()
    await until(lambda: not machine.table.start_time(keeper), "the end of the keeper")
    assert not machine.table.start_time(guard)


async def test_a_launcher_that_cannot_be_started(tmp_path: Path) -> None:
    keeper = Keeper()
    try:
        with open(os.devnull, "ab") as nowhere, pytest.raises(FileNotFoundError) as caught:  # noqa: PTH123
            await keeper.start(["/no/such/program"], {}, tmp_path, nowhere.fileno())
        assert caught.value.filename == "/no/such/program"
        with open(os.devnull, "ab") as nowhere, pytest.raises(FileNotFoundError) as caught:  # noqa: PTH123
            await keeper.start(["/bin/true"], {}, tmp_path / "missing", nowhere.fileno())
        assert caught.value.filename == str(tmp_path / "missing")
    finally:
        keeper.close()
