"""The ways to give processes their node's host name: as root, as an ordinary user, and where the kernel allows none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compute.machine import OPEN_MPI, PYTHON, Machine, ended

from localaml.compute.process.isolation import NO_ISOLATION, Isolation, probe_isolation

_ROOT = Path(__file__).parents[2]
_NOBODY = 65534
_RANKS_REPORT = """
import os
from mpi4py import MPI
world = MPI.COMM_WORLD
local = [os.environ[f"OMPI_COMM_WORLD_LOCAL_{what}"] for what in ("RANK", "SIZE")]
print(world.rank, MPI.Get_processor_name(), *local, world.allreduce(world.rank + 1), os.environ["LOCALAML_NODE"])
"""


async def _report(machine: Machine) -> list[list[str]]:
    """What four ranks on two nodes say of themselves."""
    plan = machine.mpi_plan("report", PYTHON, "-c", _RANKS_REPORT, environment=_PATHS)
    result = await ended(await machine.runtime.launch(plan))
    assert result.succeeded, result.error
    return [machine.log(plan, f"80_driver_log_rank_{rank}.txt").split() for rank in range(4)]


# The packages of this environment, for an interpreter that may not be this environment's.
_PATHS = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "LOCALAML_TEST_OPEN_MPI" in os.environ else {}


async def test_without_namespaces(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "state", NO_ISOLATION)
    single = machine.plan("single", PYTHON, "-c", "import os; print(os.uname().nodename)")
    assert (await ended(await machine.runtime.launch(single))).succeeded
    here = os.uname().nodename
    assert machine.log(single).split() == [here]
    # The machine's name shows through; everything else is as on nodes of their own.
    assert await _report(machine) == [
        [str(rank), here, str(rank % 2), "2", "10", f"node-{rank // 2}"] for rank in range(4)
    ]
    assert not machine.left_behind()
    await machine.runtime.close()


def test_the_probe_finds_a_way_that_works_here() -> None:
    isolation = probe_isolation()
    assert isolation.name in ("uts", "user", "none")
    assert isolation.names_hosts == bool(isolation.enter)


def test_no_tools_means_no_namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("localaml.compute.process.isolation._TOOL_PATH", str(tmp_path))
    assert probe_isolation() is NO_ISOLATION
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    shutil.copy("/bin/sh", tmp_path / "hostname")
    assert probe_isolation() is NO_ISOLATION


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder that an ordinary user may use."""
    folder = Path(tempfile.mkdtemp(prefix="localaml-test-"))
    os.chown(folder, _NOBODY, _NOBODY)
    yield folder
    shutil.rmtree(folder)


# Run as an ordinary user: prints how processes got their names, what a job sees, and what was left behind.
_AS_NOBODY = """
import asyncio, json, sys
from pathlib import Path
from tests.compute.machine import Machine, PYTHON, ended
from tests.compute.test_isolation import _PATHS, _report

async def main():
    machine = Machine(Path(sys.argv[1]) / "state")
    script = "import os; print(os.uname().nodename, os.getuid()); print(open('/proc/self/status').read())"
    plan = machine.plan("single", PYTHON, "-c", script, environment=_PATHS)
    single = await ended(await machine.runtime.launch(plan))
    sleeper = machine.mpi_plan("sleeper", PYTHON, "-uc", "print('ready'); import time; time.sleep(600)")
    job = await machine.runtime.launch(sleeper)
    ranks = await _report(machine)
    await job.terminate(grace_seconds=10)
    told = {"isolation": machine.runtime._isolation.name, "single": single.succeeded, "log": machine.log(plan),
            "ranks": ranks, "left": str(machine.left_behind())}
    await machine.runtime.close()
    print(json.dumps(told))

asyncio.run(main())
"""


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root, to become somebody else")
def test_as_an_ordinary_user(nobodys_folder: Path) -> None:
    become = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--"]
    # setpriv itself keeps root's rights up to the program that it starts.
    become += ["/bin/sh", "-c", 'exec "$@"', "sh"]
    version = f"import sys; raise SystemExit(sys.version_info[:2] != {sys.version_info[:2]})"
    usable = [
        python
        for python in (PYTHON, "/usr/bin/python3")
        if subprocess.run([*become, python, "-c", version], capture_output=True, check=False).returncode == 0
    ]
    if not usable:
        pytest.skip("no Python of this version that an ordinary user may start")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in [str(_ROOT), *sys.path] if path and "/root/" not in path),
        "LOCALAML_TEST_OPEN_MPI": str(OPEN_MPI),
    }
    done = subprocess.run(
        [*become, usable[0], "-c", _AS_NOBODY, str(nobodys_folder)],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["single"] and told["left"] == "{}"
    log = told["log"].split()
    status = dict(line.split(":\t", 1) for line in told["log"].splitlines()[1:] if ":\t" in line)
    assert log[1] == str(_NOBODY)
    # Nothing of what it takes to set the host name is left to the job.
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    named = told["isolation"] == "user"
    assert told["isolation"] in ("user", "none")
    assert log[0] == ("cpu-0" if named else os.uname().nodename)
    for rank, line in enumerate(told["ranks"]):
        host = f"cpu-{rank // 2}" if named else os.uname().nodename
        assert line == [str(rank), host, str(rank % 2), "2", "10", f"node-{rank // 2}"]


async def test_a_user_namespace_works_for_root_too(tmp_path: Path) -> None:
    tools = {name: shutil.which(name) for name in ("unshare", "hostname", "setpriv")}
    enter = (str(tools["unshare"]), "--user", "--map-current-user", "--keep-caps", "--uts")
    if None in tools.values() or subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel allows no user namespaces")
    machine = Machine(tmp_path / "state", Isolation("user", enter, str(tools["hostname"])))
    assert [line[1] for line in await _report(machine)] == ["cpu-0", "cpu-0", "cpu-1", "cpu-1"]
    assert not machine.left_behind()
    await machine.runtime.close()
