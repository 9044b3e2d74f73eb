"""Keeps one cluster: its queue and its nodes. `domain.scheduler` decides, the node runtime does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from localaml.clock import SteadyTime
from localaml.compute.runtime import NodeRuntime, NodeSpec
from localaml.domain.models import Cluster, ErrorInfo, Node
from localaml.domain.node_lifecycle import NodeEvent
from localaml.domain.scheduler import AddNodes, DrainNode, PlaceRun, RemoveNode, WaitingRun, plan
from localaml.domain.states import AllocationState, NodeState
from localaml.errors import LocalAmlError
from localaml.jobs.cluster_status import ClusterStatus
from localaml.jobs.history import History
from localaml.jobs.hooks import JobHooks
from localaml.jobs.node_book import NodeBook
from localaml.jobs.targets import node_spec
from localaml.settings import LatencySettings

if TYPE_CHECKING:
    from localaml.clock import Clock, Timer
    from localaml.store import Store

logger = logging.getLogger(__name__)

# After a node could not be started, so long nothing is tried on that cluster unless something else happens.
_START_RETRY_SECONDS = 30.0
_STOP_RETRY_SECONDS = 5.0


class ClusterControl:
    """One cluster at work.

    Args:
        place: called with a run's id and its nodes (rank 0's first) when the run has got them.
        history: told of every state of nodes and cluster.
        hooks: called before nodes are started, and when they are there.
        allowed: how many of some further nodes the quota has room for, and what to say when not for all.
        freed: called when a node has gone.
        latency: what queueing and starting nodes take beside what they take here.
        persist: whether cluster and nodes are kept in the store (the `local` target's are not).
        host_name: the host name of node number n of this cluster.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        store: Store,
        runtime: NodeRuntime,
        clock: Clock,
        new_node_id: Callable[[], str],
        place: Callable[[str, tuple[Node, ...]], None],
        host_name: Callable[[int], str],
        history: History,
        hooks: JobHooks,
        allowed: Callable[[Cluster, int], tuple[int, ErrorInfo | None]],
        freed: Callable[[], None],
        latency: LatencySettings | None = None,
        unique_host_names: bool = True,
        persist: bool = True,
    ) -> None:
        self.cluster = cluster
        self._store = store
        self._runtime = runtime
        self._clock = clock
        self._steady = SteadyTime(clock)
        self._new_node_id = new_node_id
        self._place = place
        self._host_name = host_name
        self._history = history
        self._hooks = hooks
        self._allowed = allowed
        self._freed = freed
        self._latency = latency or LatencySettings()
        self._unique_host_names = unique_host_names
        self._persist = persist
        self._queue: dict[str, WaitingRun] = {}
        # Runs of the queue that the scheduler does not see before their time; steady, as all times in here.
        self._ready_at: dict[str, datetime] = {}
        self._nodes = NodeBook(cluster.key, store, history, clock, self._steady, persist=persist)
        self._target = 0
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Those of them that wait for a machine that the cloud is still to provide.
        self._awaiting_machines: set[asyncio.Task[None]] = set()
        self._allocation = AllocationState.STEADY
        self._retry_after: datetime | None = None
        self._waits_for_quota = False
        # Nodes that are taken away once their run has had its notice.
        self._evicting: set[str] = set()
        self._closed = False

    # -- what others may ask and tell -------------------------------------------------------------------------------

    def status(self) -> ClusterStatus:
        """The cluster now."""
        nodes = tuple(self._nodes)
        present = sum(node.state is not NodeState.UNUSABLE for node in nodes)
        return ClusterStatus(self.cluster, nodes, self._allocation, present, self._target)

    def enqueue(self, run_id: str, node_count: int, submitted_at: datetime | None = None, *, position: int = 0) -> None:
        """Puts a run into the queue, by its position; the queue's latency counts from `submitted_at`."""
        self._insert(WaitingRun(run_id, node_count, position))
        if submitted_at is not None and self._latency.queue_seconds:
            self._ready_at[run_id] = self._steady.of(submitted_at) + timedelta(seconds=self._latency.queue_seconds)
        self._retry_after = None
        self.replan()

    def requeue(self, run: WaitingRun, node_ids: Iterable[str]) -> None:
        """Takes a run back into the queue, and its nodes."""
        self._insert(run)
        self.release(node_ids)

    def _insert(self, run: WaitingRun) -> None:
        self._queue[run.run_id] = run
        # The sort is stable, and all but at most one run are in order.
        self._queue = {each.run_id: each for each in sorted(self._queue.values(), key=lambda each: each.position)}

    def try_again(self, *, only_for_quota: bool = False) -> None:
        """Tries at once what failed for want of nodes."""
        if self._waits_for_quota or not only_for_quota:
            self._retry_after = None
            self._waits_for_quota = False
            self.replan()

    def withdraw(self, run_id: str) -> bool:
        """Takes a waiting run out of the queue; False when it is not there."""
        if self._queue.pop(run_id, None) is None:
            return False
        self._ready_at.pop(run_id, None)
        self.replan()
        return True

    @property
    def queued_run_ids(self) -> list[str]:
        return list(self._queue)

    def rescale(self, cluster: Cluster) -> None:
        """Takes over changed settings."""
        self.cluster = cluster
        self.try_again()

    def restore(self, nodes: Iterable[Node]) -> None:
        """Takes over nodes that an earlier emulator had. Those of runs stay with them; the others are started again."""
        for node in nodes:
            self._nodes.take_over(node)
            if node.run_id is not None:
                continue
            if node.state in (NodeState.IDLE, NodeState.PREPARING):
                self._nodes.put(replace(node, state=NodeState.PREPARING), "the emulator was started again")
                self._spawn(self._start(node.node_id))
            else:
                self._nodes.put(replace(node, state=NodeState.LEAVING), "the emulator was started again")
                self._spawn(self._stop(node.node_id))

    def keep_for_run(self, nodes: Iterable[Node]) -> None:
        """Makes sure that the nodes of a run that goes on are known as its own."""
        for node in nodes:
            known = self._nodes.find(node.node_id)
            if known is None or known.run_id != node.run_id:
                self._nodes.put(node, f"goes on to work for {node.run_id}")

    def release(self, node_ids: Iterable[str]) -> None:
        """A run gives its nodes back; those that are leaving, or were lost meanwhile, are not idle but go."""
        for node_id in node_ids:
            node = self._nodes.find(node_id)
            if node is None:
                continue
            if node_id in self._evicting:
                self._evicting.discard(node_id)
                self._nodes.move(node_id, NodeEvent.EVICT, "taken away after its notice", run_id=None)
            elif node.state is NodeState.RUNNING:
                self._nodes.move(node_id, NodeEvent.RELEASE, "its run has given it back", run_id=None)
            else:
                self._nodes.put(replace(node, run_id=None), "")
                if node.state is NodeState.LEAVING:
                    self._spawn(self._stop(node_id))
        self.replan()
        self._hooks.nodes_changed(self.cluster.key)

    def lose(self, node_id: str, cause: str) -> str | None:
        """A node has gone. Returns the run that worked on it."""
        return self._take(node_id, NodeEvent.LOSE, cause)

    def evict(self, node_id: str, cause: str, *, with_notice: bool) -> str | None:
        """A node is taken away; with notice, once its run gives it back. Returns the run that works on it."""
        run_id = self._nodes[node_id].run_id
        if with_notice and run_id is not None:
            self._evicting.add(node_id)
            return run_id
        return self._take(node_id, NodeEvent.EVICT, cause)

    def _take(self, node_id: str, event: NodeEvent, cause: str) -> str | None:
        node = self._nodes.move(node_id, event, cause)
        if node.run_id is None:
            self.replan()
        return node.run_id

    async def remove_all(self) -> None:
        """Stops every node and forgets the queue; for a cluster that is being deleted. Its runs must have ended."""
        self._queue.clear()
        self._ready_at.clear()
        self._closed = True
        self._cancel_timer()
        for task in self._awaiting_machines:
            task.cancel()
        await self._settle()
        await asyncio.gather(*(self._stop(node.node_id) for node in self._nodes))

    async def close(self) -> None:
        """Stops deciding; nodes and runs go on without the emulator."""
        self._closed = True
        self._cancel_timer()
        for task in self._tasks:
            task.cancel()
        await self._settle()

    # -- deciding ---------------------------------------------------------------------------------------------------

    def replan(self) -> None:
        """Asks what to do now and does it."""
        if self._closed:
            return
        self._cancel_timer()
        now = self._steady.now()
        # Nodes that still belong to a run are none of the scheduler's business until they are released.
        gone = (NodeState.UNUSABLE, NodeState.PREEMPTED)
        at_hand = [node for node in self._nodes if not (node.state in gone and node.run_id is not None)]
        nodes = [replace(node, state_changed_at=self._nodes.changed_at(node.node_id)) for node in at_hand]
        decided = plan(self.cluster.scale, nodes, self._ready_runs(now), now)
        self._target = decided.target_node_count
        ask_again_at = min((at for at in (decided.ask_again_at, *self._ready_at.values()) if at), default=None)
        wants_more = False
        for instruction in decided.instructions:
            match instruction:
                case AddNodes(count):
                    wants_more = True
                    if self._retry_after is None or now >= self._retry_after:
                        self._add(count)
                    if self._retry_after is not None and now < self._retry_after:
                        ask_again_at = min(ask_again_at or self._retry_after, self._retry_after)
                case RemoveNode(node_id, cause):
                    self._nodes.move(node_id, NodeEvent.REMOVE, cause)
                    self._spawn(self._stop(node_id))
                case DrainNode(node_id):
                    self._nodes.move(node_id, NodeEvent.REMOVE, "above the maximum: leaves after its job")
                case PlaceRun(run_id, node_ids):
                    del self._queue[run_id]
                    placed = tuple(
                        self._nodes.move(node_id, NodeEvent.ASSIGN, f"works for {run_id}", run_id=run_id)
                        for node_id in node_ids
                    )
                    self._place(run_id, placed)
        if ask_again_at is not None:
            seconds = (ask_again_at - now).total_seconds()
            self._timer = self._clock.call_later(seconds, self.replan)
        if not wants_more and self._target and self.cluster.errors:
            # It has the nodes that it wanted: what was wrong is over, and holds up nothing more.
            self._retry_after = None
            self._save(replace(self.cluster, errors=()))
        self._note_allocation()

    def _ready_runs(self, now: datetime) -> list[WaitingRun]:
        """The queue as far as the scheduler may see it."""
        for run_id in [run_id for run_id, at in self._ready_at.items() if at <= now]:
            del self._ready_at[run_id]
        return [run for run in self._queue.values() if run.run_id not in self._ready_at]

    def _add(self, count: int) -> None:
        count, refused = self._allowed(self.cluster, count)
        if refused is not None:
            self._waits_for_quota = True
            self._fail(refused)
        used = {node.host_name for node in self._nodes}
        number = 0
        for _ in range(count):
            while self._unique_host_names and self._host_name(number) in used:
                number += 1
            host_name = self._host_name(number)
            used.add(host_name)
            now = self._clock.now()
            node = Node(self.cluster.key, self._new_node_id(), NodeState.PREPARING, host_name, now, now)
            self._nodes.put(node, "needed")
            self._spawn(self._start(node.node_id))

    # -- doing ------------------------------------------------------------------------------------------------------

    def spec(self, node: Node) -> NodeSpec:
        """What the runtime calls a node."""
        return node_spec(self.cluster, node)

    async def _start(self, node_id: str) -> None:
        await self._await_machine(self._nodes[node_id])
        cause = "started"
        try:
            if self._persist:
                await self._hooks.before_node_start(self.cluster, self._nodes[node_id])
            spec = self.spec(self._nodes[node_id])
            await self._runtime.start_node(spec)
        except Exception as error:
            # Also a defect of ours must not leave a node that is neither there nor gone.
            self._node_failed("started", error)
            event, cause = NodeEvent.START_FAILED, str(error)
        else:
            event = NodeEvent.STARTED
            if note := self._runtime.node_note(spec):
                cause = f"started: {note}"
        if (node := self._nodes.find(node_id)) is not None and node.state is NodeState.PREPARING:
            self._nodes.move(node_id, event, cause)
            self.replan()
            self._hooks.nodes_changed(self.cluster.key)

    async def _await_machine(self, node: Node) -> None:
        """Waits for what a machine takes in the cloud, counted from the node's making, also after a restart."""
        seconds = self._latency.provisioning_seconds + self._latency.node_start_seconds
        left = self._steady.seconds_left(seconds, node.created_at)
        task = asyncio.current_task()
        if left > 0 and task is not None:
            self._awaiting_machines.add(task)
            try:
                await self._clock.sleep(left)
            finally:
                self._awaiting_machines.discard(task)

    async def _stop(self, node_id: str) -> None:
        while True:
            try:
                await self._runtime.stop_node(self.spec(self._nodes[node_id]))
                break
            except (LocalAmlError, OSError) as error:
                # It may be there still, so it counts.
                self._node_failed("removed", error)
                await self._clock.sleep(_STOP_RETRY_SECONDS)
        self._nodes.remove(node_id)
        self.replan()
        self._freed()

    def _node_failed(self, verb: str, error: Exception) -> None:
        reason = error.reason if isinstance(error, LocalAmlError) else "NODE_START_FAILED"
        told = ErrorInfo(reason, f"A node could not be {verb}: {error}")
        defect = None if isinstance(error, (LocalAmlError, OSError)) else error
        logger.warning("cluster %s: %s", self.cluster.name.name, told.message, exc_info=defect)
        self._fail(told)

    def _fail(self, error: ErrorInfo) -> None:
        """Nodes could not be had. Nothing is tried for a while, unless something else happens."""
        self._retry_after = self._steady.now() + timedelta(seconds=_START_RETRY_SECONDS)
        if error in self.cluster.errors[-1:]:
            return
        self._save(replace(self.cluster, errors=(*self.cluster.errors[-9:], error)))
        if self._persist:
            state = self._allocation.value
            self._history.cluster(self.cluster, state, state, f"{error.code}: {error.message}")

    def _note_allocation(self) -> None:
        moving = any(node.state in (NodeState.PREPARING, NodeState.LEAVING) for node in self._nodes)
        allocation = AllocationState.RESIZING if moving else AllocationState.STEADY
        if allocation is not self._allocation:
            old, self._allocation = self._allocation, allocation
            self._save(replace(self.cluster, allocation_state_changed_at=self._clock.now()))
            if self._persist:
                self._history.cluster(self.cluster, old.value, allocation.value, f"on its way to {self._target} nodes")

    def _save(self, cluster: Cluster) -> None:
        self.cluster = cluster
        if self._persist:
            self._store.clusters.update(cluster)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def do() -> None:
            with self._clock.working(apart=True):
                await work

        task = asyncio.get_running_loop().create_task(do())
        task.add_done_callback(lambda _: work.close())  # cancelled before it began, it would complain
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("cluster %s: %s", self.cluster.name.name, error, exc_info=error)

    async def _settle(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
