"""Runs outlive the emulator that started them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from dataclasses import replace

import pytest
from tests.compute.emulators import kill_emulator, start_emulator
from tests.compute.machine import FOREVER, KINDS, PYTHON, WHICH, Machine, all_printed, ended, printed, until

_WAIT = """
import os, pathlib, time
print("ready")
while not pathlib.Path("go").exists(): time.sleep(0.01)
print("went on")
raise SystemExit({code})
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_handle", [True, False], ids=["handle", "no-handle"])
async def test_a_run_goes_on_and_is_adopted(machine: Machine, kind: str, with_handle: bool) -> None:
    emulator, handle = start_emulator(machine, kind, _WAIT.format(code=4))
    plan = machine.plan_of(kind, "adopted")
    await all_printed(machine, plan, "ready")
    kill_emulator(emulator)
    assert await machine.runtime.end_leftovers(frozenset({"adopted"})) == 0
    job = await machine.runtime.adopt(plan, handle if with_handle else {})
    assert job.handle["pid"] == handle["pid"]
    waiting = asyncio.ensure_future(ended(job))
    (plan.run_dir / "work" / "go").touch()
    result = await waiting
    assert "went on" in machine.log(plan, result.failed_log)
    assert result.reason == ("USER_SCRIPT_FAILED" if kind == "single" else "RANK_FAILED")
    assert "exit code 4" in result.error


@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_that_ended_meanwhile(machine: Machine, kind: str) -> None:
    emulator, handle = start_emulator(machine, kind, "print('done')")
    plan = machine.plan_of(kind, "adopted")
    os.kill(emulator.pid, signal.SIGSTOP)
    await until((plan.run_dir / "control" / "exit").exists, "the record")
    kill_emulator(emulator)
    result = await ended(await machine.runtime.adopt(plan, handle))
    assert result.succeeded and len(result.ranks) == result.expected_ranks == {"single": 1, "ps": 2}.get(kind, 4)


async def test_servers_end_with_their_workers_also_while_nobody_watches(machine: Machine) -> None:
    serve_or_wait = (
        WHICH + "import pathlib, time; print('ready')\nwhile which == 2 or not pathlib.Path('go').exists(): "
    )
    emulator, handle = start_emulator(machine, "ps", serve_or_wait + "time.sleep(0.01)")
    plan = machine.server_plan("adopted")
    await all_printed(machine, plan, "ready")
    kill_emulator(emulator)
    (plan.run_dir / "work" / "go").touch()
    await until((plan.run_dir / "control" / "exit").exists, "the record")
    await until(lambda: not machine.processes(plan), "the end of the server")
    assert (await ended(await machine.runtime.adopt(plan, handle))).succeeded


@pytest.mark.parametrize("kind", ["single", "ps", "rendezvous"])
async def test_an_adopted_run_can_be_ended(machine: Machine, kind: str) -> None:
    emulator, handle = start_emulator(machine, kind, f"print('ready'); {FOREVER}")
    plan = machine.plan_of(kind, "adopted")
    await all_printed(machine, plan, "ready")
    kill_emulator(emulator)
    job = await machine.runtime.adopt(plan, handle)
    await asyncio.wait_for(job.terminate(grace_seconds=60), 10)
    assert (await ended(job)).exit_code == 128 + signal.SIGTERM


async def test_somebody_elses_process_is_not_taken_for_the_run(machine: Machine) -> None:
    plan = machine.plan("old", PYTHON, "-c", "")
    await ended(await machine.runtime.launch(plan))
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        for start_time, boot in (("1", ""), (machine.table.start_time(bystander.pid), "another boot")):
            handle = {"pid": bystander.pid, "start_time": start_time, "boot": boot}
            job = await machine.runtime.adopt(plan, handle)
            assert (await ended(job)).succeeded
            await job.terminate(grace_seconds=0)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("kind", ["mpi", "ps", "rendezvous"])
async def test_leftovers_are_ended_but_for_the_labels_to_keep(machine: Machine, kind: str) -> None:
    emulator, handle = start_emulator(machine, kind, f"print('ready'); {FOREVER}")
    kept = replace(machine.plan("kept", PYTHON, "-uc", f"print('ready'); {FOREVER}"), nodes=(machine.third,))
    kept_job = await machine.runtime.launch(kept)
    left = machine.plan_of(kind, "adopted")
    await printed(machine, kept, "ready")
    await all_printed(machine, left, "ready")
    kill_emulator(emulator)
    # A shell in which somebody has exported the variable of the state dir is no leftover.
    shell = subprocess.Popen(["sleep", "600"], env={"LOCALAML_STATE_DIR": str(machine.paths.root)})
    try:
        assert await machine.runtime.end_leftovers(frozenset({"kept"})) >= len(left.nodes)
        assert not machine.processes(left) and machine.processes(kept)
        assert shell.poll() is None
    finally:
        shell.kill()
        shell.wait()
    # What is left of it is its folder; its end is known.
    result = await ended(await machine.runtime.adopt(left, handle))
    assert result.reason == {"process": "PROCESS_KILLED", "docker": "NODE_LOST"}[machine.kind]
    await kept_job.terminate(grace_seconds=0)


async def test_closing_lets_the_run_go_on(machine: Machine) -> None:
    plan = machine.plan("closed", PYTHON, "-uc", _WAIT.format(code=0))
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    await machine.runtime.close()
    again = machine.another(machine.paths.root)
    await again.start()
    adopted = await again.runtime.adopt(plan, job.handle)
    (plan.run_dir / "work" / "go").touch()
    assert (await ended(adopted)).succeeded
    await again.runtime.close()
