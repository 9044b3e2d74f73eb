"""Brings runs and clusters together: submits and cancels, queues, what is placed, and all of it after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from localaml.compute.runtime import NodeSpec
from localaml.domain.job import JobSpec
from localaml.domain.models import Cluster, ClusterKey, ErrorInfo, Node, Run, RunKey, ScaleSettings
from localaml.domain.outcome import Outcome
from localaml.domain.run_lifecycle import WAITING, RunEvent
from localaml.domain.scheduler import WaitingRun
from localaml.domain.states import NodeState, ProvisioningState, RunState
from localaml.errors import FailedPrecondition, LocalAmlError
from localaml.jobs.cluster_book import ClusterBook
from localaml.jobs.cluster_control import ClusterControl
from localaml.jobs.cluster_controls import make_control, release_forgotten_nodes
from localaml.jobs.cluster_status import ClusterStatus
from localaml.jobs.disturbances import Disturbances
from localaml.jobs.early_ends import EarlyEnds, stop_of
from localaml.jobs.execution import JobExecution
from localaml.jobs.identifiers import Identifiers
from localaml.jobs.job_tools import JobTools, run_label
from localaml.jobs.live_logs import LiveLogs
from localaml.jobs.node_folders import remove_empty_folder, remove_forgotten_folders
from localaml.jobs.preparing import spec_to_resume
from localaml.jobs.quota_keeper import QuotaKeeper
from localaml.jobs.remove_tree import remove_tree
from localaml.jobs.run_folders import RunFolders
from localaml.jobs.run_tasks import RunTasks
from localaml.jobs.sweeps.definitions import SweepDefinitions
from localaml.jobs.sweeps.keeper import SweepKeeper
from localaml.jobs.targets import LOCAL_TARGET, as_placed, check_fits, cluster_for_run, local_cluster, placement
from localaml.paths import StatePaths

logger = logging.getLogger(__name__)


class Orchestrator:
    """Runs and clusters of one emulator.

    Attributes:
        logs: where the logs of runs that go on are.
        disturbances: what can be done to nodes and runs from outside; quotas: how many cores clusters may have.
        sweeps: the runs whose work is to start others.
        ends: what callers tell of a run's end.

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
        sweeps: SweepDefinitions,
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
        self._cluster_book = ClusterBook(tools.store, tools.book.history)
        self._tasks = RunTasks(tools.clock)
        self._folders = RunFolders(paths, tools.reserve)
        self.sweeps = SweepKeeper(
            tools, paths, self._tasks, self._folders, sweeps, spec_of, self.submit_run, self.cancel_run
        )
        self.ends = EarlyEnds(
            tools.book,
            self._clusters,
            self._executions,
            cancel_sweep=self.sweeps.cancel,
            collect=self._collect,
            after_run=self._after_run,
        )
        self.disturbances = Disturbances(self._clusters, self._executions, tools.runtime)
        self.quotas = QuotaKeeper(tools.store, self._clusters)
        self._closing = False

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Makes the runtime ready and goes on where an earlier emulator of this state dir stopped, or was stopped."""
        self._tools.runtime.watch_nodes(self.disturbances.node_has_gone, self.try_again)
        await self._tools.runtime.start()
        store = self._tools.store
        active = store.runs.list_active()
        adoptable = frozenset(run_label(run.key) for run in active if "handle" in run.execution)
        ended = await self._tools.runtime.end_leftovers(adoptable)
        if ended:
            logger.info("ended %d processes that an earlier emulator had left", ended)
        self.restore()
        remove_forgotten_folders(self._paths, self._clusters)
        self._folders.remove_all_but(run.key for run in active)

    def restore(self) -> None:
        """Takes over the clusters and the active runs that are stored."""
        store = self._tools.store
        deleting = []
        for cluster in store.clusters.list():
            control = self._add_control(cluster)
            control.restore(store.nodes.list(cluster.key))
            if cluster.provisioning_state is ProvisioningState.DELETING:
                deleting.append(cluster.key)
        for run in store.runs.list_active():
            self._resume(run)
        self.disturbances.repeat()
        release_forgotten_nodes(self._clusters, self._executions)
        for key in deleting:
            self._tasks.spawn(self.delete_cluster(key))
        for control in self._clusters.values():
            control.replan()

    async def close(self) -> None:
        """Stops deciding and watching. Jobs go on; the next emulator of this state dir adopts them."""
        self._closing = True
        await self._tasks.cancel_all()
        await self._folders.settle()
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
        made: Cluster | None = None
        if run.target == "amlcompute":
            made = cluster_for_run(run, spec, vm_size, vm_priority, self._tools.clock.now())
            self._tools.hooks.before_cluster(made)  # outside of the transaction: what it notes stays
        with store.transaction():
            if run.target == LOCAL_TARGET:
                control = self._local_control(run)
                cluster = control.cluster
            elif made is not None:
                self._cluster_book.insert(cluster := made)
                run = replace(run, target=cluster.name.name)
            else:
                cluster = store.clusters.get(ClusterKey(run.workspace_id, run.target))
            check_fits(cluster, spec)
            run = self._tools.book.insert(self._tools.book.born(run, RunEvent.SUBMIT, "submitted"), "submitted")
        control = self._add_control(made) if made is not None else self._clusters[cluster.key]
        if made is not None:
            run = self._tools.book.advance(run.key, RunEvent.GROW_CLUSTER, "a cluster is made for the run")
        self._tools.hooks.reached("submit-committed", run)
        control.enqueue(run.run_id, spec.node_count, run.created_at, position=store.runs.row_number(run.key))
        return self._tools.book.get(run.key)

    async def cancel_run(self, key: RunKey, text: str = "The run was canceled.") -> Run:
        """Asks a run to end; a waiting one, or one that its caller performs, has ended when this returns.

        Args:
            text: why, for the run's story.

        Raises:
            FailedPrecondition: ``ILLEGAL_RUN_TRANSITION`` when it has ended.
        """
        return await self.ends.cancel(key, text)

    async def cancel_all(self) -> int:
        """Cancels every active run and waits for their ends; returns how many there were."""
        return await self._cancel_and_wait([run.key for run in self._tools.store.runs.list_active()])

    async def delete_workspace_runs(self, workspace_id: str) -> None:
        """Cancels a workspace's runs, removes its clusters and folders. The records are the caller's to delete."""
        active = [run.key for run in self._tools.store.runs.list_active() if run.workspace_id == workspace_id]
        await self._cancel_and_wait(active)
        await self._folders.settle()
        for key in [key for key in self._clusters if key.workspace_id == workspace_id]:
            await self._clusters.pop(key).remove_all()
        for folder in (self._paths.preparing, self._paths.runs, self._paths.marks, self._paths.nodes):
            await asyncio.to_thread(remove_tree, folder / workspace_id)

    # -- clusters -----------------------------------------------------------------------------------------------------

    def create_cluster(self, cluster: Cluster) -> Cluster:
        """Stores a cluster and starts its minimum of nodes.

        Raises:
            AlreadyExists: ``COMPUTE_TARGET_EXISTS``.
            FailedPrecondition: ``QUOTA_EXCEEDED``.
        """
        self.quotas.check_minimum(cluster)
        self._tools.hooks.before_cluster(cluster)
        self._cluster_book.insert(cluster)
        control = self._add_control(cluster)
        control.replan()
        return control.cluster

    def resize_cluster(self, key: ClusterKey, scale: ScaleSettings) -> Cluster:
        """Changes how many nodes a cluster may have.

        Raises:
            NotFound: ``COMPUTE_TARGET_NOT_FOUND``.
            FailedPrecondition: ``QUOTA_EXCEEDED``.
        """
        self._cluster_book.get(key)
        control = self._clusters[key]
        changed = replace(control.cluster, scale=scale, updated_at=self._tools.clock.now())
        self.quotas.check_minimum(changed)
        self._cluster_book.update(changed, f"resized to {scale.min_node_count}..{scale.max_node_count} nodes")
        control.rescale(changed)
        return control.cluster

    async def delete_cluster(self, key: ClusterKey) -> None:
        """Cancels the cluster's runs, removes its nodes and its record.

        Raises:
            NotFound: ``COMPUTE_TARGET_NOT_FOUND``.
        """
        self._cluster_book.get(key)
        control = self._clusters[key]
        control.cluster = self._cluster_book.begin_deleting(control.cluster, self._tools.clock.now())
        on_it = [
            run.key
            for run in self._tools.store.runs.list_active()
            if run.workspace_id == key.workspace_id and run.target == key.cluster
        ]
        await self._cancel_and_wait(on_it)
        await control.remove_all()
        self._clusters.pop(key, None)
        self._cluster_book.delete(control.cluster)
        remove_empty_folder(self._paths, key)

    def cluster_status(self, key: ClusterKey) -> ClusterStatus:
        """A cluster and its nodes, now. Raises NotFound ``COMPUTE_TARGET_NOT_FOUND``."""
        control = self._clusters.get(key)
        if control is None or key.cluster == LOCAL_TARGET:
            self._tools.store.clusters.get(key)
            raise FailedPrecondition("COMPUTE_TARGET_DELETING", f"The compute target {key.cluster!r} is being deleted.")
        return control.status()

    def try_again(self) -> None:
        """Tries at once what clusters failed to do a while ago."""
        for control in list(self._clusters.values()):
            control.try_again()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _add_control(self, cluster: Cluster, *, local: bool = False) -> ClusterControl:
        control = make_control(
            cluster,
            self._tools,
            self.quotas,
            new_node_id=self._ids.node_id,
            place=lambda run_id, nodes: self._place(RunKey(cluster.workspace_id, run_id), control, nodes),
            local_host_name=self._local_host_name if local else None,
        )
        self._clusters[cluster.key] = control
        return control

    def _local_control(self, run: Run) -> ClusterControl:
        cluster = local_cluster(run, self._local_slots)
        return self._clusters.get(cluster.key) or self._add_control(cluster, local=True)

    def _place(self, key: RunKey, control: ClusterControl, nodes: tuple[Node, ...]) -> None:
        specs = [control.spec(node) for node in nodes]
        run = self._tools.book.get(key)
        run = self._tools.book.advance(
            key,
            RunEvent.PLACE,
            f"placed on {', '.join(node.host_name for node in nodes)}",
            node_ids=tuple(node.node_id for node in nodes),
            execution={**run.execution, **placement(specs, self._tools.runtime)},
        )
        self._tools.hooks.reached("placed", run)
        self._perform(run, specs)

    def _perform(self, run: Run, nodes: list[NodeSpec]) -> None:
        execution = JobExecution(run, self._spec_of(run), nodes, self._paths, self._tools)
        self._executions[run.key] = execution
        if (stop := stop_of(run)) is not None:
            execution.stop(stop)
        self._tasks.spawn(self._perform_to_the_end(execution), run.key)

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
        if outcome.event is RunEvent.REQUEUE and not self._tools.book.get(key).is_ending:
            if self._tools.book.get(key).state is not RunState.CANCEL_REQUESTED:
                self._requeue(key, outcome.cause)
                return
            await self._collect(self._tools.book.get(key))
            outcome = Outcome(RunEvent.END_CANCELED, "The run was canceled.")
        if self._tools.book.get(key).is_ending:
            run = self._tools.book.nothing_goes_on(key)
        else:
            run = self._tools.book.advance(key, outcome.event, outcome.cause, error=outcome.error)
        del self._executions[key]
        if (control := self._clusters.get(ClusterKey(key.workspace_id, run.target))) is not None:
            control.release(run.node_ids)
        self._after_run(run)
        self._folders.remove(key)

    def _requeue(self, key: RunKey, cause: str) -> None:
        """A run whose node was taken away waits for other nodes, in its old place."""
        book = self._tools.book
        nodes = book.get(key).node_ids
        run = book.requeue(key, cause)
        del self._executions[key]
        waiting = WaitingRun(run.run_id, self._spec_of(run).node_count, self._tools.store.runs.row_number(key))
        self._clusters[ClusterKey(key.workspace_id, run.target)].requeue(waiting, nodes)

    async def _collect(self, run: Run) -> None:
        """Keeps the files of a run that will not be performed again."""
        await JobExecution(run, self._spec_of(run), (), self._paths, self._tools).collect()
        self._folders.remove(run.key)

    def _after_run(self, run: Run) -> None:
        """A cluster that was made for a run goes with it."""
        key = ClusterKey(run.workspace_id, run.target)
        control = self._clusters.get(key)
        if control is not None and control.cluster.for_run == run.run_id and not self._closing:
            self._tasks.spawn(self.delete_cluster(key))

    def _resume(self, run: Run) -> None:
        """Goes on with a run of an earlier emulator."""
        if run.is_sweep:
            self.sweeps.keep(run.key)
            return
        spec = spec_to_resume(run, self._spec_of)
        local = run.target == LOCAL_TARGET
        control = self._local_control(run) if local else self._clusters.get(ClusterKey(run.workspace_id, run.target))
        if control is None:
            spec = ErrorInfo("COMPUTE_TARGET_NOT_FOUND", f"The compute target {run.target!r} does not exist any more.")
        if isinstance(spec, ErrorInfo):
            book = self._tools.book
            event = RunEvent.END_CANCELED if run.state is RunState.CANCEL_REQUESTED else RunEvent.FAIL
            if run.is_ending:
                self._after_run(book.nothing_goes_on(run.key))
            else:
                self._after_run(book.advance(run.key, event, spec.message, error=spec))
            self._folders.remove(run.key)
            return
        assert control is not None
        if run.state in WAITING:
            position = self._tools.store.runs.row_number(run.key)
            control.enqueue(run.run_id, spec.node_count, run.created_at, position=position)
            return
        now = self._tools.clock.now()
        nodes = [
            Node(control.cluster.key, node_id, NodeState.RUNNING, host_name, now, now, run.run_id)
            for node_id, host_name in run.execution["nodes"]
        ]
        control.keep_for_run(nodes)
        self._perform(run, [as_placed(control.spec(node), run) for node in nodes])

    async def _cancel_and_wait(self, keys: list[RunKey]) -> int:
        count = 0
        for key in keys:
            try:
                await self.cancel_run(key)
                count += 1
            except LocalAmlError as error:
                logger.debug("run %s: %s", key.run_id, error)
        await self._tasks.wait_for(keys)
        return count
