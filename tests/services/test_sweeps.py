"""Sweeps in run definitions: what is refused, and what the children get."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.services.harness import EXPERIMENT, Emulated

from localaml.errors import FailedPrecondition, InvalidArgument, LocalAmlError, NotFound, Unimplemented
from localaml.services.definition import stored_job_spec
from localaml_proto.v1 import metric_pb2, run_definition_pb2, run_pb2

R = run_pb2
SWEEP: dict[str, Any] = {
    "sampling": "RANDOM",
    "parameters": [{"name": "lr", "distribution": "uniform", "argumentsJson": ["0", "1"]}],
    "primaryMetricName": "acc",
    "primaryMetricGoal": "PRIMARY_METRIC_GOAL_MAXIMIZE",
    "maxTotalRuns": 2,
    "maxConcurrentRuns": 2,
}


def _choice(name: str, *options: Any) -> dict[str, Any]:
    return {"name": name, "distribution": "choice", "argumentsJson": [json.dumps(option) for option in options]}


def _of(distribution: str, *arguments: Any, name: str = "x") -> dict[str, Any]:
    texts = [json.dumps(argument) for argument in arguments]
    return {"parameters": [{"name": name, "distribution": distribution, "argumentsJson": texts}]}


async def _until_running(emulator: Emulated, *run_ids: str) -> None:
    async with asyncio.timeout(10):
        while not all(run_id in emulator.runtime.jobs for run_id in run_ids):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("SWEEP_INVALID", {"sampling": "SOBOL"}),
        ("SWEEP_INVALID", {"sampling": ""}),
        ("SWEEP_INVALID", {"parameters": []}),
        ("SWEEP_INVALID", {"parameters": [_choice("lr", 1), _choice("--lr", 2)]}),
        ("SWEEP_INVALID", {"primaryMetricName": ""}),
        ("SWEEP_INVALID", {"primaryMetricGoal": "PRIMARY_METRIC_GOAL_UNSPECIFIED"}),
        ("SWEEP_INVALID", {"maxTotalRuns": 0}),
        ("SWEEP_INVALID", {"maxTotalRuns": 1001}),
        ("SWEEP_INVALID", {"maxTotalRuns": -1}),
        ("SWEEP_INVALID", {"maxConcurrentRuns": -1}),
        ("SWEEP_INVALID", {"maxDurationMinutes": -1}),
        (
            "SWEEP_INVALID",
            {
                "sampling": "BayesianOptimization",
                "policy": {"name": "Bandit", "evaluationInterval": 1, "slackFactor": 1},
            },
        ),
        ("SWEEP_PARAMETER_INVALID", {"sampling": "GRID"}),
        ("SWEEP_PARAMETER_INVALID", {"sampling": "BayesianOptimization", **_of("loguniform", -1, 1)}),
        ("SWEEP_PARAMETER_INVALID", {"sampling": "BayesianOptimization", **_of("choice", True)}),
        ("SWEEP_PARAMETER_INVALID", {"sampling": "BayesianOptimization", **_of("choice", [1])}),
        ("SWEEP_PARAMETER_INVALID", _of("triangular", 0, 1)),
        ("SWEEP_PARAMETER_INVALID", _of("choice")),
        ("SWEEP_PARAMETER_INVALID", _of("choice", {"a": 1})),
        ("SWEEP_PARAMETER_INVALID", _of("choice", "a\0b")),
        ("SWEEP_PARAMETER_INVALID", _of("choice", ["a\0b"])),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", 0)),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", 0, 1, 2)),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", 1, 0)),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", "0", 1)),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", False, True)),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", 0, float("inf"))),
        ("SWEEP_PARAMETER_INVALID", _of("normal", 0, float("nan"))),
        ("SWEEP_PARAMETER_INVALID", _of("normal", 0, 10**400)),
        ("SWEEP_PARAMETER_INVALID", _of("quniform", -1.7e308, 1.7e308, 1)),
        ("SWEEP_PARAMETER_INVALID", _of("normal", 0, -1)),
        ("SWEEP_PARAMETER_INVALID", _of("qnormal", 0, 1, 0)),
        ("SWEEP_PARAMETER_INVALID", _of("quniform", 0, 1, 0.5)),
        ("SWEEP_PARAMETER_INVALID", _of("qloguniform", 2, 1, 1)),
        ("SWEEP_PARAMETER_INVALID", _of("randint", 0)),
        ("SWEEP_PARAMETER_INVALID", _of("randint", 1.5)),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", 0, 1, name="")),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", 0, 1, name="a b")),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", 0, 1, name="a=b")),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", 0, 1, name="--")),
        ("SWEEP_PARAMETER_INVALID", _of("uniform", 0, 1, name="a\0")),
        ("SWEEP_PARAMETER_INVALID", {"parameters": [{"name": "x", "distribution": "choice", "argumentsJson": ["{"]}]}),
        (
            "SWEEP_PARAMETER_INVALID",
            {"parameters": [{"name": "x", "distribution": "choice", "argumentsJson": ["[" * 10**5]}]},
        ),
        ("SWEEP_POLICY_INVALID", {"policy": {"name": "Hyperband"}}),
        ("SWEEP_POLICY_INVALID", {"policy": {"name": "Bandit", "slackFactor": 0.1}}),
        ("SWEEP_POLICY_INVALID", {"policy": {"name": "Bandit", "evaluationInterval": 1}}),
        (
            "SWEEP_POLICY_INVALID",
            {"policy": {"name": "Bandit", "evaluationInterval": 1, "slackFactor": 1, "slackAmount": 1}},
        ),
        ("SWEEP_POLICY_INVALID", {"policy": {"name": "Bandit", "evaluationInterval": 1, "slackFactor": -1}}),
        ("SWEEP_POLICY_INVALID", {"policy": {"name": "Bandit", "evaluationInterval": 1, "slackAmount": "NaN"}}),
        ("SWEEP_POLICY_INVALID", {"policy": {"name": "MedianStopping", "evaluationInterval": 1, "slackFactor": 1}}),
        (
            "SWEEP_POLICY_INVALID",
            {"policy": {"name": "MedianStopping", "evaluationInterval": 1, "delayEvaluation": -1}},
        ),
        ("SWEEP_POLICY_INVALID", {"policy": {"name": "TruncationSelection", "evaluationInterval": 1}}),
        (
            "SWEEP_POLICY_INVALID",
            {"policy": {"name": "TruncationSelection", "evaluationInterval": 1, "truncationPercentage": 100}},
        ),
    ],
)
async def test_what_cannot_work_is_refused_and_leaves_nothing(
    emulator: Emulated, reason: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await emulator.submit({"sweep": {**SWEEP, **changes}})
    assert caught.value.reason == reason
    listed = await emulator.call("RunService/ListRuns", R.ListRunsRequest(parent=EXPERIMENT))
    assert not listed.runs


@pytest.mark.parametrize(
    ("kind", "reason", "definition"),
    [
        (Unimplemented, "SWEEP_OF_COMMAND_NOT_SUPPORTED", {"script": "", "command": ["python", "train.py"]}),
        (NotFound, "COMPUTE_TARGET_NOT_FOUND", {"target": "nowhere"}),
        (InvalidArgument, "NODE_COUNT_TOO_LARGE", {"target": "cpu", "nodeCount": 9, "communicator": "Mpi"}),
        (InvalidArgument, "NODE_COUNT_TOO_LARGE", {"nodeCount": 2, "communicator": "Mpi"}),
        (InvalidArgument, "VM_SIZE_REQUIRED", {"target": "amlcompute"}),
        (InvalidArgument, "ENTRY_SCRIPT_NOT_FOUND", {"script": "other.py"}),
    ],
)
async def test_what_no_child_could_do_is_refused_at_once(
    emulator: Emulated, kind: type[LocalAmlError], reason: str, definition: dict[str, Any]
) -> None:
    await emulator.cluster()
    with pytest.raises(kind) as caught:
        await emulator.submit({**definition, "sweep": SWEEP})
    assert caught.value.reason == reason


async def test_without_optuna_the_extra_is_named(emulator: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FailedPrecondition, match=r"localaml\[sweep\]") as caught:
        await emulator.submit({"sweep": {**SWEEP, "sampling": "BayesianOptimization"}})
    assert caught.value.reason == "EXTRA_MISSING"


async def test_a_sweep_and_its_children(emulator: Emulated) -> None:
    await emulator.cluster()
    definition = {"target": "cpu", "arguments": ["--x", "1"], "sweep": {**SWEEP, "seed": "7"}}
    run = await emulator.submit(definition, tags={"a": "b"}, properties={"azureml.runsource": "hyperdrive"})
    assert run.run_id.startswith("HD_")
    assert (run.run_type, run.target, run.submitted, run.state) == ("hyperdrive", "cpu", True, R.RUN_STATE_RUNNING)
    assert run.definition.sweep.seed == 7
    first, second = f"{run.run_id}_0", f"{run.run_id}_1"
    await _until_running(emulator, first, second)
    request = R.ListRunsRequest(parent=EXPERIMENT, parent_run_id=run.run_id)
    children = {child.run_id: child for child in (await emulator.call("RunService/ListRuns", request)).runs}
    assert set(children) == {first, second}
    child = children[first]
    values = json.loads(child.tags["hyperparameters"])
    assert list(child.definition.arguments) == ["--x", "1", "--lr", str(values["--lr"])]
    assert not child.definition.HasField("sweep")
    assert (child.run_type, child.parent_run_id, child.root_run_id) == ("azureml.scriptrun", run.run_id, run.run_id)
    assert child.properties["hyperparameters"] == child.tags["hyperparameters"]
    assert child.properties["ContentSnapshotId"] == run.properties["ContentSnapshotId"]
    assert "a" not in child.tags

    series = metric_pb2.MetricSeries(
        name="acc", type=metric_pb2.METRIC_TYPE_SCALAR, values_json=["0.5", "0.25"], times_micros=[1, 2]
    )
    await emulator.call("MetricService/LogMetrics", metric_pb2.LogMetricsRequest(parent=child.name, series=[series]))
    for name in (first, second):
        emulator.runtime.jobs[name].end()
    ended = await emulator.until(run, R.RUN_STATE_COMPLETED)
    assert ended.properties["best_child_run_id"] == first
    assert ended.properties["score"] == "0.5"
    assert json.loads(ended.tags[first]) == values


async def test_a_seed_is_noted_and_a_repeated_submit_is_one(emulator: Emulated) -> None:
    run = await emulator.submit({"sweep": SWEEP}, run_id="sweep", request_id="q")
    assert run.definition.sweep.HasField("seed")
    assert (await emulator.submit({"sweep": SWEEP}, run_id="sweep", request_id="q")).number == run.number
    # Also without the request's id: the seed follows from the run's.
    assert (await emulator.submit({"sweep": SWEEP}, run_id="sweep")).number == run.number
    other = await emulator.submit({"sweep": SWEEP}, run_id="other")
    assert other.definition.sweep.seed != run.definition.sweep.seed


async def test_the_password_of_a_registry_is_sealed_for_each_child(emulator: Emulated) -> None:
    docker = {"baseImage": "i", "baseImageRegistry": {"address": "a", "username": "u", "password": "geheim"}}
    run = await emulator.submit({"environment": {"docker": docker}, "sweep": SWEEP})
    child = f"{run.run_id}_0"
    await _until_running(emulator, child)
    stored = emulator.store.runs.get((await emulator.key(run))._replace(run_id=child))
    assert b"geheim" not in stored.definition
    assert "geheim" not in repr(stored)
    registry = stored_job_spec(stored, emulator.context.sealer).container.registry
    assert registry is not None
    assert registry.password == "geheim"


async def test_a_caller_cannot_pretend_to_be_a_sweep(emulator: Emulated) -> None:
    """Only a definition makes one; the type alone is a name."""
    run = await emulator.create_run("pretended", run_type="hyperdrive")
    done = await emulator.call("RunService/CompleteRun", R.CompleteRunRequest(name=run.name))
    assert done.state == R.RUN_STATE_COMPLETED
    run = await emulator.submit(run_type="hyperdrive")
    await _until_running(emulator, run.run_id)
    emulator.runtime.jobs[run.run_id].end()
    await emulator.until(run, R.RUN_STATE_COMPLETED)


async def test_the_definition_says_what_it_is_in_json() -> None:
    from google.protobuf import json_format

    message = json_format.ParseDict({"sweep": SWEEP}, run_definition_pb2.RunDefinition())
    assert json_format.MessageToDict(message)["sweep"] == SWEEP
