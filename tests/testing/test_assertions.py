"""What assertions accept, and what they say when they fail."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.submitting import Submit

from localaml.testing import (
    assert_artifacts,
    assert_completed,
    assert_log_contains,
    assert_metrics,
    outcome,
    wait_for_state,
)

TRAIN = """
import os
from azureml.core import Run
run = Run.get_context()
for loss in (0.5, 0.25):
    run.log("loss", loss)
run.log("name", "tree")
run.log_row("table", x=1, y=0.1)
os.makedirs("outputs/model", exist_ok=True)
open("outputs/model/weights.bin", "w").write("w")
print("accuracy: 0.93")
"""


@pytest.fixture
def trained(submit: Submit) -> Any:
    run = submit(TRAIN)
    assert_completed(run)
    return run


def test_what_is_true_passes(trained: Any) -> None:
    assert_metrics(trained, {"loss": [0.5, 0.25], "name": "tree"})
    assert_metrics(trained, {"loss": [0.5004, 0.25], "table": {"x": 1, "y": 0.1}}, approx=1e-2)
    assert_metrics(trained, {"loss": pytest.approx([0.5, 0.25])})
    assert_artifacts(trained, "outputs/*", "outputs/model/weights.bin", exactly=True)
    assert_log_contains(trained, "accuracy: 0.93")
    assert_log_contains(trained, re.compile(r"accuracy: 0\.\d+"), log="80_driver_log.txt")


def test_a_failed_assertion_names_what_differs(trained: Any) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_metrics(trained, {"loss": [0.5, 0.26], "recall": 1})
    assert "loss: expected [0.5, 0.26], found [0.5, 0.25]" in str(caught.value)
    assert "recall: expected 1, not logged" in str(caught.value)
    with pytest.raises(AssertionError, match=re.escape("nothing matches ['outputs/*.onnx'], unexpected are []")):
        assert_artifacts(trained, "outputs/*.onnx")
    with pytest.raises(AssertionError, match=re.escape("unexpected are ['outputs/model/weights.bin']")):
        assert_artifacts(trained, exactly=True)
    with pytest.raises(AssertionError, match=r"No log of the run has 'recall' in it(?s:.)*accuracy: 0.93"):
        assert_log_contains(trained, "recall")


@pytest.mark.parametrize("wrong", [True, "1", None, [1], 1.0001])
def test_values_are_compared_as_values(submit: Submit, wrong: object) -> None:
    from azureml.core import Experiment

    run = submit("pass")
    interactive = Experiment(run.experiment.workspace, "exp").start_logging()
    interactive.log("one", 2)
    interactive.complete()
    assert_metrics(interactive, {"one": 2})
    with pytest.raises(AssertionError):
        assert_metrics(interactive, {"one": wrong})


def test_a_failure_tells_the_story_of_the_run(submit: Submit) -> None:
    run = submit("print('what it said last')\nraise SystemExit(3)")
    with pytest.raises(AssertionError) as caught:
        assert_completed(run)
    text = str(caught.value)
    states = ["NotStarted", "Queued", "Preparing", "Starting", "Running", "Finalizing", "Failed"]
    assert re.findall(r"\d s  (\w+)", text) == states
    assert "error USER_SCRIPT_FAILED: The run's process ended with exit code 3" in text
    assert "what it said last" in text
    with pytest.raises(AssertionError, match=r"has ended \(Failed\) without coming to Canceled"):
        wait_for_state(run, "Canceled")


def test_waiting_ends_in_time_and_says_where_the_run_is(submit: Submit) -> None:
    run = submit("import time; time.sleep(60)")
    assert wait_for_state(run, "Queued") in ("Queued", "Preparing", "Starting", "Running")
    assert wait_for_state(run, "Running") == "Running"
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"not come to its end within 0.2 seconds; it is Running"):
        assert_completed(run, timeout=0.2)
    with pytest.raises(AssertionError, match=r"not come to Running within 0.2 seconds"):
        wait_for_state(run, "Running", 0.2, count=2)
    assert time.monotonic() - began < 5
    with pytest.raises(ValueError, match="no state 'running' of runs"):
        wait_for_state(run, "running")
    run.cancel()
    wait_for_state(run, "Canceled")


def test_outcomes_of_equal_runs_are_equal(submit: Submit, trained: Any) -> None:
    again = submit(TRAIN)
    assert_completed(again)
    assert outcome(again) == outcome(trained)
    assert outcome(trained) == {
        "states": ["NotStarted", "Queued", "Preparing", "Starting", "Running", "Finalizing", "Completed"],
        "metrics": {"loss": [0.5, 0.25], "name": "tree", "table": {"x": 1, "y": 0.1}},
        "artifacts": ["outputs/model/weights.bin"],
        "exit": {"state": "Completed", "error": None},
    }
    failed = submit("raise SystemExit(1)")
    wait_for_state(failed, "Failed")
    assert outcome(failed)["exit"] == {"state": "Failed", "error": "USER_SCRIPT_FAILED"}


def test_logs_can_be_waited_for(submit: Submit) -> None:
    run = submit("import time; time.sleep(0.3); print('late', flush=True); time.sleep(60)")
    with pytest.raises(AssertionError, match="No log of the run has 'late' in it"):
        assert_log_contains(run, "late")
    assert_log_contains(run, "late", timeout=20)
    began = time.monotonic()
    with pytest.raises(AssertionError):
        assert_log_contains(run, "never", timeout=0.2)
    assert 0.2 <= time.monotonic() - began < 5
    run.cancel()
    wait_for_state(run, "Canceled")
    with pytest.raises(AssertionError):
        assert_log_contains(run, "never", timeout=100)


def test_distributed_runs_tell_of_every_rank(submit: Submit, amlcompute: Callable[..., Any], tmp_path: Path) -> None:
    from azureml.core import Experiment, ScriptRunConfig
    from azureml.core.runconfig import MpiConfiguration

    probe = submit("pass")
    source = probe.experiment.workspace
    folder = tmp_path / "ranks"
    folder.mkdir()
    (folder / "train.py").write_text("import os; print('rank', os.environ['OMPI_COMM_WORLD_RANK'])")
    config = ScriptRunConfig(
        str(folder),
        "train.py",
        compute_target=amlcompute(max_nodes=2),
        distributed_job_config=MpiConfiguration(node_count=2),
    )
    config.run_config.environment.python.user_managed_dependencies = True
    run = Experiment(source, "exp").submit(config)
    assert_completed(run)
    assert_log_contains(run, "rank 1")
    with pytest.raises(AssertionError) as caught:
        assert_log_contains(run, "rank 2")
    assert "80_driver_log_rank_0.txt" in str(caught.value)
    assert "80_driver_log_rank_1.txt" in str(caught.value)
