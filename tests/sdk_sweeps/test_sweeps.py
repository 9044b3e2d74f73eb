"""Sweeps through the SDK: real children, the true best, and what a sweep tells of itself."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_sweeps.conftest import SCRIPTS, Make

from azureml.core import Experiment, Run, ScriptRunConfig
from azureml.exceptions import ActivityFailedException, UserErrorException
from azureml.train.hyperdrive import (
    GridParameterSampling,
    HyperDriveConfig,
    HyperDriveRun,
    HyperDriveRunConfig,
    PrimaryMetricGoal,
    RandomParameterSampling,
    choice,
    uniform,
)
from azureml.train.hyperdrive.exceptions import HyperDriveConfigException, HyperDriveNotImplementedException

if TYPE_CHECKING:
    from azureml.core import Workspace

RATES, STARTS = (0.01, 0.2, 0.05, 1.1), (0.0, 8.0)


def _loss(rate: float, start: float, steps: int = 10) -> float:
    """What the script comes to at best."""
    losses, x = [], start
    for _ in range(steps):
        x -= rate * 2 * (x - 3)
        losses.append((x - 3) ** 2 + 1)
    return min(losses)


def _config(estimator: Any, sampling: Any, goal: Any = PrimaryMetricGoal.MINIMIZE, **more: Any) -> HyperDriveConfig:
    arguments = {"max_total_runs": 20, "max_concurrent_runs": 2, **more}
    return HyperDriveConfig(sampling, "loss", goal, estimator=estimator, **arguments)


def test_a_grid_over_an_estimator_on_two_nodes(
    workspace: Workspace, estimator: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    base = estimator("descend.py", script_params={"--rate": 99, "--steps": 10})
    sampling = GridParameterSampling({"rate": choice(*RATES), "--start": choice(list(STARTS))})
    run = Experiment(workspace, "grid").submit(_config(base, sampling), tags={"mine": "yes"})
    assert isinstance(run, HyperDriveRun)
    assert run.type == "hyperdrive"
    assert "--rate" in capsys.readouterr().out  # it says which argument the sweep replaces

    details = run.wait_for_completion(show_output=True)
    assert details["status"] == run.get_status() == "Completed"
    printed = capsys.readouterr().out
    assert "Streaming azureml-logs/hyperdrive.txt" in printed
    assert printed.count("is submitted with") == 8

    points = list(itertools.product(RATES, STARTS))
    children = list(run.get_children())
    assert {child.status for child in children} == {"Completed"}
    assert all(child.parent == run and child.type == "azureml.scriptrun" for child in children)
    words = {child.id: child.get_details()["runDefinition"]["arguments"] for child in children}
    assert words == {
        f"{run.id}_{index}": ["--steps", "10", "--rate", str(rate), "--start", str(start)]
        for index, (rate, start) in enumerate(points)
    }

    true_best = min(points, key=lambda point: _loss(*point))
    best = run.get_best_run_by_primary_metric()
    assert best is not None
    assert json.loads(best.get_tags()["hyperparameters"]) == {"--rate": true_best[0], "--start": true_best[1]}
    assert min(best.get_metrics()["loss"]) == _loss(*true_best)
    # The computation itself, in the child's log.
    assert "ended at" in best.get_details_with_logs()["logFiles"]["azureml-logs/80_driver_log.txt"]

    ordered = run.get_children_sorted_by_primary_metric()
    assert [row["best_primary_metric"] for row in ordered] == sorted(_loss(*point) for point in points)
    assert ordered[0]["run_id"] == best.id
    assert set(ordered[0]) == {"run_id", "hyperparameters", "best_primary_metric", "status"}
    assert run.get_children_sorted_by_primary_metric(top=3, reverse=True) == ordered[::-1][:3]

    assert {name: json.loads(text) for name, text in run.get_hyperparameters().items()} == {
        f"{run.id}_{index}": {"--rate": rate, "--start": start} for index, (rate, start) in enumerate(points)
    }
    metrics = run.get_metrics()
    assert set(metrics) == set(words)
    assert all(len(values["loss"]) == 10 for values in metrics.values())

    properties = run.get_properties()
    assert (properties["best_child_run_id"], float(properties["score"])) == (best.id, _loss(*true_best))
    assert properties["runTemplate"] == "HyperDrive"
    tags = run.get_tags()
    assert tags["mine"] == "yes"
    assert json.loads(tags["generator_config"])["name"] == "GRID"
    assert run.get_diagnostics().count("is submitted with") == 8


def test_it_is_found_again_in_every_way(workspace: Workspace, estimator: Make) -> None:
    experiment = Experiment(workspace, "found")
    sampling = RandomParameterSampling({"rate": uniform(0.01, 0.4)}, properties={"seed": 5})
    run = experiment.submit(_config(estimator("descend.py"), sampling, max_total_runs=3, custom_run_id="my-sweep"))
    run.wait_for_completion()
    found = Run.get(workspace, "my-sweep")
    assert isinstance(found, HyperDriveRun)
    assert [type(each) for each in experiment.get_runs()] == [HyperDriveRun]
    assert [each.id for each in experiment.get_runs(type="hyperdrive")] == ["my-sweep"]
    again = HyperDriveRun(experiment, "my-sweep")
    best, same = run.get_best_run_by_primary_metric(), again.get_best_run_by_primary_metric()
    assert best is not None
    assert best == same
    assert run.hyperdrive_config.estimator is not None
    with pytest.raises(UserErrorException, match="hyperdrive_config"):
        _ = again.hyperdrive_config
    # The same seed, the same values.
    values = [json.loads(text) for _, text in sorted(run.get_hyperparameters().items())]
    second = experiment.submit(_config(estimator("descend.py"), sampling, max_total_runs=3))
    second.wait_for_completion()
    assert [json.loads(text) for _, text in sorted(second.get_hyperparameters().items())] == values
    assert all(0.01 <= each["--rate"] <= 0.4 for each in values)


def test_never_more_children_than_nodes_or_than_wanted(workspace: Workspace, estimator: Make) -> None:
    sampling = GridParameterSampling({"rate": choice(*RATES)})
    run = Experiment(workspace, "one").submit(_config(estimator("descend.py"), sampling, max_concurrent_runs=1))
    run.wait_for_completion()
    spans = sorted(
        (child.get_details()["startTimeUtc"], child.get_details()["endTimeUtc"]) for child in run.get_children()
    )
    assert len(spans) == 4
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_a_script_run_config_and_the_old_name(workspace: Workspace, cluster: Any) -> None:
    config = ScriptRunConfig(str(SCRIPTS), "descend.py", arguments=["--rate=7", "--steps", 2], compute_target=cluster)
    python = config.run_config.environment.python
    python.user_managed_dependencies, python.interpreter_path = True, sys.executable
    sampling = GridParameterSampling({"--rate": choice(0.1)})
    sweep = HyperDriveConfig(sampling, "loss", PrimaryMetricGoal.MINIMIZE, 4, run_config=config)
    assert sweep.source_directory == str(SCRIPTS)
    run = Experiment(workspace, "src").submit(sweep)
    run.wait_for_completion()
    (child,) = run.get_children()
    assert child.get_details()["runDefinition"]["arguments"] == ["--steps", "2", "--rate", "0.1"]
    assert config.arguments == ["--rate=7", "--steps", 2]  # what the user has stays as it is


def test_the_form_of_2019(workspace: Workspace, estimator: Make) -> None:
    config = HyperDriveRunConfig(
        estimator=estimator("descend.py"),
        hyperparameter_sampling=RandomParameterSampling({"--rate": choice(0.1, 0.2)}),
        primary_metric_name="loss",
        primary_metric_goal=PrimaryMetricGoal.MINIMIZE,
        max_total_runs=8,
        max_concurrent_runs=4,
    )
    assert type(config) is HyperDriveConfig
    run = Experiment(workspace, "old").submit(config)
    run.wait_for_completion()
    assert sorted(json.loads(text)["--rate"] for text in run.get_hyperparameters().values()) == [0.1, 0.2]
    assert HyperDriveRun(run.experiment, run.id, hyperdrive_run_config=config).hyperdrive_run_config is config


def test_a_child_that_fails_does_not_fail_the_sweep(workspace: Workspace, estimator: Make) -> None:
    sampling = GridParameterSampling({"rate": choice(0.1, "none", 0.2)})  # the script takes numbers only
    run = Experiment(workspace, "fails").submit(_config(estimator("descend.py"), sampling))
    assert run.wait_for_completion()["status"] == "Completed"
    assert sorted(child.status for child in run.get_children()) == ["Completed", "Completed", "Failed"]
    rows = run.get_children_sorted_by_primary_metric()
    assert (rows[-1]["best_primary_metric"], rows[-1]["status"]) == (None, "Failed")
    assert len(run.get_children_sorted_by_primary_metric(discard_no_metric=True)) == 2


def test_when_all_fail_it_has_failed(workspace: Workspace, estimator: Make) -> None:
    sampling = GridParameterSampling({"rate": choice("none", "nothing")})
    run = Experiment(workspace, "fail").submit(_config(estimator("descend.py"), sampling))
    with pytest.raises(ActivityFailedException, match="None of the 2 child runs has completed"):
        run.wait_for_completion()
    assert run.get_best_run_by_primary_metric() is None


def test_what_sweeps_do_not_have(workspace: Workspace, estimator: Make) -> None:
    sampling = GridParameterSampling({"rate": choice(0.1)})
    run = Experiment(workspace, "lacks").submit(_config(estimator("descend.py"), sampling))
    with pytest.raises(HyperDriveNotImplementedException):
        run.fail()
    with pytest.raises(UserErrorException, match="ends when its child runs have ended"):
        run.complete()
    with pytest.raises(HyperDriveConfigException, match="top"):
        run.get_children_sorted_by_primary_metric(top=-1)
    run.wait_for_completion()


def test_a_target_that_cannot_be_is_refused_at_once(workspace: Workspace, estimator: Make) -> None:
    from azureml.exceptions import ComputeTargetException
    from azureml.train.dnn import Mpi

    sampling = GridParameterSampling({"rate": choice(0.1)})
    experiment = Experiment(workspace, "target")
    too_large = estimator("descend.py", node_count=3, distributed_training=Mpi())
    with pytest.raises(UserErrorException, match="at most 2"):
        experiment.submit(_config(too_large, sampling))
    nowhere = estimator("descend.py")
    assert nowhere.run_config is not None
    nowhere.run_config.target = "nowhere"
    with pytest.raises(ComputeTargetException, match="nowhere"):
        experiment.submit(_config(nowhere, sampling))
    assert not list(experiment.get_runs())


def test_a_sweep_of_distributed_runs(workspace: Workspace, estimator: Make) -> None:
    from azureml.train.dnn import Mpi

    base = estimator("descend.py", node_count=2, distributed_training=Mpi())
    run = Experiment(workspace, "mpi").submit(_config(base, GridParameterSampling({"rate": choice(0.1, 0.2)})))
    run.wait_for_completion()
    assert [len(child.get_metrics()["loss"]) for child in run.get_children()] == [20, 20]  # two ranks each


def test_what_is_not_supported_is_refused_by_name(workspace: Workspace, estimator: Make, cluster: Any) -> None:
    sampling = RandomParameterSampling({"rate": choice(0.1)})
    earlier = Experiment(workspace, "earlier").submit(_config(estimator("descend.py"), sampling))
    earlier.wait_for_completion()
    for name, value in (
        ("resume_from", earlier),
        ("resume_child_runs", list(earlier.get_children())),
        ("pipeline", object()),
    ):
        with pytest.raises(UserErrorException, match=name):
            _config(estimator("descend.py"), sampling, **{name: value})
    command = ScriptRunConfig(str(SCRIPTS), command=["python", "descend.py"], compute_target=cluster)
    with pytest.raises(UserErrorException, match="command"):
        HyperDriveConfig(sampling, "loss", PrimaryMetricGoal.MINIMIZE, 4, run_config=command)


def test_the_widget_shows_it(workspace: Workspace, estimator: Make) -> None:
    from azureml.widgets import RunDetails

    sampling = GridParameterSampling({"rate": choice(0.1, 0.2)})
    run = Experiment(workspace, "widget").submit(_config(estimator("descend.py"), sampling))
    run.wait_for_completion()
    data = RunDetails(run).get_widget_data()
    assert {child["run_id"] for child in data["child_runs"]} == {f"{run.id}_0", f"{run.id}_1"}
    assert "is submitted with" in data["run_logs"]


def test_from_inside_a_job(workspace: Workspace, cluster: Any, tmp_path: Path) -> None:
    """A job may submit a sweep below itself."""
    source = tmp_path / "outer"
    source.mkdir()
    (source / "descend.py").write_text((SCRIPTS / "descend.py").read_text())
    (source / "outer.py").write_text(
        """
