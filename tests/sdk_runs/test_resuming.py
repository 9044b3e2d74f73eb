"""`resume_from`: a run goes on from the checkpoint that an earlier one has left in its outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from azureml.core import ScriptRunConfig
from azureml.exceptions import UserErrorException
from azureml.train.estimator import Estimator

if TYPE_CHECKING:
    from azureml.core import Experiment

# Counts on from where the checkpoint says, if there is one.
_SCRIPT = """
import argparse, os
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--resume-from")
given = parser.parse_args()
step = 0
if given.resume_from:
    assert given.resume_from == os.environ["AZUREML_DATAREFERENCE_MODEL_LOCATION"], given
    with open(os.path.join(given.resume_from, "model", "checkpoint")) as file:
        step = int(file.read())
Run.get_context().log("first", step)
step += given.steps
os.makedirs("outputs/model", exist_ok=True)
with open("outputs/model/checkpoint", "w") as file:
    file.write(str(step))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "train.py").write_text(_SCRIPT)
    return folder


def _here(config: Any) -> Any:
    python = config.run_config.environment.python
    python.user_managed_dependencies, python.interpreter_path = True, sys.executable
    return config


def _done(experiment: Experiment, config: Any) -> Any:
    run = experiment.submit(_here(config))
    run.wait_for_completion()
    return run


def test_from_run_to_run(experiment: Experiment, source: Path) -> None:
    first = _done(experiment, ScriptRunConfig(source, "train.py"))
    place = first._get_outputs_datapath()
    assert place.datastore_name == "workspaceblobstore"
    second = _done(experiment, ScriptRunConfig(source, "train.py", ["--steps", 4], resume_from=place))
    third = _done(
        experiment,
        Estimator(
            source,
            compute_target="local",
            entry_script="train.py",
            script_params={"--steps": 5},
            resume_from=second._get_outputs_datapath(),
        ),
    )
    assert [run.get_metrics()["first"] for run in (first, second, third)] == [0, 3, 7]
    third.download_file("outputs/model/checkpoint", "checkpoint")
    assert Path("checkpoint").read_text() == "12"
    reference = second.get_details()["runDefinition"]["dataReferences"]["MODEL_LOCATION"]
    assert (reference["mode"].lower(), reference["dataStoreName"]) == ("mount", "workspaceblobstore")


def test_a_command_finds_it_in_its_environment(experiment: Experiment, source: Path) -> None:
    first = _done(experiment, ScriptRunConfig(source, "train.py"))
    command = 'test "$(cat "$AZUREML_DATAREFERENCE_MODEL_LOCATION/model/checkpoint")" = 3'
    _done(experiment, ScriptRunConfig(source, command=command, resume_from=first._get_outputs_datapath()))


def test_what_is_no_place(source: Path) -> None:
    with pytest.raises(UserErrorException, match=r"DataPath.*not str"):
        ScriptRunConfig(source, "train.py", resume_from="outputs")
    with pytest.raises(UserErrorException, match=r"DataPath.*not str"):
        Estimator(source, compute_target="local", entry_script="train.py", resume_from="outputs")
