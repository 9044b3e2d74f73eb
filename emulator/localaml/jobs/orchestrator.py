"""Brings runs and clusters together: takes submits and cancels, queues, performs what is placed, and finds all
of it again after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localaml.compute.runtime import NodeSpec
from localaml.domain.job import JobSpec
from localaml.domain.models import Cluster, ClusterKey, ErrorInfo, Node, Run, RunKey, ScaleSettings
from localaml.domain.outcome import Outcome, Stop, StopReason
from localaml.domain.run_lifecycle import WAITING, RunEvent
from localaml.domain.states import NodeState, ProvisioningState, RunState
from localaml.errors import FailedPrecondition, LocalAmlError
from localaml.jobs.cluster_control import ClusterControl, ClusterStatus
from localaml.jobs.execution import JobExecution, JobTools, run_label
from localaml.jobs.live_logs import LiveLogs
from localaml.jobs.remove_tree import remove_tree
from localaml.jobs.targets import LOCAL_TARGET, check_fits, cluster_for_run, local_cluster
from localaml.paths import StatePaths
from localaml.settings import LatencySettings

if TYPE_CHECKING:
    from localaml.jobs.identifiers import Identifiers

logger = logging.getLogger(__name__)


class Orchestrator:
    """Runs and clusters of one emulator.

    Attributes:
        logs: where the logs of runs that go on are.

    Args:
        spec_of: reads a stored run's definition again (after a restart).
        local_host_name: what the `local` target's node is called.
        local_slots: how many runs the `local` target performs at the same time.
    """

    def __init__(
        self,
        tools: JobTools,
        paths: StatePaths,
        identifiers: Identifiers,
        spec_of: Callable[[Run], JobSpec],
        *,
        local_host_name: str,
        local_slots: int,
    ) -> None:
        self._tools = tools
        self._paths = paths
        self.logs = LiveLogs(paths)
        self._ids = identifiers
        self._spec_of = spec_of
        self._local_host_name = local_host_name
        self._local_slots = local_slots
        self._clusters: dict[ClusterKey, ClusterControl] = {}
        self._executions: dict[RunKey, JobExecution] = {}
        self._tasks: dict[asyncio.Task[None], RunKey | None] = {}
        self._removals: set[asyncio.Future[None]] = set()
        self._closing = False

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Makes the runtime ready and goes on where an earlier emulator of this state dir stopped, or was stopped."""
        await self._tools.runtime.start()
        store = self._tools.store
        active = store.runs.list_active()
        adoptable = frozenset(run_label(run.key) for run in active if "handle" in run.execution)
        ended = await self._tools.runtime.end_leftovers(adoptable)
        if ended:
            logger.info("ended %d processes that an earlier emulator had left", ended)
        deleting = []
        for cluster in store.clusters.list():
            control = self._add_control(cluster)
            control.restore(store.nodes.list(cluster.key))
            if cluster.provisioning_state is ProvisioningState.DELETING:
                deleting.append(cluster.key)
        for run in active:
            self._resume(run)
        self._release_forgotten_nodes()
        for key in deleting:
            self._spawn(self.delete_cluster(key))
        for control in self._clusters.values():
            control.replan()
        self._remove_old_folders({run.key for run in active})

    async def close(self) -> None:
        """Stops deciding and watching. Jobs go on; the next emulator of this state dir adopts them."""
        self._closing = True
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._removals:
            await asyncio.wait(set(self._removals))
        for control in self._clusters.values():
            await control.close()
        await self._tools.runtime.close()

    # -- runs ---------------------------------------------------------------------------------------------------------

    def submit_run(self, run: Run, spec: JobSpec, *, vm_size: str = "", vm_priority: str = "") -> Run:
        """Stores a run as queued and gives it to its target.

        Raises:
            NotFound: ``COMPUTE_TARGET_NOT_FOUND``.
            InvalidArgument: ``NODE_COUNT_TOO_LARGE``, ``VM_SIZE_REQUIRED``, ``VM_SIZE_NOT_SUPPORTED``.
            FailedPrecondition: ``COMPUTE_TARGET_DELETING``.
            AlreadyExists: ``RUN_EXISTS``.
        """
        store = self._tools.store
        with store.transaction():
            made: Cluster | None = None
            if run.target == LOCAL_TARGET:
                control = self._local_control(run)
                cluster = control.cluster
            elif run.target == "amlcompute":
                made = cluster = cluster_for_run(run, spec, vm_size, vm_priority, self._tools.clock.now())
                store.clusters.insert(cluster)
                run = replace(run, target=cluster.name.name)
            else:
                cluster = store.clusters.get(ClusterKey(run.workspace_id, run.target))
            check_fits(cluster, spec)
            run = store.runs.insert(self._tools.book.born(run, RunEvent.SUBMIT, "submitted"))
        control = self._add_control(made) if made is not None else self._clusters[cluster.key]
        if made is not None:
            run = self._tools.book.advance(run.key, RunEvent.GROW_CLUSTER, "a cluster is made for the run")
        control.enqueue(run.run_id, spec.node_count, run.created_at)
        return self._tools.book.get(run.key)

    async def cancel_run(self, key: RunKey) -> Run:
        """Asks a run to end; a waiting one, or one that its caller performs, has ended when this returns.

        Raises:
            FailedPrecondition: ``ILLEGAL_RUN_TRANSITION`` when it has ended.
        """
        book = self._tools.book
        run = book.get(key)
        text = "The run was canceled."
        if run.state in WAITING or not run.submitted:
            run = book.advance(key, RunEvent.END_CANCELED, text)
            control = self._clusters.get(ClusterKey(key.workspace_id, run.target))
            if control is not None and control.withdraw(key.run_id):
                self._after_run(run)
            return run
        run = book.advance(key, RunEvent.CANCEL, text)
        execution = self._executions.get(key)
        if execution is not None and run.state is RunState.CANCEL_REQUESTED:
            execution.stop(Stop(StopReason.CANCELED, text))
        return run

    def finish_own_run(self, key: RunKey, state: RunState, error: ErrorInfo | None = None) -> Run:
        """Ends a run that its caller performs.

        Of a submitted run (called from inside its job) only a failure is noted: it counts when the processes end with
        exit code 0.

        Raises:
            FailedPrecondition: ``ILLEGAL_RUN_TRANSITION`` when it has ended.
        """
        book = self._tools.book
        run = book.get(key)
        if not run.submitted:
            event = RunEvent.COMPLETE if state is RunState.COMPLETED else RunEvent.FAIL
            cause = "completed by its caller" if event is RunEvent.COMPLETE else "failed by its caller"
            return book.advance(key, event, cause, error=error)
        if run.state.is_terminal:
            return book.advance(key, RunEvent.COMPLETE, "")  # raises with the run's story
        if state is RunState.FAILED:
            told = error or ErrorInfo("UserError", "The script called run.fail().")
            wish = {"code": told.code or "UserError", "message": told.message}
            return book.change(run, execution={**run.execution, "failed_by_script": wish})
        return run

    async def cancel_all(self) -> int:
        """Cancels every active run and waits for their ends; returns how many there were."""
        return await self._cancel_and_wait([run.key for run in self._tools.store.runs.list_active()])

    async def delete_workspace_runs(self, workspace_id: str) -> None:
        """Cancels a workspace's runs, removes its clusters and folders. The records are the caller's to delete."""
        active = [run.key for run in self._tools.store.runs.list_active() if run.workspace_id == workspace_id]
        await self._cancel_and_wait(active)
        if self._removals:
            await asyncio.wait(set(self._removals))
        for key in [key for key in self._clusters if key.workspace_id == workspace_id]:
            await self._clusters.pop(key).remove_all()
        await asyncio.to_thread(remove_tree, self._paths.runs / workspace_id)

    # -- clusters -----------------------------------------------------------------------------------------------------

    def create_cluster(self, cluster: Cluster) -> Cluster:
        """Stores a cluster and starts its minimum of nodes. Raises AlreadyExists ``COMPUTE_TARGET_EXISTS``."""
        self._tools.store.clusters.insert(cluster)
        control = self._add_control(cluster)
        control.replan()
        return control.cluster

    def resize_cluster(self, key: ClusterKey, scale: ScaleSettings) -> Cluster:
        """Changes how many nodes a cluster may have. Raises NotFound ``COMPUTE_TARGET_NOT_FOUND``."""
        self._tools.store.clusters.get(key)
        control = self._clusters[key]
        changed = replace(control.cluster, scale=scale, updated_at=self._tools.clock.now())
        self._tools.store.clusters.update(changed)
        control.rescale(changed)
        return control.cluster

    async def delete_cluster(self, key: ClusterKey) -> None:
        """Cancels the cluster's runs, removes its nodes and its record.

        Raises:
            NotFound: ``COMPUTE_TARGET_NOT_FOUND``.
        """
        store = self._tools.store
        store.clusters.get(key)
        control = self._clusters[key]
        now = self._tools.clock.now()
        changed = replace(
            control.cluster,
            provisioning_state=ProvisioningState.DELETING,
            provisioning_state_changed_at=now,
            updated_at=now,
        )
        store.clusters.update(changed)
        control.cluster = changed
        on_it = [
            run.key
            for run in store.runs.list_active()
            if run.workspace_id == key.workspace_id and run.target == key.cluster
        ]
        await self._cancel_and_wait(on_it)
        await control.remove_all()
        self._clusters.pop(key, None)
        store.clusters.delete(key)

    def cluster_status(self, key: ClusterKey) -> ClusterStatus:
        """A cluster and its nodes, now. Raises NotFound ``COMPUTE_TARGET_NOT_FOUND``."""
        control = self._clusters.get(key)
        if control is None or key.cluster == LOCAL_TARGET:
            self._tools.store.clusters.get(key)
            raise FailedPrecondition("COMPUTE_TARGET_DELETING", f"The compute target {key.cluster!r} is being deleted.")
        return control.status()

    def lose_node(self, key: ClusterKey, node_id: str) -> None:
        """A node has gone: its run fails, the node is replaced."""
        run_id = self._clusters[key].lose(node_id)
        if run_id is None:
            return
        execution = self._executions.get(RunKey(key.workspace_id, run_id))
        if execution is not None:
            text = f"Node {node_id} was lost while the run was working on it."
            execution.stop(Stop(StopReason.NODE_LOST, text, node_id))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _add_control(self, cluster: Cluster, *, local: bool = False) -> ClusterControl:
        name = cluster.name.name

        def place(run_id: str, nodes: tuple[Node, ...]) -> None:
            self._place(RunKey(cluster.workspace_id, run_id), control, nodes)

        control = ClusterControl(
            cluster,
            store=self._tools.store,
            runtime=self._tools.runtime,
            clock=self._tools.clock,
            new_node_id=self._ids.node_id,
            place=place,
            host_name=(lambda number: self._local_host_name) if local else (lambda number: f"{name}-{number}"),
            latency=LatencySettings() if local else self._tools.settings.latency,
            unique_host_names=not local,
            persist=not local,
        )
        self._clusters[cluster.key] = control
        return control

    def _local_control(self, run: Run) -> ClusterControl:
        cluster = local_cluster(run, self._local_slots)
        return self._clusters.get(cluster.key) or self._add_control(cluster, local=True)

    def _place(self, key: RunKey, control: ClusterControl, nodes: tuple[Node, ...]) -> None:
        told = [[node.node_id, node.host_name] for node in nodes]
        run = self._tools.book.get(key)
        run = self._tools.book.advance(
            key,
            RunEvent.PLACE,
            f"placed on {', '.join(node.host_name for node in nodes)}",
            node_ids=tuple(node.node_id for node in nodes),
            execution={**run.execution, "nodes": told},
        )
        self._perform(run, [control.spec(node) for node in nodes])

    def _perform(self, run: Run, nodes: list[NodeSpec]) -> None:
        execution = JobExecution(run, self._spec_of(run), nodes, self._paths.run(run.key), self._tools)
        self._executions[run.key] = execution
        if run.state is RunState.CANCEL_REQUESTED:
            execution.stop(Stop(StopReason.CANCELED, "The run was canceled."))
        self._spawn(self._perform_to_the_end(execution), run.key)

    async def _perform_to_the_end(self, execution: JobExecution) -> None:
        key = execution.key
        try:
            outcome = await execution.perform()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # A defect of ours must not leave a run without an end, nor its nodes without a master.
            logger.exception("run %s: a step failed in an unforeseen way", key.run_id)
            text = f"LocalAML itself failed while it performed the run: {type(error).__name__}: {error}"
            outcome = Outcome(RunEvent.FAIL, text, ErrorInfo("INTERNAL_ERROR", text))
        run = self._tools.book.advance(key, outcome.event, outcome.cause, error=outcome.error)
        del self._executions[key]
        control = self._clusters.get(ClusterKey(key.workspace_id, run.target))
        if control is not None:
            control.release(run.node_ids)
        self._after_run(run)
        self._remove_folder(key)

    def _remove_folder(self, key: RunKey) -> None:
        """Removes an ended run's folder, beside everything else; `close` waits for it."""
        root = self._paths.run(key).root
        removal = asyncio.ensure_future(asyncio.to_thread(remove_tree, root))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    def _after_run(self, run: Run) -> None:
        """A cluster that was made for a run goes with it."""
        key = ClusterKey(run.workspace_id, run.target)
        control = self._clusters.get(key)
        if control is not None and control.cluster.for_run == run.run_id and not self._closing:
            self._spawn(self.delete_cluster(key))

    def _resume(self, run: Run) -> None:
        """Goes on with a run of an earlier emulator."""
        spec = self._spec_of(run)
        local = run.target == LOCAL_TARGET
        control = self._local_control(run) if local else self._clusters.get(ClusterKey(run.workspace_id, run.target))
        if control is None:
            text = f"The compute target {run.target!r} does not exist any more."
            event = RunEvent.END_CANCELED if run.state is RunState.CANCEL_REQUESTED else RunEvent.FAIL
            self._tools.book.advance(run.key, event, text, error=ErrorInfo("COMPUTE_TARGET_NOT_FOUND", text))
            return
        if run.state in WAITING:
            control.enqueue(run.run_id, spec.node_count, run.created_at)
            return
        now = self._tools.clock.now()
        nodes = [
            Node(control.cluster.key, node_id, NodeState.RUNNING, host_name, now, now, run.run_id)
            for node_id, host_name in run.execution["nodes"]
        ]
        control.keep_for_run(nodes)
        self._perform(run, [control.spec(node) for node in nodes])

    def _release_forgotten_nodes(self) -> None:
        """Gives back nodes of runs that had ended when the earlier emulator was killed, before it noted that."""
        for key, control in self._clusters.items():
            for node in control.status().nodes:
                if node.run_id is not None and RunKey(key.workspace_id, node.run_id) not in self._executions:
                    control.release([node.node_id])

    def _remove_old_folders(self, active: set[RunKey]) -> None:
        """Removes folders of runs that have ended."""
        for workspace in self._paths.runs.glob("*"):
            for folder in workspace.glob("*"):
                if RunKey(workspace.name, folder.name) not in active:
                    remove_tree(folder)

    async def _cancel_and_wait(self, keys: list[RunKey]) -> int:
        count = 0
        for key in keys:
            try:
                await self.cancel_run(key)
                count += 1
            except LocalAmlError as error:
                logger.debug("run %s: %s", key.run_id, error)
        own = asyncio.current_task()
        while waiting := {task for task, key in self._tasks.items() if key in keys and task is not own}:
            await asyncio.wait(waiting)
        return count

    def _spawn(self, work: Coroutine[Any, Any, None], run: RunKey | None = None) -> None:
        async def do() -> None:
            with self._tools.clock.working(apart=True):
                await work

        task = asyncio.get_running_loop().create_task(do())
        task.add_done_callback(lambda _: work.close())  # cancelled before it began, it would complain
        self._tasks[task] = run
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("background work failed: %s", error, exc_info=error)