import sys
from azureml.core import Run, ScriptRunConfig
from azureml.train.hyperdrive import *
config = ScriptRunConfig(".", "descend.py", compute_target="cpu")
python = config.run_config.environment.python
python.user_managed_dependencies, python.interpreter_path = True, sys.executable
sampling = GridParameterSampling({"rate": choice(0.1, 0.2)})
sweep = HyperDriveConfig(sampling, "loss", PrimaryMetricGoal.MINIMIZE, 2, run_config=config)
run = Run.get_context().submit_child(sweep)
run.wait_for_completion()
print("the best is", run.get_best_run_by_primary_metric().get_tags()["hyperparameters"])
"""
    )
    outer = ScriptRunConfig(str(source), "outer.py", compute_target=cluster)
    python = outer.run_config.environment.python
    python.user_managed_dependencies, python.interpreter_path = True, sys.executable
    run = Experiment(workspace, "nested").submit(outer)
    run.wait_for_completion()
    (sweep,) = run.get_children()
    assert isinstance(sweep, HyperDriveRun)
    best = sweep.get_best_run_by_primary_metric()
    assert best is not None
    log = run.get_details_with_logs()["logFiles"]["azureml-logs/80_driver_log.txt"]
    assert f"the best is {best.get_tags()['hyperparameters']}" in log
    assert len(list(run.get_children(recursive=True))) == 3
