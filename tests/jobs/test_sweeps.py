"""Sweeps over a runtime without processes: time, failures to start children, kills between any two steps."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.world import NAME, World

from localaml.control.clock import VirtualClock
from localaml.domain.job import JobSpec, Launch, PythonEnvironmentSpec
from localaml.domain.models import ErrorInfo, MetricRecord, Run, RunKey, ScaleSettings
from localaml.domain.names import RunName
from localaml.domain.states import RunState
from localaml.errors import FailedPrecondition
from localaml.jobs.hooks import JobHooks
from localaml_proto.v1 import run_definition_pb2

S = RunState
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
_numbers = itertools.count()


def submit_sweep(
    world: World,
    *options: int,
    nodes: int = 1,
    minutes: int = 0,
    concurrent: int = 2,
    target: str = "cpu",
    policy: dict[str, Any] | None = None,
) -> Run:
    """A grid over one parameter, named `s`; its children are `s_0`, `s_1` and so on."""
    definition = run_definition_pb2.RunDefinition(script="train.py", node_count=nodes, target=target)
    definition.amlcompute.vm_size = "STANDARD_D2_V2"
    sweep = definition.sweep
    sweep.sampling, sweep.primary_metric_name = "GRID", "acc"
    sweep.primary_metric_goal = run_definition_pb2.PRIMARY_METRIC_GOAL_MAXIMIZE
    sweep.max_total_runs, sweep.max_concurrent_runs, sweep.max_duration_minutes = 20, concurrent, minutes
    sweep.parameters.add(name="a", distribution="choice", arguments_json=[str(option) for option in options])
    for field, value in (policy or {}).items():
        setattr(sweep.policy, field, value)
    world.specs["s"] = JobSpec(
        script="train.py",
        command=(),
        arguments=(),
        launch=Launch.MPI if nodes > 1 else Launch.SINGLE,
        node_count=nodes,
        processes_per_node=1,
        environment=PythonEnvironmentSpec(),
        environment_variables={},
        data_references=(),
    )
    run = Run(
        RunName(NAME, "e", "s"),
        "wid",
        0,
        "hyperdrive",
        S.NOT_STARTED,
        world.clock.now(),
        True,
        target=target,
        snapshot_id="snap",
        definition=definition.SerializeToString(),
    )
    return world.orchestrator.sweeps.submit(run)


def report(world: World, run_id: str, *values: float) -> None:
    records = [MetricRecord("acc", 1, repr(value), 0) for value in values]
    world.store.metrics.append(RunKey("wid", run_id), records, f"w{next(_numbers)}", 0)


def states(world: World) -> dict[str, RunState]:
    """States of the children, by the ends of their ids."""
    found: dict[str, RunState] = {}
    for index in range(50):
        run = world.store.runs.find(RunKey("wid", f"s_{index}"))
        if run is not None:
            found[str(index)] = run.state
    return found


async def test_children_come_as_there_is_room(world: World) -> None:
    world.cluster(high=2)
    assert submit_sweep(world, 1, 2, 3).state is S.RUNNING
    await world.until(lambda: states(world) == {"0": S.RUNNING, "1": S.RUNNING}, "two run")
    world.runtime.jobs["s_0"].end()
    await world.until(lambda: states(world).get("2") is S.RUNNING, "the third runs")
    assert world.run("s_2").execution["sweep_child"] == {"index": 2, "values": {"--a": 3}}
    assert world.run("s_2").parent_run_id == world.run("s_2").root_run_id == "s"
    for name in ("s_1", "s_2"):
        world.runtime.jobs[name].end()
    run = await world.state("s", S.COMPLETED)
    assert world.states("s") == [S.NOT_STARTED, S.RUNNING, S.COMPLETED]
    assert set(run.tags) == {"s_0", "s_1", "s_2"}
    await world.until(lambda: not world.paths.run(run.key).root.exists(), "the sweep's folder goes")
    names = [artifact.path for artifact in world.store.artifacts.list(run.key)]
    assert names == ["azureml-logs/hyperdrive.txt"]
    assert world.store.changes.subscription_count == 0


async def test_a_policy_looks_at_each_report(world: World) -> None:
    world.cluster(high=2)
    submit_sweep(world, 1, 2, 3, policy={"name": "Bandit", "evaluation_interval": 2, "slack_factor": 0.1})
    await world.until(lambda: len(world.runtime.jobs) == 2, "two run")
    report(world, "s_0", 0.9, 0.9)
    report(world, "s_1", 0.1)
    for _ in range(50):  # turns of the loop, more than anything needs here
        await asyncio.sleep(0)
    assert states(world) == {"0": S.RUNNING, "1": S.RUNNING}  # one report is no interval of two
    report(world, "s_1", 0.2)
    await world.until(lambda: states(world) == {"0": S.RUNNING, "1": S.CANCELED, "2": S.RUNNING}, "the bad one goes")
    assert world.runtime.jobs["s_1"].terminated
    assert "Bandit: at interval 2" in [change.cause for change in world.run("s_1").state_changes][-2]
    for name in ("s_0", "s_2"):
        world.runtime.jobs[name].end()
    assert (await world.state("s", S.COMPLETED)).properties["best_child_run_id"] == "s_0"


async def test_reports_of_before_a_restart_count(world: World) -> None:
    world.cluster(high=2)
    submit_sweep(world, 1, 2, policy={"name": "Bandit", "evaluation_interval": 1, "slack_amount": 0.1})
    await world.until(lambda: len(world.runtime.jobs) == 2, "two run")
    report(world, "s_0", 0.9)
    await world.restart()
    await world.until(lambda: len(world.runtime.jobs) == 2, "two are adopted")
    report(world, "s_1", 0.5)
    await world.until(lambda: states(world) == {"0": S.RUNNING, "1": S.CANCELED}, "the bad one goes")
    world.runtime.jobs["s_0"].end()
    await world.state("s", S.COMPLETED)


@pytest.fixture
async def timed(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path, clock=VirtualClock(START))
    await made.orchestrator.start()
    yield made
    await made.orchestrator.close()
    made.store.close()


async def test_max_duration_cancels_the_sweep_and_its_children(timed: World) -> None:
    world, clock = timed, timed.clock
    assert isinstance(clock, VirtualClock)
    world.cluster(high=2)
    submit_sweep(world, 1, 2, 3, minutes=5)
    await world.until(lambda: states(world) == {"0": S.RUNNING, "1": S.RUNNING}, "two run")
    await clock.advance(299)
    assert set(states(world).values()) == {S.RUNNING}
    await clock.advance(1)
    run = await world.state("s", S.CANCELED)
    assert set(states(world).values()) == {S.CANCELED}
    assert len(states(world)) == 2
    assert all(job.terminated for job in world.runtime.jobs.values())
    assert "max_duration_minutes" in run.state_changes[-1].cause
    assert run.ended_at is not None and run.started_at is not None
    assert (run.ended_at - run.started_at).total_seconds() == 300


async def test_the_duration_counts_over_a_restart(timed: World) -> None:
    world, clock = timed, timed.clock
    assert isinstance(clock, VirtualClock)
    world.cluster(high=2)
    submit_sweep(world, 1, 2, minutes=5)
    await world.until(lambda: len(world.runtime.jobs) == 2, "two run")
    await clock.advance(200)
    await world.restart()
    await world.until(lambda: len(world.runtime.jobs) == 2, "two are adopted")
    await clock.advance(99)
    assert world.run("s").state is S.RUNNING
    await clock.advance(1)
    await world.state("s", S.CANCELED)


async def test_without_work_of_its_own_it_holds_no_clock(timed: World) -> None:
    world, clock = timed, timed.clock
    assert isinstance(clock, VirtualClock)
    world.cluster(high=2)
    submit_sweep(world, 1)
    await world.until(lambda: len(world.runtime.jobs) == 1, "it runs")
    async with asyncio.timeout(5):
        await clock.advance(3600)
    world.runtime.jobs["s_0"].end()
    await world.state("s", S.COMPLETED)


async def test_a_child_that_cannot_be_submitted_fails_the_sweep(world: World) -> None:
    key = world.cluster(high=2)
    submit_sweep(world, 1, 2, nodes=2, concurrent=1)
    await world.until(lambda: states(world) == {"0": S.RUNNING}, "the first runs")
    world.orchestrator.resize_cluster(key, ScaleSettings(0, 1, 60))
    world.runtime.jobs["s_0"].end()
    run = await world.state("s", S.FAILED)
    assert run.error is not None
    assert run.error.code == "NODE_COUNT_TOO_LARGE"
    assert "number 1" in run.error.message
    assert states(world) == {"0": S.COMPLETED}


async def test_then_those_that_go_on_are_ended_first(world: World) -> None:
    world.cluster(high=3)
    taken = world.submit("s_2")  # somebody else's run has the name of a child
    await world.state("s_2", S.RUNNING)
    submit_sweep(world, 1, 2, 3, concurrent=2)
    await world.until(lambda: list(states(world).values()) == [S.RUNNING] * 3, "all run")
    world.runtime.jobs["s_1"].deaf = True
    world.runtime.jobs["s_0"].end()
    await world.state("s_1", S.CANCEL_REQUESTED)
    assert world.run("s").state is S.RUNNING
    world.runtime.jobs["s_1"].end()
    run = await world.state("s", S.FAILED)
    assert run.error is not None
    assert run.error.code == "RUN_EXISTS"
    assert world.run(taken.run_id).state is S.RUNNING
    world.runtime.jobs["s_2"].end()


async def test_a_sweep_cannot_be_ended_by_a_caller(world: World) -> None:
    world.cluster()
    run = submit_sweep(world, 1)
    with pytest.raises(FailedPrecondition) as caught:
        world.orchestrator.ends.complete(run.key)
    assert caught.value.reason == "SWEEP_ENDS_BY_ITSELF"
    with pytest.raises(FailedPrecondition) as caught:
        await world.orchestrator.ends.fail(run.key, ErrorInfo("", ""), by_script=False)
    assert caught.value.reason == "SWEEP_ENDS_BY_ITSELF"
    await world.until(lambda: "s_0" in world.runtime.jobs, "it runs")
    world.runtime.jobs["s_0"].end()
    await world.state("s", S.COMPLETED)


async def test_a_child_that_its_caller_fails_counts_as_failed_and_the_sweep_goes_on(world: World) -> None:
    world.cluster(high=1)
    submit_sweep(world, 1, 2)
    await world.until(lambda: states(world) == {"0": S.RUNNING, "1": S.QUEUED}, "one runs and one waits")
    await world.orchestrator.ends.fail(world.key("s_0"), ErrorInfo("NAN", "no number"), by_script=False)
    await world.until(lambda: states(world) == {"0": S.FAILED, "1": S.RUNNING}, "the next one")
    assert world.runtime.jobs["s_0"].terminated
    world.runtime.jobs["s_1"].end()
    await world.until(lambda: world.run("s").state.is_terminal, "the sweep's end")
    assert states(world) == {"0": S.FAILED, "1": S.COMPLETED}


async def test_a_cancel_waits_for_children_that_take_their_time(world: World) -> None:
    world.cluster(high=1)
    run = submit_sweep(world, 1, 2, 3)
    await world.until(lambda: states(world) == {"0": S.RUNNING, "1": S.QUEUED}, "one runs and one waits")
    world.runtime.jobs["s_0"].deaf = True
    assert (await world.orchestrator.cancel_run(run.key)).state is S.CANCEL_REQUESTED
    await world.until(lambda: states(world) == {"0": S.CANCEL_REQUESTED, "1": S.CANCELED}, "all are asked")
    assert world.run("s").state is S.CANCEL_REQUESTED
    world.runtime.jobs["s_0"].end()
    await world.state("s", S.CANCELED)
    assert len(states(world)) == 2


async def test_all_ends_with_everything(world: World) -> None:
    world.cluster(high=2)
    submit_sweep(world, 1, 2, 3)
    await world.until(lambda: len(world.runtime.jobs) == 2, "two run")
    await world.orchestrator.cancel_all()
    assert world.run("s").state is S.CANCELED
    assert set(states(world).values()) == {S.CANCELED}


async def test_a_workspace_takes_its_sweeps_along(world: World) -> None:
    world.cluster(high=2)
    submit_sweep(world, 1, 2, 3)
    await world.until(lambda: len(world.runtime.jobs) == 2, "two run")
    await world.orchestrator.delete_workspace_runs("wid")
    assert world.run("s").state is S.CANCELED


class _Killed(BaseException):
    """Stands for the death of the process: nothing after it happens."""


class _KillAt(JobHooks):
    """Kills at the n-th child that is stored: before anything else is noted of it."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self.has_killed = False

    def reached(self, point: str, run: Run) -> None:
        if point == "submit-committed" and run.run_id == self._run_id and not self.has_killed:
            self.has_killed = True
            raise _Killed


