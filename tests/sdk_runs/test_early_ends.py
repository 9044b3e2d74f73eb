"""How callers end runs: `complete`, `fail` and `cancel`, inside and outside of blocks, over both transports."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.sdk_runs.conftest import Submit
from tests.support.emulator_process import EmulatorProcess
from tests.support.waiting import wait_until

from azureml.exceptions import UserErrorException
from localaml.testing import wait_for_state

if TYPE_CHECKING:
    from azureml.core import Experiment, Run

# Says that it works, saves when it is told to end, and says when it has done so.
SCRIPT = """
import os, pathlib, signal, sys, time
def save(*_):
    pathlib.Path("outputs/saved.txt").write_text("step 7")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("at work", os.getpid(), flush=True)
pathlib.Path("process").write_text(str(os.getpid()))
pathlib.Path(os.environ["REACHED"]).write_text(str(os.getpid()))
time.sleep(600)
"""


@pytest.fixture(params=["grpc", "http"], autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LOCALAML_TRANSPORT", request.param)
    return str(request.param)


def error_of(run: Run) -> tuple[str, str]:
    error = run.get_details()["error"]["error"]
    return error["code"], error["message"]


def is_gone(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    return False


def at_work(reached: Path) -> int:
    wait_until(lambda: reached.exists() and reached.read_text() != "", 60, "the script to be at work")
    return int(reached.read_text())


def test_a_submitted_run_is_failed_at_once_and_its_processes_end(submit: Submit, tmp_path: Path) -> None:
    from azureml.core import RunConfiguration

    settings, reached = RunConfiguration(), tmp_path / "reached"
    settings.environment_variables = {"REACHED": str(reached)}
    run = submit(SCRIPT, run_config=settings)
    process_id = at_work(reached)
    run.fail("the loss is no number", error_code="NAN")
    assert run.status == "Failed"
    assert run.get_status() == "Failed"
    assert error_of(run) == ("NAN", "the loss is no number")
    wait_until(lambda: is_gone(process_id), 60, "the end of its processes")
    wait_until(lambda: "outputs/saved.txt" in run.get_file_names(), 60, "what it saved at SIGTERM")
    assert error_of(run) == ("NAN", "the loss is no number")
    with pytest.raises(UserErrorException, match="cannot be canceled any more"):
        run.cancel()
    with pytest.raises(UserErrorException, match="cannot be completed any more"):
        run.complete()


def test_a_submitted_run_that_is_completed_can_be_failed(submit: Submit) -> None:
    run = submit("print('well')")
    assert wait_for_state(run, "Completed") == "Completed"
    run.complete()
    run.fail(ValueError("the model is useless"))
    assert run.get_status() == "Failed"
    assert error_of(run) == ("UserError", "ValueError: the model is useless")
    run.fail()
    assert error_of(run) == ("UserError", "ValueError: the model is useless"), "what is known stays"


def test_an_end_inside_the_block_stays(experiment: Experiment) -> None:
    with experiment.start_logging(snapshot_directory=None) as completed:
        completed.complete()
        completed.complete()
        with completed.child_run("child") as child:
            child.complete()
    assert (completed.get_status(), child.get_status()) == ("Completed", "Completed")
    with experiment.start_logging(snapshot_directory=None) as failed:
        failed.fail("no data", "DATA")
    assert failed.get_status() == "Failed"
    assert error_of(failed) == ("DATA", "no data")
    with experiment.start_logging(snapshot_directory=None) as canceled:
        canceled.cancel()
    assert canceled.get_status() == "Canceled"


def test_an_end_by_somebody_else_does_not_raise_at_the_end_of_the_block(experiment: Experiment) -> None:
    from azureml.core import Run

    with experiment.start_logging(snapshot_directory=None) as run:
        Run(experiment, run.id).cancel()
    assert run.get_status() == "Canceled"
    with experiment.start_logging(snapshot_directory=None) as run:
        Run(experiment, run.id).fail("from outside")
    assert error_of(run) == ("UserError", "from outside")


def test_an_exception_in_the_block_is_what_is_raised(experiment: Experiment) -> None:
    with pytest.raises(ZeroDivisionError), experiment.start_logging(snapshot_directory=None) as run:
        run.cancel()
        raise ZeroDivisionError
    assert run.get_status() == "Canceled"
    with pytest.raises(ValueError, match="late"), experiment.start_logging(snapshot_directory=None) as run:
        run.complete()
        raise ValueError("late")
    assert run.get_status() == "Failed"
    assert error_of(run) == ("UserError", "ValueError: late")
    with pytest.raises(ValueError, match="late"), experiment.start_logging(snapshot_directory=None) as run:
        run.fail("first")
        raise ValueError("late")
    assert error_of(run) == ("UserError", "first")


def test_a_run_that_was_failed_stays_so_over_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    from azureml.core import Experiment, ScriptRunConfig, Workspace

    source, reached = tmp_path / "source", tmp_path / "reached"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT.replace("sys.exit(0)", "time.sleep(600)"))
    with EmulatorProcess(tmp_path / "state", tmp_path / "cache", cancel_grace_seconds=300.0) as emulator:
        monkeypatch.setenv("LOCALAML_STATE_DIR", str(emulator.state_dir))
        monkeypatch.delenv("LOCALAML_ENDPOINT", raising=False)
        workspace = Workspace.create("ws", subscription_id="s", resource_group="g", show_output=False)
        config = ScriptRunConfig(str(source), "train.py")
        python = config.run_config.environment.python
        python.user_managed_dependencies, python.interpreter_path = True, sys.executable
        config.run_config.environment_variables = {"REACHED": str(reached)}
        run = Experiment(workspace, "exp").submit(config)
        process_id = at_work(reached)
        run.fail("no good", error_code="MINE")
        emulator.kill()
        assert not is_gone(process_id), "it has its grace"
        emulator.settings["cancel_grace_seconds"] = 0.2
        emulator.start()
        wait_until(lambda: is_gone(process_id), 60, "the end of its processes")
        assert run.get_status() == "Failed"
        assert error_of(run) == ("MINE", "no good")
