"""Workers, parameter servers, and ranks without MPI: what each process gets, and when the run ends."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tests.compute.machine import FOREVER, PYTHON, WHICH, Machine, all_printed, ended, printed

from localaml.compute.process.isolation import NO_ISOLATION
from localaml.compute.runtime import ProcessSpec, RankExit
from localaml.domain.roles import RANK, Role
from localaml.errors import FailedPrecondition


async def test_each_process_has_its_node_its_variables_and_its_command(machine: Machine) -> None:
    given = {"A": "x y'\"$(true)`\n;", "SECRET": "hunter2", "a.b": "c", "IFS": "_", "PART": "of all"}
    script = "import os, socket, time; print(ascii((socket.gethostname(), dict(os.environ))))"
    plan = machine.server_plan("environment", PYTHON, "-uc", f"{script}; time.sleep(600)", environment=given)
    own = [{"PART": f"'of' {place}", "TF_CONFIG": '{"a": "b"}'} for place in range(3)]
    processes = [replace(each, variables=part) for each, part in zip(plan.processes, own, strict=True)]
    processes[1] = replace(processes[1], argv=(PYTHON, "-uc", f"{script}; print('own words'); time.sleep(600)"))
    job = await machine.runtime.launch(replace(plan, processes=tuple(processes)))
    await all_printed(machine, plan, "LOCALAML_NODE")
    await printed(machine, plan, "own words", "80_driver_log_worker_1.txt")
    await job.terminate(grace_seconds=10)
    places = (("worker_0", 0), ("worker_1", 1), ("ps_0", 0))
    for (name, place), part in zip(places, own, strict=True):
        node = machine.nodes[place]
        first, *more = machine.log(plan, f"80_driver_log_{name}.txt").splitlines()
        assert more == (["own words"] if name == "worker_1" else [])
        host_name, variables = eval(first)
        variables.pop("LC_CTYPE", None)
        assert machine.is_temporary(variables.pop("TMPDIR"), place)
        assert host_name == node.host_name
        assert variables == {
            "PATH": "/usr/bin:/bin",
            **given,
            **part,
            "LOCALAML_RUN_LABEL": "environment",
            "LOCALAML_STATE_DIR": str(machine.paths.root),
            "LOCALAML_NODE": node.node_id,
            "PWD": str(plan.run_dir / "work"),
        }
    assert machine.log(plan, "60_control_log_worker_1.txt").endswith("Worker:1\n")
    assert machine.log(plan, "60_control_log_ps_0.txt").endswith("Parameter server:0\n")


async def test_no_variable_is_on_a_command_line_or_in_a_file_of_everybody(machine: Machine) -> None:
    plan = machine.rendezvous_plan("secret", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    processes = tuple(replace(each, variables={"SECRET": "hunter2"}) for each in plan.processes)
    job = await machine.runtime.launch(replace(plan, processes=processes))
    await all_printed(machine, plan, "ready")
    lines = [Path(f"/proc/{number}/cmdline").read_bytes() for number in machine.processes(plan)]
    assert len(lines) >= 5 and not any(b"hunter2" in line for line in lines)
    assert (plan.run_dir / "control" / "processes.json").stat().st_mode & 0o077 == 0
    await job.terminate(grace_seconds=10)


async def test_servers_are_ended_with_the_last_worker_and_do_not_count(machine: Machine) -> None:
    script = (
        WHICH
        + """
import pathlib, signal, time
if which == 2:
    signal.signal(15, lambda *_: (print("told to end"), exit(9)))
    print("serving")
    time.sleep(600)
while which == 1 and not pathlib.Path("go").exists():
    time.sleep(0.01)
print("done")
"""
    )
    plan = machine.server_plan("servers", PYTHON, "-uc", script)
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "serving", "80_driver_log_ps_0.txt")
    await printed(machine, plan, "done", "80_driver_log_worker_0.txt")
    assert not (plan.run_dir / "control" / "ps_0.exit").exists()
    (plan.run_dir / "work" / "go").touch()
    result = await ended(job)
    assert result.succeeded and result.ranks == (RankExit(0, 0), RankExit(1, 0))
    assert "told to end" in machine.log(plan, "80_driver_log_ps_0.txt")
    assert (plan.run_dir / "control" / "ps_0.exit").read_text() == "9\n"
    assert not machine.processes(plan)


@pytest.mark.parametrize("how", ["exit(1)", "os.kill(os.getpid(), 9)"])
async def test_a_server_that_dies_early_fails_the_run(machine: Machine, how: str) -> None:
    plan = machine.server_plan("early", PYTHON, "-uc", WHICH + f"which == 2 and {how}; {FOREVER}")
    result = await ended(await machine.runtime.launch(plan))
    assert (result.reason, result.failed_rank, result.failed_log) == ("RANK_FAILED", 2, "80_driver_log_ps_0.txt")
    assert "Parameter server 0 of 1 (node cpu-0)" in result.error


async def test_a_server_may_end_well_by_itself(machine: Machine) -> None:
    script = WHICH + "import time; time.sleep(0 if which == 2 else 0.3)"
    assert (await ended(await machine.runtime.launch(machine.server_plan("polite", PYTHON, "-c", script)))).succeeded


async def test_no_server_at_all(machine: Machine) -> None:
    plan = machine.server_plan("workers", PYTHON, "-c", "")
    plan = replace(plan, processes=plan.processes[:2])
    assert (await ended(await machine.runtime.launch(plan))).succeeded


async def test_the_first_failure_is_told_and_not_those_that_it_caused(machine: Machine) -> None:
    script = (
        WHICH
        + """
