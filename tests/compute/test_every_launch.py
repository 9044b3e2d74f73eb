"""What holds for a run however its processes are started."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from tests.compute.emulators import kill_emulator, start_emulator
from tests.compute.machine import FOREVER, KINDS, PYTHON, WHICH, Machine, all_printed, driver_logs, ended, printed

# The last process whose end counts: of `ps` the second worker.
LAST = {"single": 0, "mpi": 3, "ps": 1, "rendezvous": 3}
READY = WHICH + "import signal, time; print('ready', flush=True); "

pytestmark = pytest.mark.parametrize("kind", KINDS)


async def test_all_end_well(machine: Machine, kind: str) -> None:
    plan = machine.plan_of(kind, "good", PYTHON, "-c", WHICH + "print('out', which)")
    result = await ended(await machine.runtime.launch(plan))
    assert result.succeeded and (result.reason, result.error, result.failed_log) == ("", "", "")
    assert [record.rank for record in result.ranks] == list(range(LAST[kind] + 1))
    counting = driver_logs(plan)[: LAST[kind] + 1]
    assert [machine.log(plan, name) for name in counting] == [f"out {n}\n" for n in range(LAST[kind] + 1)]


async def test_one_fails_and_ends_all(machine: Machine, kind: str) -> None:
    script = READY + f"which == {LAST[kind]} and exit(print('because') or 3); time.sleep(600)"
    plan = machine.plan_of(kind, "fails", PYTHON, "-uc", script)
    result = await ended(await machine.runtime.launch(plan))
    assert not result.succeeded and result.failed_rank == LAST[kind]
    assert "exit code 3" in result.error and result.failed_log in result.error
    assert "because" in machine.log(plan, result.failed_log)
    assert not machine.processes(plan)


async def test_one_is_killed(machine: Machine, kind: str) -> None:
    script = READY + f"which == {LAST[kind]} and os.kill(os.getpid(), 9); time.sleep(600)"
    result = await ended(await machine.runtime.launch(machine.plan_of(kind, "killed", PYTHON, "-uc", script)))
    assert not result.succeeded and result.failed_rank == LAST[kind]
    assert "SIGKILL" in result.error


async def test_the_launcher_is_killed(machine: Machine, kind: str) -> None:
    plan = machine.plan_of(kind, "launcher", PYTHON, "-uc", READY + FOREVER)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    os.kill(machine.launcher(job), signal.SIGKILL)
    result = await ended(job)
    assert (result.reason, result.exit_code) == ("PROCESS_KILLED", None)
    assert not machine.processes(plan)


async def test_cancel_gives_every_process_its_grace(machine: Machine, kind: str) -> None:
    save = "signal.signal(15, lambda *_: (time.sleep(0.3 + which / 4), print('saved', flush=True), exit(0))); "
    script = READY.replace("print", save + "print") + "time.sleep(600)"
    plan = machine.plan_of(kind, "cancel", PYTHON, "-c", script)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    await asyncio.wait_for(job.terminate(grace_seconds=20), 15)
    assert [machine.log(plan, name) for name in driver_logs(plan)] == ["ready\nsaved\n"] * plan.process_count
    assert not machine.processes(plan)


async def test_cancel_kills_those_that_ignore_it(machine: Machine, kind: str) -> None:
    ignore = "signal.signal(15, signal.SIG_IGN); "
    plan = machine.plan_of(kind, "stubborn", PYTHON, "-c", READY.replace("print", ignore + "print") + FOREVER)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    await asyncio.wait_for(job.terminate(grace_seconds=0.2), 10)
    assert not (await ended(job)).succeeded
    assert not machine.processes(plan)


async def test_cancel_at_once(machine: Machine, kind: str) -> None:
    job = await machine.runtime.launch(machine.plan_of(kind, "early", PYTHON, "-c", READY + FOREVER))
    await asyncio.wait_for(job.terminate(grace_seconds=10), 10)
    assert not (await ended(job)).succeeded


async def test_cancel_at_any_moment_of_the_start_reaches_every_program(machine: Machine, kind: str) -> None:
    """Each that has begun is told, and none makes the others wait for the end of the grace."""
    told = "signal.signal(15, lambda *_: (print('told', flush=True), exit(0))); "
    script = READY.replace("print", told + "print") + "time.sleep(600)"
    for number in range(12 if machine.kind == "process" else 4):
        plan = machine.plan_of(kind, f"soon-{number}", PYTHON, "-c", script)
        job = await machine.runtime.launch(plan)
        await asyncio.sleep(number * 0.02)
        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(job.terminate(grace_seconds=30), 60)
        assert asyncio.get_running_loop().time() - began < 15
        for name in driver_logs(plan):
            path = plan.run_dir / "logs" / name
            said = path.read_text() if path.exists() else ""
            assert said in ("", "ready\n", "ready\ntold\n")
            assert said != "ready\n", f"{name} was not told"


@pytest.mark.parametrize("node", [0, 1])
async def test_a_lost_node(machine: Machine, kind: str, node: int) -> None:
    plan = machine.plan_of(kind, "lost", PYTHON, "-uc", READY + FOREVER)
    node = node % len(plan.nodes)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    await job.lose_node(plan.nodes[node].node_id)
    result = await ended(job)
    assert result.reason == "NODE_LOST" and plan.nodes[node].node_id in result.error
    assert not machine.processes(plan)


async def test_a_stopped_node(machine: Machine, kind: str) -> None:
    for node in machine.nodes:
        await machine.runtime.start_node(node)
    plan = machine.plan_of(kind, "stopped", PYTHON, "-uc", READY + FOREVER)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    await machine.runtime.stop_node(plan.nodes[-1])
    assert not (await ended(job)).succeeded
    assert not machine.processes(plan)


async def test_children_left_behind_are_ended(machine: Machine, kind: str) -> None:
    script = (
        WHICH
        + f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "{FOREVER}"])
subprocess.Popen([sys.executable, "-c", "{FOREVER}"], start_new_session=True)
"""
    )
    plan = machine.plan_of(kind, "children", PYTHON, "-c", script)
    assert (await ended(await machine.runtime.launch(plan))).succeeded
    assert not machine.processes(plan)


