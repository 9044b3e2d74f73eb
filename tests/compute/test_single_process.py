"""Runs of one process, real ones."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.compute.machine import FOREVER, PYTHON, Machine, ended, printed

from localaml.compute.runtime import RankExit
from localaml.errors import FailedPrecondition, InvalidArgument, ResourceExhausted


async def test_a_script_that_ends_well(machine: Machine) -> None:
    plan = machine.plan("good", PYTHON, "-c", "import sys; print('out'); print('err', file=sys.stderr)")
    job = await machine.runtime.launch(plan)
    result = await ended(job)
    assert result.succeeded and result.exit_code == 0 and result.ranks == (RankExit(0, 0),)
    assert sorted(machine.log(plan).split()) == ["err", "out"]
    assert await ended(job) is result


async def test_an_exit_code(machine: Machine) -> None:
    result = await ended(await machine.runtime.launch(machine.plan("three", PYTHON, "-c", "raise SystemExit(3)")))
    assert (result.reason, result.exit_code, result.failed_rank) == ("USER_SCRIPT_FAILED", 3, 0)
    assert "exit code 3" in result.error and not result.succeeded


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_a_signal(machine: Machine, number: signal.Signals) -> None:
    script = f"import os; os.kill(os.getpid(), {int(number)})"
    result = await ended(await machine.runtime.launch(machine.plan("signal", PYTHON, "-c", script)))
    assert (result.reason, result.exit_code) == ("PROCESS_KILLED", 128 + number)
    assert number.name in result.error


async def test_everything_killed_at_once_leaves_no_record(machine: Machine) -> None:
    plan = machine.plan("gone", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    os.killpg(machine.launcher(job), signal.SIGKILL)
    result = await ended(job)
    assert (result.reason, result.exit_code, result.ranks) == ("PROCESS_KILLED", None, ())


async def test_the_launcher_killed_takes_the_script_along(machine: Machine) -> None:
    plan = machine.plan("orphan", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    os.kill(machine.launcher(job), signal.SIGKILL)
    result = await ended(job)
    assert (result.reason, result.exit_code) == ("PROCESS_KILLED", None)
    assert not machine.processes(plan)


async def test_the_record_survives_a_signal_to_the_whole_group(machine: Machine) -> None:
    script = "import signal, time; signal.signal(15, lambda *_: exit(7)); print('ready'); time.sleep(600)"
    plan = machine.plan("group", PYTHON, "-uc", script)
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    os.killpg(machine.launcher(job), signal.SIGTERM)
    assert (await ended(job)).exit_code == 7


async def test_half_a_record_is_none(machine: Machine) -> None:
    plan = machine.plan("half", PYTHON, "-c", "")
    job = await machine.runtime.launch(plan)
    await ended(job)
    for half in ("0", ""):
        (plan.run_dir / "control" / "exit").write_text(half)
        result = await ended(await machine.runtime.adopt(plan, job.handle))
        assert (result.reason, result.exit_code) == ("PROCESS_KILLED", None)
        assert "disk full" in result.error


async def test_output_of_any_size_and_kind(machine: Machine) -> None:
    script = "import os\nfor _ in range(1600): os.write(1, bytes(range(256)) * 256)"
    plan = machine.plan("large", PYTHON, "-c", script)
    assert (await ended(await machine.runtime.launch(plan))).succeeded
    content = (plan.run_dir / "logs" / "80_driver_log.txt").read_bytes()
    assert content == bytes(range(256)) * 256 * 1600


async def test_the_environment_is_the_plans(machine: Machine) -> None:
    given = {
        "A": "x y'\"$(true)`\n;",
        "EMPTY": "",
        "UMLAUT": "\u00e4\u20ac",
        # Names that the launcher's shell might use, or lose.
        "control": "mine",
        "IFS": "abc",
        "1": "digit",
        "with-dash.and.dot": "se cret",
    }
    script = "import os; print(ascii({k: v for k, v in os.environ.items() if k != 'LC_CTYPE'}))"
    plan = machine.plan("environment", PYTHON, "-c", script, environment=given)
    assert (await ended(await machine.runtime.launch(plan))).succeeded
    node = machine.nodes[0]
    variables = eval(machine.log(plan))
    assert machine.is_temporary(variables.pop("TMPDIR"), 0)
    assert variables == {
        "PATH": "/usr/bin:/bin",
        **given,
        "LOCALAML_RUN_LABEL": "environment",
        "LOCALAML_STATE_DIR": str(machine.paths.root),
        "LOCALAML_NODE": node.node_id,
        "PWD": str(plan.run_dir / "work"),
    }


async def test_where_it_runs(machine: Machine) -> None:
    script = "import os, socket, sys, tempfile; print(os.getcwd(), socket.gethostname(), tempfile.gettempdir())"
    plan = machine.plan("place", PYTHON, "-c", script + "; print(sys.stdin.read() == '', os.getsid(0) != os.getpid())")
    assert (await ended(await machine.runtime.launch(plan))).succeeded
    run = plan.run_dir
    work, host, temporary, *answers = machine.log(plan).split()
    assert [work, host, *answers] == [str(run / "work"), "cpu-0", "True", "True"]
    assert machine.is_temporary(temporary, 0)
    assert os.uname().nodename != "cpu-0"


async def test_arguments_arrive_as_they_are(machine: Machine) -> None:
    words = ["a b", "'", '"', "$HOME", "*", "", ":", "\\", "--", "l1\nl2"]
    plan = machine.plan("words", PYTHON, "-c", "import sys; print(ascii(sys.argv[1:]))", *words)
    assert (await ended(await machine.runtime.launch(plan))).succeeded
    assert eval(machine.log(plan)) == words


async def test_children_left_behind_are_ended(machine: Machine) -> None:
    script = f"""
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "{FOREVER}"])  # in the session, label in the environment
subprocess.Popen([sys.executable, "-c", "{FOREVER}"], env={{}})  # in the session, no label
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:  # a daemon: no session, no parent, but the label
        os.execv(sys.executable, [sys.executable, "-c", "{FOREVER}"])
    os._exit(0)
