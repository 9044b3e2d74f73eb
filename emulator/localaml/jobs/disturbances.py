"""What happens to nodes and runs from outside: nodes are lost or taken away, processes are killed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from localaml.compute.runtime import NodeRuntime, NodeSpec
from localaml.domain.models import ClusterKey, Node, RunKey
from localaml.domain.outcome import Stop, StopReason
from localaml.domain.states import NodeState
from localaml.errors import FailedPrecondition, LocalAmlError, NotFound
from localaml.jobs.history import story_hint
from localaml.jobs.targets import node_runtime, node_spec

if TYPE_CHECKING:
    from localaml.jobs.cluster_control import ClusterControl
    from localaml.jobs.execution import JobExecution

logger = logging.getLogger(__name__)


class Disturbances:
    """Does to nodes and runs what a cloud may do to them.

    Args:
        clusters, executions: those of the orchestrator, as they are at any time.
    """

    def __init__(
        self,
        clusters: Mapping[ClusterKey, ClusterControl],
        executions: Mapping[RunKey, JobExecution],
        runtime: NodeRuntime,
    ) -> None:
        self._clusters = clusters
        self._executions = executions
        self._runtime = runtime
        self._errands: set[asyncio.Task[None]] = set()

    def nodes(self) -> list[Node]:
        """The nodes of all clusters that something can happen to: they are idle, or work for a run."""
        alive = (NodeState.IDLE, NodeState.RUNNING)
        return [
            node
            for control in self._clusters.values()
            for node in control.status().nodes
            if node.state in alive or (node.state is NodeState.LEAVING and node.run_id is not None)
        ]

    def is_low_priority(self, key: ClusterKey) -> bool:
        """Whether nodes of a cluster can be taken away."""
        return self._control(key).cluster.vm_priority == "lowpriority"

    def is_at_work(self, run: RunKey) -> bool:
        """Whether a run has processes that something can happen to."""
        execution = self._executions.get(run)
        return execution is not None and execution.is_at_work

    def lose_node(self, key: ClusterKey, node_id: str, cause: str = "") -> None:
        """A node has gone: its run fails, the node is replaced."""
        why = f" ({cause})" if cause else ""
        run_id = self._control(key).lose(node_id, f"lost{why}")
        if run_id is not None:
            text = f"Node {node_id} was lost while the run was working on it{why}. {story_hint(run_id)}"
            self._stop(RunKey(key.workspace_id, run_id), Stop(StopReason.NODE_LOST, text, node_id))

    def node_has_gone(self, node_id: str, cause: str) -> None:
        """A node has gone by itself, as its runtime tells: the same happens as when it is lost on purpose. One that is
        to go anyway, or has never come, is nobody's loss."""
        for node in self.nodes():
            if node.node_id == node_id:
                self.lose_node(node.cluster, node_id, cause)

    def in_containers(self, key: ClusterKey | None) -> bool:
        """Whether a cluster's nodes are containers; None: those of clusters that do not say what they are."""
        nothing = NodeSpec("", "", "", "", "", node_runtime(self._control(key).cluster) if key is not None else "")
        return self._runtime.runs_in_containers(nothing)

    def cut_off(self, node: Node) -> None:
        """A node that is a container is taken off its cluster's network. Its runtime tells of that: then it is lost."""
        spec = node_spec(self._control(node.cluster).cluster, node)

        async def cut() -> None:
            try:
                await self._runtime.cut_off(spec)
            except LocalAmlError as error:
                logger.warning("node %s could not be cut off: %s", node.node_id, error)

        task = asyncio.get_running_loop().create_task(cut())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def evict_node(self, key: ClusterKey, node_id: str, *, notice_seconds: float = 0.0, cause: str = "") -> None:
        """A low-priority node is taken away: its run goes back to the queue, the node is replaced.

        Args:
            notice_seconds: the run's processes get SIGTERM first, and end after so long (service time) at the latest.

        Raises:
            FailedPrecondition: ``NODE_NOT_LOW_PRIORITY``.
        """
        if not self.is_low_priority(key):
            raise FailedPrecondition(
                "NODE_NOT_LOW_PRIORITY",
                f"The nodes of {key.cluster!r} are dedicated: they are not taken away. Lose one (node-lost), or make "
                "the cluster with vm_priority='lowpriority'.",
            )
        why = f" ({cause})" if cause else ""
        run_id = self._control(key).evict(node_id, f"taken away{why}", with_notice=notice_seconds > 0)
        if run_id is not None:
            text = f"Node {node_id} was taken away (low-priority preemption){why}: the run goes back to the queue."
            stop = Stop(StopReason.NODE_EVICTED, text, node_id, notice_seconds)
            self._stop(RunKey(key.workspace_id, run_id), stop)

    def out_of_memory(self, run: RunKey, node_id: str, cause: str = "") -> None:
        """A run's processes are killed as the kernel does it when there is no memory left."""
        why = f" ({cause})" if cause else ""
        text = (
            f"OutOfMemory: the run's processes were killed, since node {node_id} had no memory left{why}. "
            f"{story_hint(run.run_id)}"
        )
        self._stop(run, Stop(StopReason.OUT_OF_MEMORY, text, node_id, 0.0))

    def kill_processes(self, run: RunKey, node_id: str, cause: str = "") -> None:
        """A run's processes (in Azure: its container) are killed."""
        why = f" ({cause})" if cause else ""
        text = f"The run's processes were killed by a signal from outside{why}. {story_hint(run.run_id)}"
        self._stop(run, Stop(StopReason.PROCESS_KILLED, text, node_id, 0.0))

    def repeat(self) -> None:
        """Tells runs again of nodes that had gone when the last emulator was killed, before the runs had ended."""
        for key, control in self._clusters.items():
            for node in control.status().nodes:
                if node.run_id is None or node.state not in (NodeState.UNUSABLE, NodeState.PREEMPTED):
                    continue
                text = f"Node {node.node_id} was lost while the run was working on it. {story_hint(node.run_id)}"
                reason = StopReason.NODE_LOST
                if node.state is NodeState.PREEMPTED:
                    text = (
                        f"Node {node.node_id} was taken away (low-priority preemption): the run goes back to the queue."
                    )
                    reason = StopReason.NODE_EVICTED
                self._stop(RunKey(key.workspace_id, node.run_id), Stop(reason, text, node.node_id, 0.0))

    def _control(self, key: ClusterKey) -> ClusterControl:
        try:
            return self._clusters[key]
        except KeyError:
            raise NotFound("COMPUTE_TARGET_NOT_FOUND", f"There is no compute target {key.cluster!r}.") from None

    def _stop(self, run: RunKey, stop: Stop) -> None:
        execution = self._executions.get(run)
        if execution is not None:
            execution.stop(stop)
