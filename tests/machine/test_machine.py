"""Anything in any order: runs, clusters, evictions, crashes and restarts, against what must always hold.

Over the runtime without processes and a virtual clock, so that a step takes milliseconds. More by hand:

    LOCALAML_MACHINE_EXAMPLES=500 LOCALAML_MACHINE_STEPS=40 pytest tests/machine --timeout 0
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.jobs.world import World

from localaml.control.clock import VirtualClock
from localaml.domain.faults import CRASH_POINTS
from localaml.domain.models import ClusterKey, Node, Run, ScaleSettings
from localaml.domain.run_lifecycle import PLACED, WAITING
from localaml.domain.states import NodeState, RunState
from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.jobs.hooks import JobHooks

_T = TypeVar("_T")
_MOST_NODES = 3
_SIZE = 2  # cores of Standard_D2_v2
_UNLIMITED = 10_000
_START = datetime(2026, 1, 1, tzinfo=timezone.utc)
_HERE = (NodeState.PREPARING, NodeState.IDLE, NodeState.RUNNING)


class Crash(BaseException):
    """The emulator ends here. No `except Exception` of its own may go on after it."""


class CrashingHooks(JobHooks):
    """Crashes once, at the point that was armed."""

    def __init__(self) -> None:
        self.armed = ""
        self.crashed = False

    def reached(self, point: str, run: Run) -> None:
        if point == self.armed:
            self.armed = ""
            self.crashed = True
            raise Crash(point)


class Machine(RuleBasedStateMachine):
    """One low-priority cluster and its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="localaml-machine-"))
        self.numbers = iter(range(10_000))
        self.hooks = CrashingHooks()
        self.scale = ScaleSettings(0, 2, 60)
        self.quota = _UNLIMITED
        self.stories: dict[str, tuple[object, ...]] = {}
        self.ends: dict[str, set[RunState]] = {}

    def do(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T | None:
        """Does something and lets everything that follows from it happen; None when the emulator crashed meanwhile."""

        async def act() -> _T | None:
            result: _T | None = None
            with suppress(Crash):
                result = await work()
            await self.settle()
            if self.hooks.crashed:
                self.hooks.crashed = False
                await self.world.restart()
                await self.settle()
                return None
            return result

        return self.runner.run(act())

    async def settle(self) -> None:
        await self.clock.advance(0)
        await self.world.orchestrator._folders.settle()

    @initialize()
    def begin(self) -> None:
        async def make() -> None:
            self.clock = VirtualClock(_START)
            self.world = World(self.folder, self.clock, self.hooks)
            await self.world.orchestrator.start()
            self.key: ClusterKey = self.world.cluster(0, 2, priority="lowpriority")

        self.do(make)

    def teardown(self) -> None:
        async def stop() -> None:
            await self.world.orchestrator.close()
            self.world.store.close()

        if hasattr(self, "world"):
            self.runner.run(stop())
        self.runner.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what can happen ----------------------------------------------------------------------------------------------

    @rule(nodes=st.integers(1, _MOST_NODES))
    def submit(self, nodes: int) -> None:
        name = f"r{next(self.numbers)}"

        async def act() -> bool:
            try:
                self.world.submit(name, nodes)
            except InvalidArgument:
                assert nodes > self.scale.max_node_count
                return False
            return True

        done = self.do(act)
        if done is not None:
            assert done == (nodes <= self.scale.max_node_count)
        if self.world.store.runs.find(self.world.key(name)) is not None:
            self.ends[name] = {RunState.CANCELED, RunState.COMPLETED, RunState.FAILED}

    def jobs(self) -> list[str]:
        return sorted(run.run_id for run in self.runs() if run.state is RunState.RUNNING)

    def runs(self) -> list[Run]:
        return [self.world.run(name) for name in self.ends]

    @precondition(lambda self: self.jobs())
    @rule(data=st.data(), code=st.sampled_from([0, 0, 3]))
    def end(self, data: st.DataObject, code: int) -> None:
        name = data.draw(st.sampled_from(self.jobs()))

        async def act() -> bool:
            self.world.runtime.jobs[name].end(code)
            return True

        if self.do(act):
            assert self.world.run(name).state is (RunState.FAILED if code else RunState.COMPLETED)

    @precondition(lambda self: self.ends)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.ends)))
        before = self.world.run(name).state

        async def act() -> bool:
            try:
                await self.world.orchestrator.cancel_run(self.world.key(name))
            except FailedPrecondition:
                assert before.is_terminal
            return True

        if self.do(act):
            assert self.world.run(name).state is (before if before.is_terminal else RunState.CANCELED)

    @rule(low=st.integers(0, _MOST_NODES), high=st.integers(1, _MOST_NODES), idle=st.sampled_from([0, 60, 600]))
    def resize(self, low: int, high: int, idle: int) -> None:
        scale = ScaleSettings(min(low, high), high, idle)

        async def act() -> bool:
            try:
                self.world.orchestrator.resize_cluster(self.key, scale)
            except FailedPrecondition:
                return False
            return True

        if self.do(act) is not False:
            self.scale = self.world.store.clusters.get(self.key).scale
            assert self.scale == scale
        else:
            assert scale.min_node_count * _SIZE > self.quota

    @rule(cores=st.sampled_from([0, 2, 3, 4, _UNLIMITED]))
    def set_quota(self, cores: int) -> None:
        async def act() -> None:
            self.world.orchestrator.quotas.set_limit("wid", "lowPriorityCores", cores)

        self.do(act)
        self.quota = cores

    @precondition(lambda self: self.targets())
    @rule(data=st.data(), what=st.sampled_from(["evict", "evict with notice", "lose", "memory"]))
    def disturb(self, data: st.DataObject, what: str) -> None:
        node = data.draw(st.sampled_from(self.targets()))
        run = self.world.key(node.run_id) if node.run_id is not None else None

        async def act() -> None:
            do = self.world.orchestrator.disturbances
            if what == "lose":
                do.lose_node(self.key, node.node_id)
            elif what == "memory":
                if run is not None and do.is_at_work(run):
                    do.out_of_memory(run, node.node_id)
            else:
                do.evict_node(self.key, node.node_id, notice_seconds=30 * (what != "evict"))

        self.do(act)

    def targets(self) -> list[Node]:
        return self.world.orchestrator.disturbances.nodes()

    @rule(broken=st.booleans())
    def break_the_cloud(self, broken: bool) -> None:
        self.world.runtime.broken = broken

    @rule(seconds=st.sampled_from([1, 31, 61, 3600]))
    def advance(self, seconds: int) -> None:
        async def act() -> None:
            await self.clock.advance(seconds)

        self.do(act)

    @rule()
    def restart(self) -> None:
        async def act() -> None:
            await self.world.restart()

        self.do(act)

    @rule(point=st.sampled_from(CRASH_POINTS))
    def arm_a_crash(self, point: str) -> None:
        self.hooks.armed = point

    # -- what must always hold ----------------------------------------------------------------------------------------

    @invariant()
    def stories_only_grow_and_end_once(self) -> None:
        for run in self.runs():
            before = self.stories.get(run.run_id, ())
            assert run.state_changes[: len(before)] == before, "a story is never rewritten"
            terminal = [change for change in run.state_changes if change.state.is_terminal]
            assert len(terminal) <= 1 and (not terminal or terminal[0] is run.state_changes[-1])
            assert run.state is run.state_changes[-1].state
            assert run.state is not RunState.FAILED or run.error is not None, "a failed run says why"
            self.stories[run.run_id] = run.state_changes

    @invariant()
    def nodes_are_within_bounds(self) -> None:
        if not hasattr(self, "world"):
            return
        status = self.world.orchestrator.cluster_status(self.key)
        here = [node for node in status.nodes if node.state in _HERE]
        assert len(here) <= self.scale.max_node_count
        # A quota that was lowered takes no node away; nothing is added above it.
        if not self.world.runtime.broken and self.quota == _UNLIMITED and not status.cluster.errors:
            assert len(here) >= self.scale.min_node_count
        assert {node.node_id for node in status.nodes} >= set(self.world.runtime.nodes), "no node is forgotten"
        stored = {node.node_id: node for node in self.world.store.nodes.list(self.key)}
        assert stored == {node.node_id: node for node in status.nodes}
        assert len({node.host_name for node in status.nodes}) == len(status.nodes)

    @invariant()
    def a_node_works_for_one_run_which_has_all_its_nodes(self) -> None:
        if not hasattr(self, "world"):
            return
        nodes = self.world.orchestrator.cluster_status(self.key).nodes
        assert all((node.run_id is not None) or node.state is not NodeState.RUNNING for node in nodes)
        for run in self.runs():
            own = {node.node_id for node in nodes if node.run_id == run.run_id}
            if run.state in PLACED:
                assert own == set(run.node_ids) and len(own) == self.world.specs[run.run_id].node_count
            else:
                assert not own
        active = {run.key for run in self.runs() if run.state in PLACED}
        assert set(self.world.orchestrator._executions) == active

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        if not hasattr(self, "world") or self.world.runtime.broken or self.quota != _UNLIMITED:
            return
        status = self.world.orchestrator.cluster_status(self.key)
        waiting = [run for run in self.runs() if run.state in WAITING]
        fitting = [run for run in waiting if self.world.specs[run.run_id].node_count <= self.scale.max_node_count]
        if fitting and not status.cluster.errors:
            first = min(fitting, key=lambda run: self.world.store.runs.row_number(run.key))
            working = sum(node.state is NodeState.RUNNING for node in status.nodes)
            assert working + self.world.specs[first.run_id].node_count > self.scale.max_node_count

    @invariant()
    def nothing_is_left_of_what_has_ended(self) -> None:
        for run in self.runs():
            if run.state.is_terminal:
                assert not self.world.paths.run(run.key).root.exists()

    @invariant()
    def the_history_tells_the_same(self) -> None:
        if not hasattr(self, "world"):
            return
        events = self.world.store.events.list(limit=100_000)
        assert [event.sequence for event in events] == sorted({event.sequence for event in events})
        last: dict[str, str] = {}
        for event in events:
            if event.old_state:
                assert last.get(event.subject, event.old_state) == event.old_state or event.kind == "cluster"
            last[event.subject] = event.new_state
        for run in self.runs():
            assert last[run.run_id] == run.state.value
        for node in self.world.orchestrator.cluster_status(self.key).nodes:
            assert last[node.node_id] == node.state.value


Machine.TestCase.settings = settings(
    max_examples=int(os.environ.get("LOCALAML_MACHINE_EXAMPLES", "30")),
    stateful_step_count=int(os.environ.get("LOCALAML_MACHINE_STEPS", "30")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestMachine = Machine.TestCase