os.wait()
print("ready")
"""
    plan = machine.plan("children", PYTHON, "-c", script)
    result = await ended(await machine.runtime.launch(plan))
    assert result.succeeded and machine.log(plan) == "ready\n"
    assert not machine.processes(plan)


async def test_cancel_ends_a_sleeping_script_at_once(machine: Machine) -> None:
    plan = machine.plan("sleeping", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    await asyncio.wait_for(job.terminate(grace_seconds=60), 10)
    assert (await ended(job)).exit_code == 128 + signal.SIGTERM
    await job.terminate(grace_seconds=60)


async def test_cancel_gives_grace_to_all_and_then_kills(machine: Machine) -> None:
    ignore = "import signal; signal.signal(15, signal.SIG_IGN)"
    late = "import signal, time; signal.signal(15, lambda *_: (time.sleep(0.2), print('child saved'), exit(0)))"
    script = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-uc", "{late}; print('child ready'); time.sleep(600)"])
subprocess.Popen([sys.executable, "-uc", "{ignore}; print('stubborn ready'); {FOREVER}"])
time.sleep(600)
"""
    plan = machine.plan("grace", PYTHON, "-uc", script)
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "child ready")
    await printed(machine, plan, "stubborn ready")
    await asyncio.wait_for(job.terminate(grace_seconds=1.0), 10)
    result = await ended(job)
    # The main process went at once; its child used the grace; what ignored the request was killed.
    assert result.exit_code == 128 + signal.SIGTERM
    assert "child saved" in machine.log(plan)
    assert not machine.processes(plan)


async def test_a_lost_node(machine: Machine) -> None:
    plan = machine.plan("lost", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    await job.lose_node("node-0")
    result = await ended(job)
    assert result.reason == "NODE_LOST" and "node-0" in result.error


async def test_stopping_a_node_ends_what_is_on_it(machine: Machine) -> None:
    here, other = machine.nodes
    for node in (here, other, here):
        await machine.runtime.start_node(node)
    plan = machine.plan("stopped", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    plan_elsewhere = replace(machine.plan("goes-on", PYTHON, "-uc", f"print('ready'); {FOREVER}"), nodes=(other,))
    job, job_elsewhere = await machine.runtime.launch(plan), await machine.runtime.launch(plan_elsewhere)
    await printed(machine, plan, "ready")
    await printed(machine, plan_elsewhere, "ready")
    await machine.runtime.stop_node(here)
    await machine.runtime.stop_node(here)
    assert (await ended(job)).reason == "PROCESS_KILLED"
    assert machine.processes(plan_elsewhere)
    assert not machine.paths.node("w1", "cpu", "node-0").exists()
    assert machine.paths.node("w1", "cpu", "node-1").is_dir()
    await job_elsewhere.terminate(grace_seconds=0)


async def test_two_state_dirs_do_not_see_each_other(machine: Machine) -> None:
    other = machine.another(machine.paths.root.parent / "other")
    await other.start()
    plan, twin = (each.plan("twin", PYTHON, "-uc", f"print('ready'); {FOREVER}") for each in (machine, other))
    job, twin_job = await machine.runtime.launch(plan), await other.runtime.launch(twin)
    await printed(machine, plan, "ready")
    await printed(other, twin, "ready")
    assert await machine.runtime.end_leftovers(frozenset()) == {"process": 2, "docker": 1}[machine.kind]
    assert (await ended(job)).reason == "PROCESS_KILLED"
    assert other.processes(twin)
    await twin_job.terminate(grace_seconds=0)
    await other.runtime.end_leftovers(frozenset())
    await other.runtime.close()
    assert not other.left_behind()


async def test_leftovers_without_an_environment_are_ended_with_their_session(machine: Machine) -> None:
    """As a process is for a moment when it becomes another program, and as it stays when it drops its variables."""
    start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {FOREVER!r}], env={{}})"
    script = f"{start}; print('ready'); {FOREVER}"
    job = await machine.runtime.launch(machine.plan("bare", PYTHON, "-uc", script))
    await printed(machine, machine.plan("bare"), "ready")
    session = machine.launcher(job)
    assert len(machine.table.find({}, session=session)) == 3
    await machine.runtime.end_leftovers(frozenset())
    assert machine.table.find({}, session=session) == []
    await ended(job)


