"""Children that are stopped early, sweeps that are cancelled, and an emulator that is killed in the middle."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_sweeps.conftest import Make, make_estimator
from tests.support.emulator_process import EmulatorProcess
from tests.support.waiting import wait_until

from azureml.core import Experiment, Run
from azureml.exceptions import UserErrorException
from azureml.train.hyperdrive import (
    BanditPolicy,
    GridParameterSampling,
    HyperDriveConfig,
    HyperDriveRun,
    MedianStoppingPolicy,
    PrimaryMetricGoal,
    TruncationSelectionPolicy,
    choice,
)

if TYPE_CHECKING:
    from azureml.core import Workspace


def _config(estimator: Any, *qualities: float, **more: Any) -> HyperDriveConfig:
    sampling = GridParameterSampling({"quality": choice(*qualities)})
    arguments = {"max_total_runs": 20, "max_concurrent_runs": 2, **more}
    return HyperDriveConfig(sampling, "quality", PrimaryMetricGoal.MAXIMIZE, estimator=estimator, **arguments)


def _started(folder: Path) -> dict[str, int]:
    """Process ids of the children that have started, by run id; each must have started once only."""
    path = folder / "started"
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = [line.split() for line in lines]
    assert not [run_id for run_id, count in Counter(run_id for run_id, _ in pairs).items() if count > 1]
    return {run_id: int(process) for run_id, process in pairs}


def _is_there(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _statuses(run: Any) -> dict[str, str]:
    """The states of the children that there are so far."""
    return {child.id: child.status for child in run.get_children()}


POLICIES = [
    BanditPolicy(slack_factor=0.1, evaluation_interval=2, delay_evaluation=4),
    BanditPolicy(slack_amount=0.2),
    MedianStoppingPolicy(delay_evaluation=3),
    TruncationSelectionPolicy(50, evaluation_interval=3),
]


@pytest.mark.parametrize("policy", POLICIES, ids=["factor", "amount", "median", "truncation"])
def test_a_policy_ends_a_bad_child_while_it_runs(
    workspace: Workspace, estimator: Make, tmp_path: Path, policy: Any
) -> None:
    run = Experiment(workspace, "stops").submit(_config(estimator("wait.py"), 0.9, 0.1, policy=policy))
    good, bad = f"{run.id}_0", f"{run.id}_1"
    wait_until(lambda: _statuses(run).get(bad) == "Canceled", 60, "the policy to stop the bad one")
    processes = _started(tmp_path)
    assert not _is_there(processes[bad])
    assert _is_there(processes[good])
    assert Run.get(workspace, good).status == run.get_status() == "Running"
    (tmp_path / "end").touch()
    assert run.wait_for_completion()["status"] == "Completed"
    best = run.get_best_run_by_primary_metric()
    assert best is not None
    assert best.id == good
    assert Run.get(workspace, good).status == "Completed"
    log = run.get_diagnostics()
    name = policy.to_json()["name"]
    assert f"early termination policy has stopped this run. {name}:" in log
    story = Run.get(workspace, bad).get_detailed_status()["details"]
    assert any(name in step["cause"] for step in story)
    # By the intervals that the policy was given.
    reports = Run.get(workspace, bad).get_metrics()["quality"]
    assert (len(reports) if isinstance(reports, list) else 1) >= policy.delay_evaluation
    assert (run.get_best_run_by_primary_metric(include_canceled=False) or run).id == good


def test_a_place_that_becomes_free_is_given_to_the_next(workspace: Workspace, estimator: Make, tmp_path: Path) -> None:
    config = _config(estimator("wait.py"), 0.9, 0.1, 0.2, 0.95, policy=BanditPolicy(slack_factor=0.1))
    run = Experiment(workspace, "next").submit(config)
    wait_until(lambda: len(_started(tmp_path)) == 4, 60, "the bad ones to make room for the last one")
    (tmp_path / "end").touch()
    run.wait_for_completion()
    states = {child.id.rpartition("_")[2]: child.status for child in run.get_children()}
    assert states == {"0": "Completed", "1": "Canceled", "2": "Canceled", "3": "Completed"}


def test_a_cancel_ends_all_children(workspace: Workspace, estimator: Make, tmp_path: Path) -> None:
    config = _config(estimator("wait.py"), 0.1, 0.2, 0.3, 0.4, 0.5, max_concurrent_runs=3)
    run = Experiment(workspace, "cancel").submit(config)
    # Three may go on, and there are two nodes: one waits.
    wait_until(lambda: len(_started(tmp_path)) == 2 and len(list(run.get_children())) == 3, 60, "two to run")
    assert sorted(child.status for child in run.get_children()) == ["Queued", "Running", "Running"]
    assert run.cancel() is True
    assert run.wait_for_completion()["status"] == "Canceled"
    assert [child.status for child in run.get_children()] == ["Canceled"] * 3
    assert not any(_is_there(process) for process in _started(tmp_path).values())
    with pytest.raises(UserErrorException):
        run.cancel()
    best = run.get_best_run_by_primary_metric()
    assert best is not None
    assert best.id == f"{run.id}_1"  # of those that have logged it
    assert run.get_best_run_by_primary_metric(include_canceled=False) is None


def test_a_child_that_is_cancelled_by_hand_is_one_of_them(
    workspace: Workspace, estimator: Make, tmp_path: Path
) -> None:
    run = Experiment(workspace, "by-hand").submit(_config(estimator("wait.py"), 0.1, 0.2, 0.3))
    wait_until(lambda: len(_started(tmp_path)) == 2, 60, "two to run")
    Run.get(workspace, f"{run.id}_0").cancel()
    wait_until(lambda: len(_started(tmp_path)) == 3, 60, "the third one to take the place")
    (tmp_path / "end").touch()
    assert run.wait_for_completion()["status"] == "Completed"
    assert sorted(child.status for child in run.get_children()) == ["Canceled", "Completed", "Completed"]


def test_a_cluster_that_is_deleted_takes_the_sweep_along(workspace: Workspace, estimator: Make, tmp_path: Path) -> None:
    from azureml.core.compute import ComputeTarget

    run = Experiment(workspace, "deleted").submit(_config(estimator("wait.py"), 0.1, 0.2, 0.3))
    wait_until(lambda: len(_started(tmp_path)) == 2, 60, "two to run")
    ComputeTarget(workspace, "cpu").delete()
    assert run.wait_for_completion()["status"] == "Canceled"
    assert {child.status for child in run.get_children()} == {"Canceled"}


@pytest.fixture
def own_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "emulator"
    folder.mkdir()
    for name in ("LOCALAML_ENDPOINT", "LOCALAML_GRPC_ENDPOINT", "LOCALAML_TOKEN", "LOCALAML_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    with EmulatorProcess(folder / "state", folder / "cache") as running:
        monkeypatch.setenv("LOCALAML_STATE_DIR", str(running.state_dir))
        yield running


def _own_sweep(tmp_path: Path, *qualities: float, **more: Any) -> HyperDriveRun:
    from azureml.core import Workspace
    from azureml.core.compute import AmlCompute, ComputeTarget

    workspace = Workspace.create("ws", subscription_id="s", resource_group="g", show_output=False)
    settings = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
    cluster = ComputeTarget.create(workspace, "cpu", settings)
    config = _config(make_estimator(cluster, "wait.py", tmp_path), *qualities, **more)
    run = Experiment(workspace, "killed").submit(config)
    assert isinstance(run, HyperDriveRun)
    return run


def test_a_killed_emulator_goes_on_with_the_sweep(own_emulator: EmulatorProcess, tmp_path: Path) -> None:
    run = _own_sweep(tmp_path, 0.1, 0.2, 0.3, 0.4, 0.5)
    wait_until(lambda: len(_started(tmp_path)) == 2, 60, "two to run")
    before = _started(tmp_path)
    own_emulator.kill()
    assert all(_is_there(process) for process in before.values())
    own_emulator.start()
    assert run.get_status() == "Running"
    assert _started(tmp_path) == before
    (tmp_path / "end").touch()
    assert run.wait_for_completion()["status"] == "Completed"
    children = {child.id: child for child in run.get_children()}
    assert {child.status for child in children.values()} == {"Completed"}
    # Every point once, none twice; those that ran before the kill are the same processes still.
    assert set(_started(tmp_path)) == set(children) == {f"{run.id}_{index}" for index in range(5)}
    assert before.items() <= _started(tmp_path).items()
    values = [json.loads(child.get_tags()["hyperparameters"])["--quality"] for child in children.values()]
    assert sorted(values) == [0.1, 0.2, 0.3, 0.4, 0.5]
    best = run.get_best_run_by_primary_metric()
    assert best is not None
    assert best.id == f"{run.id}_4"
    log = run.get_diagnostics()
    assert log.count("is submitted with") == 5
    assert "after a restart" in log


def test_a_cancel_that_was_not_over_is_gone_on_with(own_emulator: EmulatorProcess, tmp_path: Path) -> None:
    run = _own_sweep(tmp_path, 0.1, 0.2, 0.3)
    wait_until(lambda: len(_started(tmp_path)) == 2, 60, "two to run")
    run.cancel()
    own_emulator.kill()
    own_emulator.start()
    assert run.wait_for_completion()["status"] == "Canceled"
    assert {child.status for child in run.get_children()} == {"Canceled"}
    wait_until(lambda: not any(map(_is_there, _started(tmp_path).values())), 30, "the processes to end")


def test_a_policy_goes_on_after_a_restart(own_emulator: EmulatorProcess, tmp_path: Path) -> None:
    run = _own_sweep(tmp_path, 0.9, 0.1, policy=BanditPolicy(slack_factor=0.1, delay_evaluation=60))
    wait_until(lambda: len(_started(tmp_path)) == 2, 60, "both to run")
    own_emulator.kill()
    own_emulator.start()
    wait_until(lambda: _statuses(run)[f"{run.id}_1"] == "Canceled", 60, "the policy to stop the bad one")
    (tmp_path / "end").touch()
    assert run.wait_for_completion()["status"] == "Completed"


def test_the_emulators_own_process_is_not_the_jobs(own_emulator: EmulatorProcess, tmp_path: Path) -> None:
    """What `_is_there` tells: a process that is there is, one that is not is not."""
    assert _is_there(own_emulator.pid)
    assert _is_there(os.getpid())
    own_emulator.kill()
    assert not _is_there(own_emulator.pid)
