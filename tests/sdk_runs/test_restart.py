"""The emulator is killed and started again while a run is followed."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulator_process import EmulatorProcess

SCRIPT = """
import os, time
from azureml.core import Run
run = Run.get_context()
for number in range(40):
    run.log("number", number)
    print("line", number, flush=True)
    if number == 10:
        open(os.environ["REACHED"], "w").close()
    time.sleep(0.05)
"""


def test_following_survives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from azureml.core import Experiment, ScriptRunConfig, Workspace

    reached = tmp_path / "reached"
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT)
    with EmulatorProcess(tmp_path / "state", tmp_path / "cache") as emulator:
        monkeypatch.setenv("LOCALAML_STATE_DIR", str(emulator.state_dir))
        monkeypatch.delenv("LOCALAML_ENDPOINT", raising=False)
        workspace = Workspace.create("ws", subscription_id="s", resource_group="g", show_output=False)
        config = ScriptRunConfig(str(source), "train.py")
        python = config.run_config.environment.python
        python.user_managed_dependencies, python.interpreter_path = True, sys.executable
        config.run_config.environment_variables = {"REACHED": str(reached)}
        run = Experiment(workspace, "exp").submit(config)
        failures: list[Any] = []

        def restart() -> None:
            try:
                from tests.support.waiting import wait_until

                wait_until(reached.exists, 30, "the script to come half-way")
                emulator.kill()
                emulator.start()
            except BaseException as error:
                failures.append(error)

        restarter = threading.Thread(target=restart)
        restarter.start()
        details = run.wait_for_completion(show_output=True)
        restarter.join()
        assert not failures
        assert details.status == "Completed"
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("line ")]
        assert lines == [f"line {number}" for number in range(40)]
        assert run.get_metrics() == {"number": list(range(40))}