async def test_signals_have_their_usual_meaning(machine: Machine, kind: str) -> None:
    script = "import signal; print([signal.getsignal(n) in (signal.SIG_DFL, signal.default_int_handler) for n in "
    script += "(1, 2, 3, 15)], signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    plan = machine.plan_of(kind, "signals", PYTHON, "-c", script)
    assert (await ended(await machine.runtime.launch(plan))).succeeded
    counting = driver_logs(plan)[: LAST[kind] + 1]
    assert {machine.log(plan, name) for name in counting} == {"[True, True, True, True] set()\n"}


async def test_signals_have_it_whatever_the_emulator_ignores(machine: Machine, kind: str) -> None:
    """An emulator that a script has started in the background, or nohup, ignores some for good."""
    block = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {2, 10, 15}); "
    block += "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 10, 13, 15, 20)]; "
    block += "os.execvp(sys.argv[1], sys.argv[1:])"
    script = """
import signal
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
# Python ignores two by itself, and catches SIGINT.
print(hex(int(status["SigIgn"], 16) & ~(1 << 12 | 1 << 24)), int(status["SigBlk"], 16), int(status["SigCgt"], 16) & 2)
"""
    emulator, handle = start_emulator(machine, kind, script, before=[PYTHON, "-c", block])
    plan = machine.plan_of(kind, "adopted")
    counting = driver_logs(plan)[: LAST[kind] + 1]
    for name in counting:
        await printed(machine, plan, "\n", name)
    assert {machine.log(plan, name) for name in counting} == {"0x0 0 2\n"}
    kill_emulator(emulator)
    assert (await ended(await machine.runtime.adopt(plan, handle))).succeeded


async def test_a_second_launch_is_not_judged_by_the_first(machine: Machine, kind: str) -> None:
    assert (await ended(await machine.runtime.launch(machine.plan_of(kind, "again", PYTHON, "-c", "")))).succeeded
    plan = machine.plan_of(kind, "again", PYTHON, "-uc", READY + FOREVER)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    os.kill(machine.launcher(job), signal.SIGKILL)
    assert not (await ended(job)).succeeded


async def test_a_program_that_is_not_there(machine: Machine, kind: str) -> None:
    plan = machine.plan_of(kind, "unknown", "no-such-program")
    result = await ended(await machine.runtime.launch(plan))
    assert not result.succeeded and "127" in result.error
