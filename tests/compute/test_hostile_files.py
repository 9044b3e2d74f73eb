"""A job that puts something else where its records are, on either runtime: its run ends all the same, and nothing
outside of its folder is read or written."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.compute.machine import FOREVER, PYTHON, Machine, ended, printed

from localaml.compute.launch.marks import NODE_LOST, OUT_OF_MEMORY, TIMED_OUT
from localaml.compute.runtime import LaunchPlan, LaunchResult
from localaml.errors import FailedPrecondition

NO_RECORD = "The run's process was killed before it could leave an exit code."


async def _ends_without_its_launcher(machine: Machine, plan: LaunchPlan) -> LaunchResult:
    """The result of a job that has laid its traps, and whose launcher then cannot replace them."""
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    os.kill(machine.launcher(job), signal.SIGKILL)
    return await ended(job)


def _laying(traps: str) -> tuple[str, ...]:
    return (PYTHON, "-uc", f"import os; control = '../control/'; {traps}; print('ready'); {FOREVER}")


@pytest.mark.parametrize(
    "trap",
    [
        "os.mkfifo(control + 'exit')",
        "os.mkdir(control + 'exit')",
        "os.symlink('/dev/zero', control + 'exit')",
        "os.symlink('exit', control + 'exit')",
        "open(control + 'exit', 'wb').write(b'1' * 10_000 + b'\\n')",
        "open(control + 'exit', 'wb').write(b'\\xff\\xfe\\n')",
        "open(control + 'exit', 'wb').write('\\u0664\\u0662\\n'.encode())",
        "open(control + 'exit', 'wb').write(b'4711\\n')",
        "open(control + 'exit', 'wb').truncate(10 << 30)",
        "os.rename('../control', '../aside'); os.symlink('/etc', '../control')",
        "[os.mkfifo(control + name) for name in ('node_lost', 'timed_out', 'out_of_memory')]",
    ],
)
async def test_what_is_no_record_counts_for_none(machine: Machine, trap: str) -> None:
    result = await _ends_without_its_launcher(machine, machine.plan("trap", *_laying(trap)))
    assert (result.reason, result.exit_code) == ("PROCESS_KILLED", None)


async def test_a_link_is_no_record(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("0\n")
    trap = f"os.symlink({str(tmp_path / 'elsewhere')!r}, control + 'exit')"
    result = await _ends_without_its_launcher(machine, machine.plan("linked", *_laying(trap)))
    assert (result.succeeded, result.exit_code) == (False, None)


async def test_the_word_of_who_failed_first(machine: Machine) -> None:
    traps = "os.environ['WHICH'] == '0' and [os.mkfifo(control + name) for name in ('failed_first', 'worker_0.exit')]"
    plan = machine.server_plan("roles", *_laying(traps))
    job = await machine.runtime.launch(plan)
    for name in ("worker_0", "worker_1"):
        await printed(machine, plan, "ready", f"80_driver_log_{name}.txt")
    os.kill(machine.launcher(job), signal.SIGKILL)
    assert (await ended(job)).reason == "PROCESS_KILLED"


async def test_marks_do_not_go_where_a_job_leads_them(machine: Machine, tmp_path: Path) -> None:
    """The emulator may be root here: what it writes must not land in a file of this machine."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    marks = (NODE_LOST, TIMED_OUT, OUT_OF_MEMORY)
    trap = f"[os.symlink({str(victim)!r}, control + name) for name in {marks!r}]"
    plan = machine.plan("marks", *_laying(trap))
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    await job.lose_node("node-0")
    assert (await ended(job)).reason == "NODE_LOST"
    assert victim.read_text() == "untouched"


async def test_a_job_cannot_make_marks(machine: Machine) -> None:
    trap = "[open(control + name, 'w').write('node-0') for name in ('node_lost', 'timed_out', 'out_of_memory')]"
    result = await _ends_without_its_launcher(machine, machine.plan("forged", *_laying(trap)))
    assert (result.reason, result.error) == ("PROCESS_KILLED", NO_RECORD)


async def test_mpi_messages_without_end(machine: Machine) -> None:
    """Of a sparse file with gigabytes, the end is read."""
    grow = "os.truncate('../logs/56_batchai_stderr.txt', 10 << 30)"
    script = f"import os; os.environ['OMPI_COMM_WORLD_RANK'] == '0' and {grow}; exit(3)"
    plan = machine.mpi_plan("messages", PYTHON, "-c", script)
    result = await ended(await machine.runtime.launch(plan))
    assert result.reason == "RANK_FAILED" and len(result.error) < 2000


@pytest.mark.parametrize(
    "place",
    ["control", "logs", "control/launch", "control/names", "logs/60_control_log_worker_0.txt", "control/token"],
)
async def test_a_launch_does_not_write_where_a_link_leads(machine: Machine, tmp_path: Path, place: str) -> None:
    """Another job of the workspace sees the folder while it is made ready."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("untouched")
    plan = machine.server_plan("link", PYTHON, "-c", "pass", environment={"odd name": "1"})
    link = plan.run_dir / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside if "/" not in place else outside / "victim")
    await _ended_or_refused(machine, plan)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"victim": "untouched"}


async def _ended_or_refused(machine: Machine, plan: LaunchPlan) -> None:
    try:
        job = await machine.runtime.launch(plan)
    except FailedPrecondition as error:
        assert error.reason == "LAUNCH_FAILED"
    else:
        await ended(job)


@pytest.mark.parametrize(
    "content",
    ["os.mkfifo(p)", "os.symlink('/dev/zero', p)", "open(p, 'w').write('9' * 10_000)", "open(p, 'w').write('1\\n')"],
)
async def test_adopting_a_job_that_hides_its_launcher(machine: Machine, content: str) -> None:
    plan = machine.plan("hidden", *_laying(f"p = control + 'pid'; os.unlink(p); {content}"))
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    again = machine.another(machine.paths.root)
    await machine.runtime.close()
    await again.start()
    machine.runtime = again.runtime
    del job
    adopted = await again.runtime.adopt(plan, {})
    await asyncio.wait_for(adopted.terminate(0.1), 20)
    assert not again.processes(plan)
