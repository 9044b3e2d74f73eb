"""`localaml run | compute | workspace`, on one emulator that the tests share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command_line import CommandLine

_SUBMIT = """
import sys
from azureml.core import Experiment, Workspace
from azureml.train.estimator import Estimator
workspace = Workspace.from_config()
estimator = Estimator(
    source_directory=sys.argv[2], entry_script="train.py", compute_target="local", user_managed=True
)
run = Experiment(workspace, sys.argv[1]).submit(estimator)
if "--wait" in sys.argv:
    run.wait_for_completion(raise_on_error=False)
print(run.id)
"""


def submit(cli: CommandLine, experiment: str, script: str, *options: str) -> str:
    """Submits a script by the SDK; returns the run's id."""
    source = cli.home / f"source-{experiment}"
    source.mkdir(exist_ok=True)
    (source / "train.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-c", _SUBMIT, experiment, str(source), *options],
        env=cli.environment,
        cwd=cli.home,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def finished(running: CommandLine) -> str:
    script = (
        "import os\n"
        "print('line one')\n"
        "print('\\x1b[31mred\\x1b[0m')\n"
        "os.makedirs('outputs/deep', exist_ok=True)\n"
        "open('outputs/deep/model.bin', 'wb').write(b'\\0\\1' * 5000)\n"
    )
    return submit(running, "finished", script, "--wait")


def test_list_shows_runs_newest_first(running: CommandLine, finished: str) -> None:
    later = submit(running, "later", "pass", "--wait")
    assert [run["runId"] for run in running.json("run", "list")][:2] == [later, finished]
    assert [run["runId"] for run in running.json("run", "list", "-n", "1")] == [later]
    assert [run["runId"] for run in running.json("run", "list", "-e", "finished")] == [finished]
    header, row = running.succeed("run", "list", "-e", "finished").splitlines()
    assert header.split()[:4] == ["RUN", "ID", "EXPERIMENT", "NO"]
    assert row.split()[:4] == [finished, "finished", "1", "Completed"]


def test_show(running: CommandLine, finished: str) -> None:
    shown = running.succeed("run", "show", finished)
    assert "Completed" in shown and "train.py" in shown
    run = running.json("run", "show", finished)
    assert (run["runId"], run["state"]) == (finished, "RUN_STATE_COMPLETED")


def test_logs_pass_bytes_on_as_they_are(running: CommandLine, finished: str) -> None:
    wanted = "line one\n\x1b[31mred\x1b[0m\n"
    assert running.succeed("run", "logs", finished) == wanted
    assert running.succeed("run", "logs", "-f", finished) == wanted
    assert running.succeed("run", "logs", finished, "--log", "80_driver_log.txt") == wanted
    told = running.fail("run", "logs", finished, "--log", "no.txt")
    assert "no log no.txt" in told and "azureml-logs/80_driver_log.txt" in told


def test_files_and_download(running: CommandLine, finished: str, tmp_path: Path) -> None:
    (listed,) = running.json("run", "files", finished, "--prefix", "outputs/")
    assert (listed["path"], listed["sizeBytes"]) == ("outputs/deep/model.bin", "10000")
    assert "9.8 KiB" in running.succeed("run", "files", finished)
    running.succeed("run", "download", finished, "--to", str(tmp_path / "all"))
    assert (tmp_path / "all/outputs/deep/model.bin").read_bytes() == b"\0\1" * 5000
    assert (tmp_path / "all/azureml-logs/80_driver_log.txt").read_text().startswith("line one\n")
    running.succeed("run", "download", finished, "outputs/deep/model.bin", "--to", str(tmp_path / "one"))
    assert [path.name for path in (tmp_path / "one").rglob("*") if path.is_file()] == ["model.bin"]


