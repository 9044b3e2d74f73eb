"""What a sweep's parts are as JSON: seen at azureml-train-core 1.61 from outside; and what is sent of them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from azureml.exceptions import AzureMLException, UserErrorException
from azureml.train.estimator import Estimator
from azureml.train.hyperdrive import (
    BanditPolicy,
    BayesianParameterSampling,
    GridParameterSampling,
    HyperDriveConfig,
    MedianStoppingPolicy,
    NoTerminationPolicy,
    PrimaryMetricGoal,
    RandomParameterSampling,
    TruncationSelectionPolicy,
    choice,
    exceptions,
    lognormal,
    loguniform,
    normal,
    qlognormal,
    qloguniform,
    qnormal,
    quniform,
    randint,
    uniform,
)

EXPRESSIONS = [
    (choice(1, 2), ["choice", [[1, 2]]]),
    (choice([1, 2]), ["choice", [[1, 2]]]),
    (choice(range(3)), ["choice", [[0, 1, 2]]]),
    (choice("a"), ["choice", [["a"]]]),
    (choice([[1, 2], [3]]), ["choice", [[[1, 2], [3]]]]),
    (choice((1, 2)), ["choice", [[(1, 2)]]]),
    (choice(True, None, 1.0), ["choice", [[True, None, 1.0]]]),
    (randint(5), ["randint", [5]]),
    (uniform(0, 1), ["uniform", [0, 1]]),
    (quniform(0, 10, 2), ["quniform", [0, 10, 2]]),
    (loguniform(-3, -1), ["loguniform", [-3, -1]]),
    (loguniform(1, 1), ["loguniform", [1, 1]]),
    (qloguniform(0, 2, 1), ["qloguniform", [0, 2, 1]]),
    (normal(0, 0), ["normal", [0, 0]]),
    (qnormal(0, 1, 1), ["qnormal", [0, 1, 1]]),
    (lognormal(0, 1), ["lognormal", [0, 1]]),
    (qlognormal(0, 1, 1), ["qlognormal", [0, 1, 1]]),
]
INTERVALS = {"evaluation_interval": 1, "delay_evaluation": 0}
PARTS = [
    (NoTerminationPolicy(), {"name": "Default"}),
    (BanditPolicy(slack_factor=0.1), {"name": "Bandit", "properties": {**INTERVALS, "slack_factor": 0.1}}),
    (BanditPolicy(slack_amount=0), {"name": "Bandit", "properties": {**INTERVALS, "slack_amount": 0}}),
    (
        MedianStoppingPolicy(5, 3),
        {"name": "MedianStopping", "properties": {"evaluation_interval": 5, "delay_evaluation": 3}},
    ),
    (
        TruncationSelectionPolicy(20),
        {
            "name": "TruncationSelection",
            "properties": {**INTERVALS, "truncation_percentage": 20, "exclude_finished_jobs": False},
        },
    ),
    (
        RandomParameterSampling({"lr": uniform(0, 1)}),
        {"name": "RANDOM", "parameter_space": {"lr": ["uniform", [0, 1]]}},
    ),
    (
        RandomParameterSampling({"--lr": choice(1)}, properties={"seed": 3}),
        {"name": "RANDOM", "parameter_space": {"--lr": ["choice", [[1]]]}, "properties": {"seed": 3}},
    ),
    (GridParameterSampling({"-b": choice(3)}), {"name": "GRID", "parameter_space": {"-b": ["choice", [[3]]]}}),
    (
        BayesianParameterSampling({"n": quniform(0, 10, 3)}),
        {"name": "BayesianOptimization", "parameter_space": {"n": ["quniform", [0, 10, 3]]}},
    ),
]


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=[str(each[1]) for each in EXPRESSIONS])
def test_expressions(expression: Any, expected: Any) -> None:
    assert expression == expected


@pytest.mark.parametrize(("part", "expected"), PARTS, ids=[str(each[1]) for each in PARTS])
def test_parts_as_json(part: Any, expected: Any) -> None:
    assert part.to_json() == expected


def test_the_exceptions_are_azures_tree() -> None:
    assert issubclass(exceptions.HyperDriveConfigException, exceptions.HyperDriveException)
    assert issubclass(exceptions.HyperDriveException, AzureMLException)
    assert not issubclass(exceptions.HyperDriveConfigException, UserErrorException)
    assert issubclass(exceptions.HyperDriveNotImplementedException, exceptions.HyperDriveScenarioNotSupportedException)


def _config(space: Any, properties: Any = None, **more: Any) -> HyperDriveConfig:
    estimator = Estimator(".", compute_target="local", entry_script="train.py")
    sampling = RandomParameterSampling(space, properties)
    arguments = {"max_total_runs": 4, "estimator": estimator, **more}
    return HyperDriveConfig(sampling, "acc", PrimaryMetricGoal.MAXIMIZE, **arguments)


def test_what_is_sent() -> None:
    config = _config(
        {"lr": loguniform(-3, -1), "--act": choice("relu", 1, 1.0)},
        {"seed": 3},
        max_duration_minutes=60,
        policy=BanditPolicy(2, 0.1, None, 5),
    )
    assert config._sweep() == {
        "sampling": "RANDOM",
        "parameters": [
            {"name": "lr", "distribution": "loguniform", "argumentsJson": ["-3", "-1"]},
            {"name": "--act", "distribution": "choice", "argumentsJson": ['"relu"', "1", "1.0"]},
        ],
        "seed": "3",
        "primaryMetricName": "acc",
        "primaryMetricGoal": "PRIMARY_METRIC_GOAL_MAXIMIZE",
        "maxTotalRuns": 4,
        "maxConcurrentRuns": 4,  # None stands for all
        "maxDurationMinutes": 60,
        "policy": {"name": "Bandit", "evaluationInterval": 2, "delayEvaluation": 5, "slackFactor": 0.1},
    }


def test_numbers_of_numpy_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    config = _config({"n": choice(list(numpy.arange(2))), "x": choice(list(numpy.linspace(0, 1, 2)))})
    assert [each["argumentsJson"] for each in config._sweep()["parameters"]] == [["0", "1"], ["0.0", "1.0"]]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["--lr", "1", "--x", "2"], ["--x", "2"]),
        (["-lr", "1", "--x"], ["--x"]),
        (["--lr=1", "--x"], ["--x"]),
        (["--x", "2", "--lr"], ["--x", "2"]),
        (["--lr", "-1", "--x"], ["--x"]),
        (["--lr", "1", "2", "3", "--x"], ["--x"]),
        (["--lr-decay", "1"], ["--lr-decay", "1"]),
        (["lr", "--x"], ["lr", "--x"]),
    ],
)
def test_what_is_swept_replaces_arguments(
    arguments: list[str], kept: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _config({"lr": choice(1)})._without_swept(arguments) == kept
    assert bool(capsys.readouterr().out) == (arguments != kept)


@pytest.mark.parametrize(
    ("space", "properties", "named"),
    [
        ({"lr": choice({"a": uniform(0, 1)})}, None, "parameter spaces"),
        ({"lr": choice(1)}, {"rule": "sobol"}, "rule"),
        ({"lr": choice(1)}, [1], "properties"),
    ],
)
def test_what_is_not_supported_is_named(space: Any, properties: Any, named: str) -> None:
    with pytest.raises(UserErrorException, match=named):
        _config(space, properties)


@pytest.mark.parametrize(
    ("space", "properties"),
    [({"lr": choice(object())}, None), ({"lr": choice(1)}, {"seed": "x"}), ({1: choice(1)}, None)],
)
def test_what_cannot_be_sent_is_refused(space: Any, properties: Any) -> None:
    with pytest.raises(exceptions.HyperDriveConfigException):
        _config(space, properties)


def test_a_command_is_refused_by_name() -> None:
    from azureml.core import ScriptRunConfig

    config = ScriptRunConfig(".", command="python train.py")
    with pytest.raises(UserErrorException, match="command"):
        _config({"lr": choice(1)}, estimator=None, run_config=config)


def test_the_core_does_not_load_it() -> None:
    code = "import sys, azureml.core; sys.exit('azureml.train.hyperdrive' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
