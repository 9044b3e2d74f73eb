"""Keeps one cluster: its queue and its nodes. `domain.scheduler` decides, the node runtime does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from localaml.compute.runtime import NodeRuntime, NodeSpec
from localaml.domain import node_lifecycle
from localaml.domain.models import Cluster, ErrorInfo, Node
from localaml.domain.node_lifecycle import NodeEvent
from localaml.domain.scheduler import AddNodes, PlaceRun, RemoveNode, WaitingRun, plan
from localaml.domain.states import AllocationState, NodeState
from localaml.errors import LocalAmlError
from localaml.settings import LatencySettings

if TYPE_CHECKING:
    from localaml.clock import Clock, Timer
    from localaml.store import Store

logger = logging.getLogger(__name__)

# After a node could not be started, so long nothing is tried on that cluster unless something else happens.
_START_RETRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """A cluster with its nodes, now."""

    cluster: Cluster
    nodes: tuple[Node, ...]
    allocation_state: AllocationState
    current_node_count: int
    target_node_count: int


class ClusterControl:
    """One cluster at work.

    Args:
        place: called with a run's id and its nodes (rank 0's first) when the run has got them.
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
        latency: LatencySettings | None = None,
        unique_host_names: bool = True,
        persist: bool = True,
    ) -> None:
        self.cluster = cluster
        self._store = store
        self._runtime = runtime
        self._clock = clock
        self._new_node_id = new_node_id
        self._place = place
        self._host_name = host_name
        self._latency = latency or LatencySettings()
        self._unique_host_names = unique_host_names
        self._persist = persist
        self._queue: dict[str, WaitingRun] = {}
        # Runs of the queue that the scheduler does not see before their time.
        self._ready_at: dict[str, datetime] = {}
        self._nodes: dict[str, Node] = {}
        self._target = 0
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Those of them that wait for a machine that the cloud is still to provide.
        self._awaiting_machines: set[asyncio.Task[None]] = set()
        self._allocation = AllocationState.STEADY
        self._retry_after: datetime | None = None
        self._closed = False

    # -- what others may ask and tell -------------------------------------------------------------------------------

    def status(self) -> ClusterStatus:
        """The cluster now."""
        present = sum(node.state is not NodeState.UNUSABLE for node in self._nodes.values())
        return ClusterStatus(self.cluster, tuple(self._nodes.values()), self._allocation, present, self._target)

    def enqueue(self, run_id: str, node_count: int, submitted_at: datetime | None = None) -> None:
        """Puts a run at the end of the queue; the queue's latency counts from `submitted_at`."""
        self._queue[run_id] = WaitingRun(run_id, node_count)
        if submitted_at is not None and self._latency.queue_seconds:
            self._ready_at[run_id] = submitted_at + timedelta(seconds=self._latency.queue_seconds)
        self._retry_after = None
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
        self._retry_after = None
        self.replan()

    def restore(self, nodes: Iterable[Node]) -> None:
        """Takes over nodes that an earlier emulator had. Those of runs stay with them; the others are started again."""
        for node in nodes:
            if node.state is NodeState.RUNNING:
                self._nodes[node.node_id] = node
            elif node.state in (NodeState.IDLE, NodeState.PREPARING):
                self._put(replace(node, state=NodeState.PREPARING, run_id=None))
                self._spawn(self._start(node.node_id))
            else:
                self._put(replace(node, state=NodeState.LEAVING, run_id=None))
                self._spawn(self._stop(node.node_id))

    def keep_for_run(self, nodes: Iterable[Node]) -> None:
        """Makes sure that the nodes of a run that goes on are known as working for it."""
        for node in nodes:
            known = self._nodes.get(node.node_id)
            if known is None or known.state is not NodeState.RUNNING:
                self._put(node)

    def release(self, node_ids: Iterable[str]) -> None:
        """A run gives its nodes back; those that were lost meanwhile are not idle but go."""
        for node_id in node_ids:
            node = self._nodes.get(node_id)
            if node is None:
                continue
            if node.state is NodeState.RUNNING:
                self._move(node, NodeEvent.RELEASE, run_id=None)
            else:
                self._put(replace(node, run_id=None))
        self.replan()

    def lose(self, node_id: str) -> str | None:
        """A node has gone. Returns the run that worked on it."""
        node = self._nodes[node_id]
        self._move(node, NodeEvent.LOSE)
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
        await asyncio.gather(*(self._stop(node_id) for node_id in list(self._nodes)))

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
        now = self._clock.now()
        # Nodes that still belong to a run are none of the scheduler's business until they are released.
        nodes = [
            node for node in self._nodes.values() if not (node.state is NodeState.UNUSABLE and node.run_id is not None)
        ]
        decided = plan(self.cluster.scale, nodes, self._ready_runs(now), now)
        self._target = decided.target_node_count
        ask_again_at = min((at for at in (decided.ask_again_at, *self._ready_at.values()) if at), default=None)
        for instruction in decided.instructions:
            match instruction:
                case AddNodes(count):
                    if self._retry_after is not None and now < self._retry_after:
                        ask_again_at = min(ask_again_at or self._retry_after, self._retry_after)
                    else:
                        self._add(count)
                case RemoveNode(node_id, cause):
                    logger.debug("cluster %s: node %s leaves (%s)", self.cluster.name.name, node_id, cause)
                    self._move(self._nodes[node_id], NodeEvent.REMOVE)
                    self._spawn(self._stop(node_id))
                case PlaceRun(run_id, node_ids):
                    del self._queue[run_id]
                    placed = tuple(
                        self._move(self._nodes[node_id], NodeEvent.ASSIGN, run_id=run_id) for node_id in node_ids
                    )
                    self._place(run_id, placed)
        if ask_again_at is not None:
            seconds = (ask_again_at - now).total_seconds()
            self._timer = self._clock.call_later(seconds, self.replan)
        self._note_allocation()

    def _ready_runs(self, now: datetime) -> list[WaitingRun]:
        """The queue as far as the scheduler may see it."""
        for run_id in [run_id for run_id, at in self._ready_at.items() if at <= now]:
            del self._ready_at[run_id]
        return [run for run in self._queue.values() if run.run_id not in self._ready_at]

    def _add(self, count: int) -> None:
        used = {node.host_name for node in self._nodes.values()}
        number = 0
        for _ in range(count):
            while self._unique_host_names and self._host_name(number) in used:
                number += 1
            host_name = self._host_name(number)
            used.add(host_name)
            now = self._clock.now()
            node = Node(self.cluster.key, self._new_node_id(), NodeState.PREPARING, host_name, now, now)
            self._put(node)
            self._spawn(self._start(node.node_id))

    # -- doing ------------------------------------------------------------------------------------------------------

    def spec(self, node: Node) -> NodeSpec:
        """What the runtime calls a node."""
        return NodeSpec(
            self.cluster.workspace_id, self.cluster.name.name, node.node_id, node.host_name, self.cluster.vm_size
        )

    async def _start(self, node_id: str) -> None:
        await self._await_machine(self._nodes[node_id])
        try:
            await self._runtime.start_node(self.spec(self._nodes[node_id]))
        except (LocalAmlError, OSError) as error:
            logger.warning("cluster %s: a node could not be started: %s", self.cluster.name.name, error)
            reason = error.reason if isinstance(error, LocalAmlError) else "NODE_START_FAILED"
            self._note_error(ErrorInfo(reason, f"A node could not be started: {error}"))
            self._retry_after = datetime.fromtimestamp(
                self._clock.now().timestamp() + _START_RETRY_SECONDS, tz=self._clock.now().tzinfo
            )
            event = NodeEvent.START_FAILED
        else:
            event = NodeEvent.STARTED
        node = self._nodes.get(node_id)
        if node is not None and node.state is NodeState.PREPARING:
            self._move(node, event)
            self.replan()

    async def _await_machine(self, node: Node) -> None:
        """Waits for what a machine takes in the cloud, counted from the node's making, also after a restart."""
        seconds = self._latency.provisioning_seconds + self._latency.node_start_seconds
        left = (node.created_at + timedelta(seconds=seconds) - self._clock.now()).total_seconds()
        task = asyncio.current_task()
        if left > 0 and task is not None:
            self._awaiting_machines.add(task)
            try:
                await self._clock.sleep(left)
            finally:
                self._awaiting_machines.discard(task)

    async def _stop(self, node_id: str) -> None:
        node = self._nodes[node_id]
        await self._runtime.stop_node(self.spec(node))
        del self._nodes[node_id]
        if self._persist:
            self._store.nodes.delete(self.cluster.key, node_id)
        self.replan()

    def _move(self, node: Node, event: NodeEvent, **changes: Any) -> Node:
        state = node_lifecycle.next_state(node.state, event)
        return self._put(replace(node, state=state, state_changed_at=self._clock.now(), **changes))

    def _put(self, node: Node) -> Node:
        self._nodes[node.node_id] = node
        if self._persist:
            self._store.nodes.put(node)
        return node

    def _note_error(self, error: ErrorInfo) -> None:
        self._save(replace(self.cluster, errors=(*self.cluster.errors[-9:], error)))

    def _note_allocation(self) -> None:
        moving = any(node.state in (NodeState.PREPARING, NodeState.LEAVING) for node in self._nodes.values())
        allocation = AllocationState.RESIZING if moving else AllocationState.STEADY
        if allocation is not self._allocation:
            self._allocation = allocation
            self._save(replace(self.cluster, allocation_state_changed_at=self._clock.now()))

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
