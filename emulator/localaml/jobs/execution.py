"""Performs one submitted run on its nodes: environment, layout, data, launch, watch, collect.

Every step can be interrupted by `JobExecution.stop`; what the run's end means is decided in `domain.outcome`.
Cancelling the task that runs `JobExecution.perform` leaves the job's processes alone: that is how an emulator stops
without its jobs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from localaml.clock import SteadyTime
from localaml.compute.runtime import LaunchResult, NodeSpec, RunningJob
from localaml.domain.job import JobSpec, Launch
from localaml.domain.models import ErrorInfo, Run
from localaml.domain.outcome import Outcome, ProcessesEnd, Stop, StopReason, decide, stronger
from localaml.domain.run_lifecycle import RunEvent
from localaml.domain.states import RunState
from localaml.errors import LocalAmlError
from localaml.jobs.collect import OutputCollector
from localaml.jobs.containers import wanted_container
from localaml.jobs.data import PreparedData, prepare_data
from localaml.jobs.datasets import PreparedDatasets, prepare_datasets
from localaml.jobs.ending import end_processes
from localaml.jobs.environments.contract import PreparedEnvironment
from localaml.jobs.job_tools import JobTools
from localaml.jobs.launch_plans import bare_plan, launch_plan
from localaml.jobs.layout import lay_out_snapshot
from localaml.jobs.preparing import counted
from localaml.jobs.run_folders import RunFolder
from localaml.jobs.run_log import ControlLog, error_with_log_tail
from localaml.jobs.targets import LOCAL_TARGET
from localaml.paths import StatePaths

logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class _Stopped(Exception):
    """The run was asked to end while a step was going on."""


class JobExecution:
    """One submitted run on its nodes.

    Args:
        nodes: what the runtime calls its nodes, rank 0's first.
    """

    def __init__(self, run: Run, spec: JobSpec, nodes: Sequence[NodeSpec], paths: StatePaths, tools: JobTools) -> None:
        self.key = run.key
        self.nodes = tuple(nodes)
        self._run_id = run.run_id
        self._target = run.target
        self._spec = spec
        self._paths = paths.run(run.key)
        self._folder = RunFolder(paths, run.key, run.attempt)
        self._tools = tools
        # Its processes had ended when the last emulator was killed: nothing can happen to them any more.
        self._is_late = run.state is RunState.FINALIZING
        # The wish that counts, and that there is one.
        self._wish: Stop | None = None
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._job: RunningJob | None = None
        # Whether a wish came before the end of the processes, or before their start.
        self._interrupted = False
        # Counts the starts of the run's processes.
        self._attempt = run.attempt
        self._log = ControlLog(self._paths.logs, distributed=spec.launch is not Launch.SINGLE, clock=tools.clock)
        self._collector = OutputCollector(
            key=run.key,
            paths=self._paths,
            store=tools.store,
            objects=tools.objects,
            clock=tools.clock,
            machine_clock=tools.machine_clock,
            watched=spec.directories_to_watch,
            collect_outputs=spec.collect_outputs,
        )
        self._data: PreparedData | None = None
        self._datasets = PreparedDatasets()

    def stop(self, stop: Stop) -> None:
        """Makes the run end. Of several wishes the strongest counts."""
        if self._is_late:
            return
        self._wish = stronger(self._wish, stop)
        if not self._stop.done():
            self._stop.set_result(None)

    @property
    def is_at_work(self) -> bool:
        """Whether its processes are there."""
        return self._job is not None

    async def perform(self) -> Outcome:
        """Performs the run from the state that it is in, up to and with the collection of its files.

        Returns what its last event is; the caller applies it and gives the nodes back.
        """
        try:
            return await self._perform()
        finally:
            self._log.close()
            await self._collector.close()
            if self._data is not None:
                await self._data.close()

    async def _perform(self) -> Outcome:
        end: ProcessesEnd | None = None
        try:
            run = self._tools.book.get(self.key)
            if evicted := run.execution.get("evicted"):
                # The last emulator was killed before the run was back in the queue.
                self.stop(Stop(StopReason.NODE_EVICTED, evicted))
                self._interrupted = True
            handle = run.execution.get("handle")
            self._job = await self._adopt(handle) if handle is not None else await self._begin(run)
            self._tools.hooks.reached("running", self._tools.book.get(self.key))
            end = self._assess(await self._watch(self._job))
            self._tools.hooks.reached("processes-ended", self._tools.book.get(self.key))
        except _Stopped:
            self._interrupted = True
        except (LocalAmlError, OSError) as error:
            end = _as_end(error)
            self._log.line(f"The run failed before its processes were started: {error}")
        finally:
            self._job = None
            # What comes has to be noted, also when the job has filled the disk.
            self._tools.reserve.ease()
        if self._folder.is_prepared:
            end = await self._leave_preparation(end)
        stop = self._wish
        if stop is not None and self._is_evicted(stop, end):
            if self._data is not None:
                await self._data.leave_node(self._log.line)
            # A cancel that came meanwhile has changed the run's state: whoever applies the outcome sees that.
            return self._evicted(stop)
        return await self._finish(end)

    async def _leave_preparation(self, end: ProcessesEnd | None) -> ProcessesEnd | None:
        """A run that ends before its processes have started leaves its files where they all do."""
        try:
            await self._hand_over()
        except (LocalAmlError, OSError) as error:
            logger.warning("run %s: %s", self._run_id, error)
            return end or _as_end(error)
        return end

    # -- from Preparing to Running ----------------------------------------------------------------------------------

    async def _begin(self, run: Run) -> RunningJob:
        tools, spec = self._tools, self._spec
        # A begun attempt of an emulator that was killed leaves nothing behind that could be mistaken for this one's.
        await asyncio.to_thread(self._folder.prepare)
        prepared = self._folder.prepared
        self._log.move(prepared.logs)
        # A node of an earlier emulator may have gone with the machine's restart; one that is there stays as it is.
        await asyncio.gather(*(tools.runtime.start_node(node) for node in self.nodes))
        self._log.line(f"Run {self._run_id} got {', '.join(node.host_name for node in self.nodes)}.")
        for note in dict.fromkeys(filter(None, map(tools.runtime.node_note, self.nodes))):
            self._log.line(note)
        if spec.container.gpu and (lack := tools.runtime.lacks_gpus(self.nodes[0])):
            self._log.line(lack)
            run = self._warn_of_gpus(run, lack)
        await self._unless_stopped(tools.hooks.before_environment(run))
        turns = tools.preparation_turns
        preparing = counted(tools.book, self.key, turns, self._prepare_environment)
        environment = await self._unless_stopped(preparing)
        run = tools.book.advance(self.key, RunEvent.LAUNCH, "environment ready")
        tools.hooks.reached("environment-ready", run)
        await self._unless_stopped(
            lay_out_snapshot(tools.store, tools.objects, run.workspace_id, run.snapshot_id, prepared.work)
        )
        if self._attempt > 1:
            await asyncio.to_thread(self._folder.restore)
        self._data = await self._unless_stopped(
            prepare_data(
                spec,
                tools.store,
                tools.objects,
                run.workspace_id,
                prepared,
                machine_clock=tools.machine_clock,
            )
        )
        self._datasets = await self._unless_stopped(
            prepare_datasets(
                spec, tools.store, tools.objects, run.workspace_id, prepared, tools.settings.allowed_web_hosts
            )
        )
        await self._hand_over()
        plan = launch_plan(
            run,
            spec,
            self.nodes,
            self._paths,
            tools,
            environment=environment,
            data=self._data,
            datasets=self._datasets,
            attempt=self._attempt,
        )
        if self._stop.done():
            raise _Stopped
        job = await tools.runtime.launch(plan)
        tools.hooks.reached("launched", run)
        # Read anew: the script may have told something already.
        run = tools.book.get(self.key)
        execution = {**run.execution, "handle": dict(job.handle)}
        if run.state is RunState.STARTING:
            tools.book.advance(self.key, RunEvent.PROCESSES_STARTED, "processes started", execution=execution)
        else:
            # It was asked to end meanwhile. Its processes are there all the same, and are to be ended.
            tools.book.change(run, execution=execution)
        await asyncio.to_thread(self._folder.forget_carried)
        return job

    def _warn_of_gpus(self, run: Run, lack: str) -> Run:
        """Azure's jobs ask for GPUs as a matter of course: they run on CPUs, and are told so once."""
        if any(warning.code == "NO_GPU" for warning in run.warnings):
            return run
        run = self._tools.book.get(self.key)
        return self._tools.book.change(run, warnings=(*run.warnings, ErrorInfo("NO_GPU", lack)))

    async def _hand_over(self) -> None:
        """From now on others can write to the run's folder."""
        await asyncio.to_thread(self._folder.hand_over)
        self._log.move(self._paths.logs)
        if self._data is not None:
            self._data = self._data.moved(self._paths)
        self._datasets = self._datasets.moved(self._paths)

    async def _prepare_environment(self) -> PreparedEnvironment:
        tools, spec = self._tools, self._spec
        container = None
        if tools.runtime.runs_in_containers(self.nodes[0]):
            container = wanted_container(spec.container)
        with self._log.build_log() as build_log:
            environment = await tools.environments.prepare(
                spec.environment, mpi=spec.launch is Launch.MPI, log=build_log, container=container
            )
        # What this machine has in its cache is chance; in the cloud a workspace has the images that it has asked for.
        image = (self.key.workspace_id, environment.python)
        if not spec.environment.user_managed and self._target != LOCAL_TARGET and image not in tools.images:
            await tools.clock.sleep(tools.settings.latency.image_build_seconds)
            tools.images.add(image)
        return environment

    async def _adopt(self, handle: Mapping[str, Any]) -> RunningJob:
        self._log.line("The emulator was started again; it goes on watching the run's processes.")
        tools = self._tools
        self._data = await prepare_data(
            self._spec,
            tools.store,
            tools.objects,
            self.key.workspace_id,
            self._paths,
            machine_clock=tools.machine_clock,
            adopt=True,
        )
        plan = bare_plan(self.key, self._spec, self.nodes, self._paths, tools)
        return await tools.runtime.adopt(plan, handle)

    # -- Running ----------------------------------------------------------------------------------------------------

    async def _watch(self, job: RunningJob) -> LaunchResult:
        tools = self._tools
        waiter = asyncio.ensure_future(job.wait())
        timer = None
        if limit := self._spec.max_run_duration_seconds:
            started_at = tools.book.get(self.key).started_at or tools.clock.now()
            left = SteadyTime(tools.clock).seconds_left(limit, started_at)
            text = f"The run took longer than its limit of {limit} seconds (max_run_duration_seconds) and was ended."
            timer = tools.clock.call_later(left, lambda: self.stop(Stop(StopReason.TIMED_OUT, text)))
        self._collector.start()
        if self._data is not None:
            self._data.start()
        try:
            futures: set[asyncio.Future[Any]] = {waiter, self._stop}
            with tools.clock.waiting():
                await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done() and self._wish is not None:
                self._interrupted = True
                self._log.line(self._wish.message)
                await end_processes(tools, self.key, job, self.nodes[0].node_id, self._wish)
            return await waiter
        finally:
            waiter.cancel()
            if timer is not None:
                timer.cancel()

    def _assess(self, result: LaunchResult) -> ProcessesEnd:
        if result.succeeded:
            self._log.line("The experiment completed successfully. Finalizing run...")
            return ProcessesEnd(None)
        reason = result.reason or "USER_SCRIPT_FAILED"
        message = result.error or _missing_records(result)
        self._log.line(message)
        return ProcessesEnd(ErrorInfo(reason, error_with_log_tail(message, self._paths.logs, result)))

    # -- after Running ----------------------------------------------------------------------------------------------

    def _is_evicted(self, stop: Stop, end: ProcessesEnd | None) -> bool:
        """Whether the run is to be performed again. After a notice exit code 0 proves nothing: scripts that have saved
        their work end well. Without one nothing ends well but what had ended by itself."""
        had_ended = end is not None and end.error is None and stop.grace_seconds == 0.0
        return stop.reason is StopReason.NODE_EVICTED and self._interrupted and not had_ended

    def _evicted(self, stop: Stop) -> Outcome:
        """The run goes back to the queue. Its folder stays: the next attempt finds what this one wrote."""
        self._log.line("The run waits for another node; outputs and logs are kept for its next attempt.")
        self._tools.hooks.reached("evicted", self._tools.book.get(self.key))
        return decide(stop, None, None)

    async def _finish(self, end: ProcessesEnd | None) -> Outcome:
        book, stop = self._tools.book, self._wish
        run = book.get(self.key)
        if run.state is RunState.RUNNING:
            run = book.advance(self.key, RunEvent.PROCESSES_ENDED, "processes ended")
        self._tools.hooks.reached("before-finalize", run)
        self._log.close()
        notes = list(self._data.notes) if self._data is not None else []
        notes += self._datasets.notes
        try:
            if self._data is not None:
                notes += await self._data.upload()
            notes += await self._collector.finish()
        except (LocalAmlError, OSError) as error:
            reason = error.reason if isinstance(error, LocalAmlError) else "COLLECT_FAILED"
            failure = ErrorInfo(reason, f"The run's files could not all be kept: {error}")
            logger.warning("run %s: %s", self._run_id, failure.message)
            if end is None or end.error is None:
                end = ProcessesEnd(failure)
            notes.append(failure.message)
        if notes:
            run = book.get(self.key)
            warnings = tuple(ErrorInfo("RUN_FILES", note) for note in notes)
            book.change(run, warnings=(*run.warnings, *warnings))
        wish = book.get(self.key).execution.get("failed_by_script")
        failed_by_script = ErrorInfo(wish["code"], wish["message"]) if wish else None
        if stop is not None and end is not None and not self._counts(stop, book.get(self.key)):
            stop = None
        self._tools.hooks.reached("finalized", run)
        return decide(stop, end, failed_by_script)

    def _counts(self, stop: Stop, run: Run) -> bool:
        """Whether a wish still means something for a run whose processes have ended."""
        if stop.reason is StopReason.CANCELED:
            # A cancel that came in time has changed the state.
            return run.state is not RunState.FINALIZING
        if stop.reason is StopReason.NODE_EVICTED:
            return False
        return self._interrupted or stop.reason in (StopReason.NODE_LOST, StopReason.TIMED_OUT)

    async def collect(self) -> None:
        """Keeps the files of a run that was evicted and is not to be performed again; problems become warnings."""
        try:
            notes = await self._collector.finish()
        except (LocalAmlError, OSError) as error:
            notes = [f"The run's files could not all be kept: {error}"]
        if notes:
            run = self._tools.book.get(self.key)
            warnings = tuple(ErrorInfo("RUN_FILES", note) for note in notes)
            self._tools.book.change(run, warnings=(*run.warnings, *warnings))

    async def _unless_stopped(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`, which is cancelled when the run is asked to end."""
        task = asyncio.ensure_future(work)
        try:
            futures: set[asyncio.Future[Any]] = {task, self._stop}
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        raise _Stopped


def _as_end(error: LocalAmlError | OSError) -> ProcessesEnd:
    return ProcessesEnd(ErrorInfo(error.reason if isinstance(error, LocalAmlError) else "JOB_SETUP_FAILED", str(error)))


def _missing_records(result: LaunchResult) -> str:
    told = len(result.ranks)
    return (
        f"The run's processes ended with exit code {result.exit_code}, but {told} of {result.expected_ranks} left a "
        "record of their own end: this does not count as success."
    )
