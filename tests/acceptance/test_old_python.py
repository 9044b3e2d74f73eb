"""Jobs and clients on Python 3.6 and 3.7 with nothing installed: the standard library is enough for the SDK."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulator_process import EmulatorProcess
from tests.support.old_pythons import need_python

CLIENT = """
import sys
assert sys.version_info[:2] == (3, int(sys.argv[3])), sys.version
from azureml.core import Experiment, Workspace
from azureml.train.estimator import Estimator
ws = Workspace.get(sys.argv[1], subscription_id="tests", resource_group="group")
run = Experiment(ws, "from-old").submit(
    Estimator(source_directory=sys.argv[2], entry_script="train.py", compute_target="local"))
run.wait_for_completion(show_output=True)
assert run.get_status() == "Completed", run.get_details()
assert run.get_metrics() == {"loss": [0.5, 0.25], "version": 3}, run.get_metrics()
run.download_file("outputs/model.txt", sys.argv[2] + "/../model.txt")
"""
SCRIPT = """
import sys
from azureml.core import Run
run = Run.get_context()
run.log("loss", 0.5)
run.log("loss", 0.25)
run.log("version", sys.version_info[0])
run.tag("minor", str(sys.version_info[1]))
for name in ("grpc", "google.protobuf"):
    try:
        __import__(name)
    except ImportError:
        continue
    sys.exit(name + " is installed: this proves nothing")
open("outputs/model.txt", "w").write("model")
print("trained on", sys.version.split()[0])
"""


@pytest.fixture(params=["3.6", "3.7"])
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def python(version: str) -> str:
    return need_python(version)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    return folder


def test_a_job_on_old_python_logs(workspace: Any, source: Path, python: str, version: str) -> None:
    from azureml.core import Experiment, ScriptRunConfig
    from azureml.core.runconfig import RunConfiguration

    settings = RunConfiguration()
    settings.environment.python.user_managed_dependencies = True
    settings.environment.python.interpreter_path = python
    settings.target = "local"
    run = Experiment(workspace, "old").submit(ScriptRunConfig(str(source), script="train.py", run_config=settings))
    run.wait_for_completion()
    assert run.get_metrics() == {"loss": [0.5, 0.25], "version": 3}
    assert run.get_tags()["minor"] == version[2:]
    assert "outputs/model.txt" in run.get_file_names()


def test_a_client_on_old_python_does_the_main_job(
    workspace: Any, source: Path, python: str, version: str, connected: EmulatorProcess, tmp_path: Path
) -> None:
    sdk = Path(__file__).parents[2] / "sdk"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(sdk),
        "LOCALAML_STATE_DIR": str(connected.state_dir),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [
            python,
            "-W",
            "error",
            "-W",
            "ignore::PendingDeprecationWarning",
            "-c",
            CLIENT,
            workspace.name,
            str(source),
            version[2:],
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trained on" in done.stdout
    assert (tmp_path / "model.txt").read_text() == "model"