@pytest.mark.parametrize("where", ["s", "s_0", "s_1", "s_3"])
async def test_a_kill_right_after_a_submit_was_stored(tmp_path: Path, where: str) -> None:
    hooks = _KillAt(where)
    world = World(tmp_path, hooks=hooks)
    await world.orchestrator.start()
    world.cluster(high=2)

    def ends(condition: Callable[[], bool]) -> Callable[[], bool]:
        """The condition, while all jobs end as they come."""

        def look() -> bool:
            for job in list(world.runtime.jobs.values()):
                job.end()
            return condition()

        return look

    if where == "s":
        with pytest.raises(_Killed):
            submit_sweep(world, 1, 2, 3, 4)
    else:
        submit_sweep(world, 1, 2, 3, 4)
        await world.until(ends(lambda: hooks.has_killed), "the kill")
    await world.restart()
    await world.until(ends(lambda: world.run("s").state.is_terminal), "the end")
    assert world.run("s").state is S.COMPLETED
    assert states(world) == {str(index): S.COMPLETED for index in range(4)}
    assert [world.run(f"s_{index}").execution["sweep_child"]["values"]["--a"] for index in range(4)] == [1, 2, 3, 4]
    assert set(world.run("s").tags) == {f"s_{index}" for index in range(4)}
    await world.orchestrator.close()
    world.store.close()


async def test_clusters_of_their_own(world: World) -> None:
    """Target `amlcompute`: each child has a cluster, which goes with it."""
    submit_sweep(world, 1, 2, target="amlcompute")
    await world.until(lambda: len(world.runtime.jobs) == 2, "two run")
    assert len({world.run(name).target for name in ("s_0", "s_1")}) == len(world.store.clusters.list()) == 2
    for job in world.runtime.jobs.values():
        job.end()
    await world.state("s", S.COMPLETED)
    await world.until(lambda: not world.store.clusters.list(), "the clusters go with their runs")