import pathlib, time
if which == 2:
    exit(5)
while True:
    time.sleep(0.01)
"""
    )
    plan = machine.rendezvous_plan("first", PYTHON, "-c", script)
    result = await ended(await machine.runtime.launch(plan))
    assert "Rank 2 of 4 (node cpu-1) ended with exit code 5" in result.error
    assert [record.exit_code for record in result.ranks] == [143, 143, 5, 143]
    assert result.exit_code == 5


async def test_those_that_ignore_the_end_of_others_are_killed(machine: Machine) -> None:
    script = (
        WHICH
        + """
import pathlib, signal, time
signal.signal(15, signal.SIG_IGN)
print("ready")
while which or not pathlib.Path("go").exists():
    time.sleep(0.01)
exit(7)
"""
    )
    plan = machine.rendezvous_plan("stubborn", PYTHON, "-uc", script)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    (plan.run_dir / "work" / "go").touch()
    result = await ended(job)
    assert "Rank 0 of 4 (node cpu-0) ended with exit code 7" in result.error
    assert [record.exit_code for record in result.ranks] == [7, 137, 137, 137]


async def test_a_script_that_signals_its_group_means_its_own_processes(machine: Machine) -> None:
    script = WHICH + "import signal; signal.signal(15, signal.SIG_IGN); os.killpg(0, 15)"
    assert (await ended(await machine.runtime.launch(machine.server_plan("group", PYTHON, "-c", script)))).succeeded


async def test_records_survive_a_signal_to_the_launcher(machine: Machine) -> None:
    save = "import signal, time; signal.signal(15, lambda *_: exit(0)); print('ready'); time.sleep(600)"
    plan = machine.rendezvous_plan("told", PYTHON, "-uc", save)
    job = await machine.runtime.launch(plan)
    await all_printed(machine, plan, "ready")
    os.kill(machine.launcher(job), signal.SIGTERM)
    # It was told to end, and waits for the others to be told, too.
    done, _ = await asyncio.wait({asyncio.ensure_future(job.wait())}, timeout=0.2)
    assert not done
    machine.table.send(machine.own_processes(plan), signal.SIGTERM)
    assert (await ended(job)).succeeded


async def test_without_namespaces(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "state", NO_ISOLATION)
    # Without this the workers could have ended, and the server with them, before it has printed.
    script = (
        WHICH
        + """
import pathlib, time
print(which, flush=True)
if which == 2: pathlib.Path("printed").touch()
while not pathlib.Path("printed").exists(): time.sleep(0.01)
"""
    )
    plan = machine.server_plan("plain", PYTHON, "-c", script)
    assert (await ended(await machine.runtime.launch(plan))).succeeded
    assert machine.log(plan, "80_driver_log_ps_0.txt") == "2\n"
    await machine.runtime.close()
    assert not machine.left_behind()


async def test_logs_are_there_from_the_start(machine: Machine) -> None:
    plan = machine.server_plan("logs", PYTHON, "-c", FOREVER)
    job = await machine.runtime.launch(plan)
    names = {path.name for path in (plan.run_dir / "logs").iterdir()}
    assert names == {f"{kind}_{of}.txt" for kind in ("60_control_log", "80_driver_log") for of in _NAMES}
    await job.terminate(grace_seconds=0)


_NAMES = ("worker_0", "worker_1", "ps_0")


async def test_a_process_without_a_node(machine: Machine) -> None:
    plan = replace(machine.rendezvous_plan("nowhere", PYTHON), processes=(ProcessSpec(Role(RANK, 0, 2)),))
    with pytest.raises(FailedPrecondition, match="no node"):
        await machine.runtime.launch(plan)