async def test_a_run_that_has_hardly_begun_ends_without_its_whole_grace(machine: Machine) -> None:
    """The launcher lives through SIGTERM, and the program that it then starts is told to end, too."""
    for number in range(12):
        job = await machine.runtime.launch(machine.plan(f"early-{number}", PYTHON, "-uc", FOREVER))
        for _ in range(number):
            await asyncio.sleep(0.0005)
        began = time.monotonic()
        await job.terminate(grace_seconds=20)
        assert time.monotonic() - began < 10
        assert not (await ended(job)).succeeded


async def test_a_program_that_is_not_there(machine: Machine) -> None:
    with pytest.raises(FailedPrecondition, match="interpreter") as caught:
        await machine.runtime.launch(machine.plan("missing", "/no/such/python", "train.py"))
    assert caught.value.reason == "LAUNCH_FAILED"
    plan = machine.plan("unknown", "no-such-program")
    result = await ended(await machine.runtime.launch(plan))
    assert result.exit_code == 127 and "not found" in machine.log(plan)


async def test_words_and_variables_that_no_process_can_have(machine: Machine) -> None:
    for plan in (
        machine.plan("word", PYTHON, "a\0b"),
        machine.plan("value", PYTHON, environment={"A": "\0"}),
        machine.plan("name", PYTHON, environment={"A=B": ""}),
        machine.plan("empty", PYTHON, environment={"": "x"}),
    ):
        with pytest.raises(InvalidArgument):
            await machine.runtime.launch(plan)


async def test_host_names_that_no_node_can_have(machine: Machine) -> None:
    for name in ("", "a b", "a.b", "-a", "a" * 64, "a/b"):
        with pytest.raises(InvalidArgument, match="host name"):
            await machine.runtime.start_node(replace(machine.nodes[0], host_name=name))


async def test_no_room_for_the_files_of_a_run(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    plan = machine.plan("full", PYTHON, "-c", "")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", full)
        with pytest.raises(ResourceExhausted) as caught:
            await machine.runtime.launch(plan)
    assert caught.value.reason == "DISK_FULL"
    assert (await ended(await machine.runtime.launch(plan))).succeeded


async def test_a_second_launch_is_not_judged_by_the_first(machine: Machine) -> None:
    assert (await ended(await machine.runtime.launch(machine.plan("again", PYTHON, "-c", "")))).succeeded
    plan = machine.plan("again", PYTHON, "-uc", f"print('ready'); {FOREVER}")
    job = await machine.runtime.launch(plan)
    await printed(machine, plan, "ready")
    os.killpg(machine.launcher(job), signal.SIGKILL)
    assert not (await ended(job)).succeeded


async def test_no_descriptor_is_left_open(machine: Machine) -> None:
    async def run(number: int) -> None:
        job = await machine.runtime.launch(machine.plan(f"fd-{number}", "/bin/true"))
        assert (await ended(job)).succeeded
        if machine.kind == "process":
            with pytest.raises(ChildProcessError):  # no corpse either
                os.waitpid(job.handle["pid"], os.WNOHANG)

    await run(0)
    before = len(list(Path("/proc/self/fd").iterdir()))
    if machine.kind == "process":
        await asyncio.gather(*(run(number) for number in range(1, 9)))
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    else:
        # A container has one run at a time. What the engine is asked in the background has connections of its own.
        for number in range(1, 9):
            await run(number)
        assert len(list(Path("/proc/self/fd").iterdir())) < before + 4
