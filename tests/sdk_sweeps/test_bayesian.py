"""A Bayesian sweep with real children."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.sdk_sweeps.conftest import Make

from azureml.core import Experiment
from azureml.train.hyperdrive import (
    BayesianParameterSampling,
    HyperDriveConfig,
    PrimaryMetricGoal,
    choice,
    quniform,
    uniform,
)

if TYPE_CHECKING:
    from azureml.core import Workspace


def test_a_bayesian_sweep(workspace: Workspace, estimator: Make) -> None:
    sampling = BayesianParameterSampling(
        {"rate": uniform(0.001, 0.3), "start": quniform(0, 6, 2), "steps": choice(2, 5)}, properties={"seed": 1}
    )
    config = HyperDriveConfig(
        sampling,
        "loss",
        PrimaryMetricGoal.MINIMIZE,
        max_total_runs=12,
        max_concurrent_runs=2,
        estimator=estimator("descend.py"),
    )
    run = Experiment(workspace, "bayesian").submit(config)
    assert run.wait_for_completion()["status"] == "Completed"
    values = [json.loads(text) for text in run.get_hyperparameters().values()]
    assert len(values) == 12
    assert all(0.001 <= each["--rate"] <= 0.3 for each in values)
    assert {each["--start"] for each in values} <= {0, 2, 4, 6}
    assert {each["--steps"] for each in values} <= {2, 5}
    rows = run.get_children_sorted_by_primary_metric()
    assert len(rows) == 12
    assert all(row["best_primary_metric"] is not None for row in rows)
