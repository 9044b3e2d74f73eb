"""TMPDIR of jobs: short enough for unix sockets, private, the run's own where it says so, and gone with the run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.compute.emulators import kill_emulator, start_emulator
from tests.compute.machine import FOREVER, KINDS, PYTHON, Machine, all_printed, driver_logs, ended

from localaml.compute.process.temporary_folders import TemporaryFolders

# What makes unix sockets below TMPDIR.
_SOCKETS = """
import multiprocessing, os, socket, stat, tempfile
if __name__ == "__main__":
    folder = os.environ["TMPDIR"]
    assert tempfile.gettempdir() == folder, (tempfile.gettempdir(), folder)
    assert len(folder) <= 40, folder
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.join(tempfile.mkdtemp(), "a-server-of-mine.sock"))
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(server.getsockname())
    with multiprocessing.Manager() as manager:
        shared = manager.dict(a=1)
        assert shared["a"] == 1
    context = multiprocessing.get_context("forkserver")
    with context.Pool(1) as pool:
        assert pool.map(abs, [-3]) == [3]
    print("well", folder)
"""


@pytest.mark.parametrize("kind", KINDS)
async def test_unix_sockets(machine: Machine, kind: str, tmp_path: Path) -> None:
    home = machine.another(tmp_path / "home" / "some-body" / ".local" / "share" / "localaml-of-mine")
    await home.start()
    plan = home.plan_of(kind, "0a1b2c3d4e5f-sockets", PYTHON, "-u", "sockets.py")
    (plan.run_dir / "work").mkdir(parents=True)
    (plan.run_dir / "work" / "sockets.py").write_text(_SOCKETS)
    result = await ended(await home.runtime.launch(plan))
    logs = [home.log(plan, name) for name in driver_logs(plan)[: len(result.ranks)]]
    assert result.succeeded, (result.error, logs)
    folders = {log.split()[-1] for log in logs}
    assert len(folders) == (1 if home.kind == "docker" else len(plan.nodes)), "one for each node"
    assert home.kind == "docker" or not any(Path(folder).exists() for folder in folders)
    left = home.left_behind()
    await home.runtime.end_leftovers(frozenset())
    await home.runtime.close()
    assert not left


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("long", [False, True], ids=["short", "too long for sockets"])
async def test_the_runs_own_is_respected(machine: Machine, kind: str, long: bool, tmp_path: Path) -> None:
    own = tmp_path / ("long" * 30 if long else "own")
    own.mkdir()
    script = "import os; print(os.environ['TMPDIR'])"
    plan = machine.plan_of(kind, "own", PYTHON, "-uc", script, environment={"TMPDIR": str(own)})
    result = await ended(await machine.runtime.launch(plan))
    assert result.succeeded, result.error
    counting = driver_logs(plan)[: len(result.ranks)]
    assert {machine.log(plan, name).strip() for name in counting} == {str(own)}
    assert own.is_dir() and not list(own.iterdir())


_TRAP = """
import os, sys
folder = os.environ["TMPDIR"]
os.makedirs(folder + "/closed/inner")
os.chmod(folder + "/closed", 0)
os.rename(folder, folder + "-aside")
os.symlink({outside!r}, folder)
print(folder, oct(os.stat(os.path.dirname(folder)).st_mode & 0o777))
"""


async def test_what_a_job_makes_of_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "state")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    plan = machine.plan("trap", PYTHON, "-uc", _TRAP.format(outside=str(outside)))
    assert (await ended(await machine.runtime.launch(plan))).succeeded
    folder, mode = machine.log(plan).split()
    assert mode == "0o700", "nobody else gets in"
    assert not Path(folder).parent.exists() and (outside / "file").exists()
    await machine.runtime.close()


async def test_it_is_found_again_after_a_kill(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "state")
    emulator, handle = start_emulator(
        machine, "ps", f"import os; print(os.environ['TMPDIR']); print('ready'); {FOREVER}"
    )
    plan = machine.server_plan("adopted")
    await all_printed(machine, plan, "ready")
    kill_emulator(emulator)
    folder = Path(machine.log(plan, "80_driver_log_worker_1.txt").split()[0])
    assert await machine.runtime.end_leftovers(frozenset({"adopted"})) == 0
    assert folder.is_dir(), "the run goes on"
    await machine.runtime.end_leftovers(frozenset())
    assert not folder.parent.exists() and not machine.left_behind()
    await ended(await machine.runtime.adopt(plan, handle))
    await machine.runtime.close()


def test_a_name_that_somebody_else_has_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["taken", "free"])
    monkeypatch.setattr("localaml.compute.process.temporary_folders.secrets.token_hex", lambda _: next(names))
    place = Path("/tmp") / f"t{os.getpid()}"
    place.mkdir()
    try:
        (place / "localaml-taken").symlink_to(tmp_path)
        folders = TemporaryFolders(tmp_path / "notes", [place])
        made = folders.make("run", 1)
        assert made == place / "localaml-free" and list(tmp_path.iterdir()) == [tmp_path / "notes"]
        assert folders.of("run") == [made]
        folders.remove_all_but(frozenset())
        assert os.listdir(place) == ["localaml-taken"] and not folders.all()  # noqa: PTH208
    finally:
        (place / "localaml-taken").unlink()
        place.rmdir()


def test_a_place_in_which_others_could_exchange_it_is_not_used(tmp_path: Path) -> None:
    open_to_all = Path("/tmp") / f"t{os.getpid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    try:
        folders = TemporaryFolders(tmp_path / "notes", [open_to_all, tmp_path / "missing"])
        assert folders.make("run", 1).parent == tmp_path / "notes"
        assert not list(open_to_all.iterdir())
        (tmp_path / "notes" / "localaml-half.note").write_text("/tmp/localaml-ha")
        folders.remove("run")
        assert not list((tmp_path / "notes").iterdir())
    finally:
        open_to_all.rmdir()