def test_a_download_that_cannot_be(running: CommandLine, finished: str, tmp_path: Path) -> None:
    assert "outputs/nothing" in running.fail("run", "download", finished, "outputs/nothing", "--to", str(tmp_path))
    assert "no such files" in running.fail("run", "download", finished, "--prefix", "nothing/", "--to", str(tmp_path))
    # A link in the target folder must not lead the files elsewhere.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "outputs").symlink_to(tmp_path / "elsewhere")
    assert "leads out of" in running.fail(
        "run", "download", finished, "--prefix", "outputs/", "--to", str(tmp_path / "target")
    )
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_following_a_run_to_its_end(running: CommandLine) -> None:
    gate = running.home / "gate"
    script = (
        "import pathlib, sys, threading\n"
        "print('waiting', flush=True)\n"
        f"while not pathlib.Path({str(gate)!r}).exists(): threading.Event().wait(0.01)\n"
        "print('done', flush=True)\n"
        "sys.exit(3)\n"
    )
    run_id = submit(running, "followed", script)
    follower = subprocess.Popen(
        running.words("run", "logs", "-f", run_id),
        env=running.environment,
        cwd=running.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "waiting\n"
    gate.touch()
    out, err = follower.communicate(timeout=60)
    assert follower.returncode == 0
    assert out == "done\n"
    assert f"{run_id}: Failed" in err.splitlines()[-1]
    assert "Failed" in running.succeed("run", "show", run_id)


def test_cancel(running: CommandLine) -> None:
    run_id = submit(running, "canceled", "import threading; threading.Event().wait(600)")
    assert running.succeed("run", "cancel", run_id, "--wait") == f"{run_id}: Canceled\n"
    assert "Canceled" in running.succeed("run", "show", run_id)
    assert "has ended (Canceled)" in running.fail("run", "cancel", run_id)


def test_a_run_that_does_not_exist(running: CommandLine) -> None:
    for words in (["show"], ["logs"], ["logs", "-f"], ["cancel"], ["files"], ["download"]):
        assert "no_such_run" in running.fail("run", *words, "no_such_run")


def test_clusters(running: CommandLine) -> None:
    running.succeed("compute", "create", "cpu", "--max-nodes", "3", "--vm-size", "Standard_D3_v2")
    running.succeed("compute", "resize", "cpu", "--min-nodes", "2", "--max-nodes", "4", "--idle-seconds", "60")
    cluster = running.json("compute", "show", "cpu")
    assert cluster["scaleSettings"] == {"minNodeCount": 2, "maxNodeCount": 4, "idleSecondsBeforeScaledown": 60}
    assert len(cluster["nodes"]) == 2
    assert "2 to 4 nodes" in running.succeed("compute", "show", "cpu")
    assert [found["vmSize"] for found in running.json("compute", "list")] == ["Standard_D3_v2"]
    assert running.json("status")["cluster_count"] == 1
    running.succeed("compute", "delete", "cpu")
    assert running.json("compute", "list") == []
    assert "There are no clusters" in running.run("compute", "list").stderr


def test_clusters_with_bad_input(running: CommandLine) -> None:
    assert "cpu_1" in running.fail("compute", "create", "cpu_1")
    assert "HUGE" in running.fail("compute", "create", "big", "--vm-size", "HUGE")
    running.fail("compute", "create", "few", "--min-nodes", "3", "--max-nodes", "2")
    assert "missing" in running.fail("compute", "show", "missing")
    assert "missing" in running.fail("compute", "delete", "missing")
    assert "Nothing to change" in running.fail("compute", "resize", "cpu", code=2)
    running.fail("compute", "create", "cpu", "--min-nodes", "-1", code=2)


def test_which_workspace(running: CommandLine, tmp_path: Path) -> None:
    assert [name.split()[0] for name in running.succeed("workspace", "list").splitlines()[1:]] == ["local-workspace"]
    # Without a config.json it is the only one; with two of them somebody has to choose.
    running.succeed("compute", "list", cwd=tmp_path)
    running.succeed("workspace", "create", "second", "--location", "westeurope")
    assert "local-workspace, second" in running.fail("compute", "list", cwd=tmp_path, code=2)
    running.succeed("compute", "list", "-w", "second", cwd=tmp_path)
    running.succeed("compute", "list")
    assert "already" in running.fail("workspace", "create", "second")
    running.succeed("workspace", "create", "second", "--exist-ok")
    assert "There is no such workspace" in running.fail("compute", "list", "-w", "third", cwd=tmp_path)
    missing = running.fail("compute", "list", "-w", "third", "-g", "g", "--subscription-id", "s", cwd=tmp_path)
    assert "third" in missing


def test_a_reader_that_goes_away(running: CommandLine) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m localaml.cli run list -o json | true"],
        env=running.environment,
        cwd=running.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
