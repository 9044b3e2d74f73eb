"""Anything in any order: runs, clusters, evictions, faults, crashes and restarts, against what must always hold.

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
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.jobs.world import World
from tests.support.fake_runtime import FakeRuntime

from localaml.clock import RealClock
from localaml.control.clock import VirtualClock
from localaml.control.faults import FaultControl
from localaml.domain.faults import CRASH_POINTS, FaultEffect, FaultKind, FaultRule, FaultTarget, FaultWhen
from localaml.domain.models import Cluster, ClusterKey, ErrorInfo, Node, Run, ScaleSettings
from localaml.domain.run_lifecycle import PLACED, WAITING
from localaml.domain.states import NodeState, RunState
from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.jobs.history import History
from localaml.jobs.hooks import JobHooks
from localaml.store import EventFilter, Store

_T = TypeVar("_T")
_MOST_NODES = 3
_SIZE = 2  # cores of Standard_D2_v2
_UNLIMITED = 10_000
_START = datetime(2026, 1, 1, tzinfo=timezone.utc)
_FAULTS = (
    FaultKind.CRASH,
    FaultKind.IMAGE_BUILD_FAILED,
    FaultKind.NODE_EVICTED,
    FaultKind.NODE_LOST,
    FaultKind.OUT_OF_MEMORY,
    FaultKind.PROVISIONING_FAILED,
)
_ON_NODES = (FaultKind.NODE_EVICTED, FaultKind.NODE_LOST, FaultKind.OUT_OF_MEMORY)
_HERE = (NodeState.PREPARING, NodeState.IDLE, NodeState.RUNNING)


class Crash(BaseException):
    """The emulator ends here. No `except Exception` of its own may go on after it."""


class Hooks(JobHooks):
    """The faults of the emulator that runs now. Crashes, too, once at the point that was armed."""

    def __init__(self) -> None:
        self.armed = ""
        self.crashed = False
        self.faults: FaultControl | None = None

    def crash(self, code: int = 0) -> None:
        self.crashed = True
        raise Crash

    def reached(self, point: str, run: Run) -> None:
        if self.faults is not None:
            self.faults.reached(point, run)
        if point == self.armed:
            self.armed = ""
            self.crash()

    def before_cluster(self, cluster: Cluster) -> None:
        if self.faults is not None:
            self.faults.before_cluster(cluster)

    async def before_node_start(self, cluster: Cluster, node: Node) -> None:
        if self.faults is not None:
            await self.faults.before_node_start(cluster, node)

    async def before_environment(self, run: Run) -> None:
        if self.faults is not None:
            await self.faults.before_environment(run)


class Machine(RuleBasedStateMachine):
    """One low-priority cluster and its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="localaml-machine-"))
        self.numbers = iter(range(10_000))
        self.hooks = Hooks()
        self.scale = ScaleSettings(0, 2, 60)
        self.quota = _UNLIMITED
        self.stories: dict[str, tuple[object, ...]] = {}
        self.ends: dict[str, set[RunState]] = {}
        self.struck: dict[str, int] = {}

    def do(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T | None:
        """Does something and lets everything that follows from it happen; None when the emulator crashed meanwhile."""

        async def act() -> _T | None:
            result: _T | None = None
            with suppress(Crash):
                result = await work()
            await self.settle()
            if self.hooks.crashed:
                await self.come_back()
                return None
            return result

        return self.runner.run(act())

    async def come_back(self) -> None:
        """Restarts the emulator, which knows no more than what it has stored; as often as faults crash it again."""
        while True:
            self.hooks.crashed = False
            world = self.world
            await world.orchestrator.close()
            self.faults.close()
            world.store.close()
            world.store = Store.open(world.paths.metadata)
            world.runtime = FakeRuntime(world.runtime)
            faults = self.hooks.faults = self.control()
            world.orchestrator = world._orchestrator()
            faults.attach(world.orchestrator.disturbances, world.orchestrator.try_again)
            with suppress(Crash):
                await world.orchestrator.start()
                faults.restore()
            await self.settle()
            if not self.hooks.crashed:
                return

    def control(self) -> FaultControl:
        store = self.world.store
        return FaultControl(store, History(store, self.clock), self.clock, RealClock(), self.hooks.crash)

    @property
    def faults(self) -> FaultControl:
        assert self.hooks.faults is not None
        return self.hooks.faults

    async def settle(self) -> None:
        await self.clock.advance(0)
        await self.world.orchestrator._folders.settle()

    @initialize()
    def begin(self) -> None:
        async def make() -> None:
            self.clock = VirtualClock(_START)
            self.world = World(self.folder, self.clock, self.hooks)
            faults = self.hooks.faults = self.control()
            faults.attach(self.world.orchestrator.disturbances, self.world.orchestrator.try_again)
            await self.world.orchestrator.start()
            self.key: ClusterKey = self.world.cluster(0, 2, priority="lowpriority")

        self.do(make)

    def teardown(self) -> None:
        async def stop() -> None:
            await self.world.orchestrator.close()
            self.faults.close()
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

    @precondition(lambda self: self.ends)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.ends)))
        before = self.world.run(name).state

        async def act() -> bool:
            try:
                await self.world.orchestrator.ends.fail(self.world.key(name), ErrorInfo("", ""), by_script=False)
            except FailedPrecondition:
                assert before is RunState.CANCELED
            return True

        if self.do(act):
            assert self.world.run(name).state is (before if before is RunState.CANCELED else RunState.FAILED)

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

    def leaving_times(self) -> list[datetime]:
        """When idle nodes will have idled for long enough."""
        patience = timedelta(seconds=self.scale.idle_seconds_before_scaledown)
        nodes = self.world.orchestrator.cluster_status(self.key).nodes
        return sorted(node.state_changed_at + patience for node in nodes if node.state is NodeState.IDLE)

    @precondition(lambda self: self.leaving_times())
    @rule(last=st.booleans(), offset=st.sampled_from([-1, 0, 1]))
    def advance_to_the_brink(self, last: bool, offset: int) -> None:
        """To about when the first, or the last, of the idle nodes goes."""
        moment = self.leaving_times()[-1 if last else 0] + timedelta(seconds=offset)

        async def act() -> None:
            await self.clock.advance(max(0.0, (moment - self.clock.now()).total_seconds()))

        self.do(act)

    @rule()
    def restart(self) -> None:
        self.runner.run(self.come_back())

    @rule(
        kind=st.sampled_from(_FAULTS),
        count=st.integers(1, 3),
        skip=st.integers(0, 2),
        every=st.integers(1, 2),
        point=st.sampled_from(CRASH_POINTS),
        later=st.sampled_from([0, 0, 100]),
    )
    def add_a_fault(self, kind: FaultKind, count: int, skip: int, every: int, point: str, later: int) -> None:
        begin = self.clock.now() + timedelta(seconds=later) if later else None
        effect = FaultEffect(point=point) if kind is FaultKind.CRASH else FaultEffect()
        when = FaultWhen(count=count, skip=skip, every=every, not_before=begin)

        async def act() -> None:
            self.faults.add(FaultRule("", kind, FaultTarget(cluster="cpu"), when, effect))

        self.do(act)

    @precondition(lambda self: hasattr(self, "world") and self.faults.list())
    @rule(data=st.data(), everything=st.booleans())
    def clear_faults(self, data: st.DataObject, everything: bool) -> None:
        known = [state.rule.fault_id for state, _ in self.faults.list()]
        cleared = [] if everything else [data.draw(st.sampled_from(known))]

        async def act() -> None:
            self.faults.clear(cleared)

        self.do(act)
        left = [state.rule.fault_id for state, _ in self.faults.list()]
        assert left == [] if everything else left == [name for name in known if name not in cleared]

    @rule(point=st.sampled_from(CRASH_POINTS))
    def arm_a_crash(self, point: str) -> None:
        self.hooks.armed = point

    # -- what must always hold ----------------------------------------------------------------------------------------

    @invariant()
    def stories_only_grow_and_end_once(self) -> None:
        for run in self.runs():
            before = self.stories.get(run.run_id, ())
            assert run.state_changes[: len(before)] == before, "a story is never rewritten"
            ends = [change.state for change in run.state_changes if change.state.is_terminal]
            # A caller may say of a run that is Completed that it has failed.
            assert len(ends) <= 1 or ends == [RunState.COMPLETED, RunState.FAILED]
            assert [change.state for change in run.state_changes[len(run.state_changes) - len(ends) :]] == ends
            assert run.is_over is bool(ends), "nothing of it goes on"
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
    def no_node_idles_for_too_long(self) -> None:
        if not hasattr(self, "world") or any(run.state in WAITING for run in self.runs()):
            return
        nodes = self.world.orchestrator.cluster_status(self.key).nodes
        here = [node.state for node in nodes if node.state in _HERE]
        if any(moment <= self.clock.now() for moment in self.leaving_times()):
            assert len(here) <= max(self.scale.min_node_count, here.count(NodeState.RUNNING))

    @invariant()
    def faults_are_kept_and_count_what_the_history_tells(self) -> None:
        if not hasattr(self, "world"):
            return
        known = self.faults.list()
        stored = self.world.store.faults.list()
        assert [(fault.state, fault.added_at) for fault in stored] == known
        events = self.world.store.events.list(EventFilter(kind="fault"), limit=100_000)
        for state, _ in known:
            fault_id, when = state.rule.fault_id, state.rule.when
            told = sum(event.subject == fault_id and event.new_state == "struck" for event in events)
            assert told == state.struck == min(when.count, max(0, state.seen - when.skip) // when.every)
            assert self.struck.get(fault_id, 0) <= state.struck
            self.struck[fault_id] = state.struck

    @invariant()
    def a_fault_on_nodes_strikes_what_is_at_work(self) -> None:
        if not hasattr(self, "world"):
            return
        at_work = {node.run_id for node in self.targets() if node.run_id is not None} & set(self.jobs())
        for state, _ in self.faults.list():
            when = state.rule.when
            begun = when.not_before is None or when.not_before <= self.clock.now()
            if state.rule.kind in _ON_NODES and begun and when.skip == 0 and when.every == 1 and state.struck == 0:
                assert not at_work

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
