"""Performs one submitted run on its nodes: environment, layout, data, launch, watch, collect.

Every step can be interrupted by `JobExecution.stop`; what the run's end means is decided in `domain.outcome`.
Cancelling the task that runs `JobExecution.perform` leaves the job's processes alone: that is how an emulator stops
without its jobs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from localaml.clock import RealClock
from localaml.compute.runtime import LaunchPlan, LaunchResult, NodeRuntime, NodeSpec, ProcessSpec, RunningJob
from localaml.domain.job import JobSpec, Launch
from localaml.domain.models import ErrorInfo, Run, RunKey
from localaml.domain.outcome import Outcome, ProcessesEnd, Stop, StopReason, decide
from localaml.domain.roles import roles_of
from localaml.domain.run_lifecycle import RunEvent
from localaml.domain.states import RunState
from localaml.errors import LocalAmlError
from localaml.jobs.collect import OutputCollector
from localaml.jobs.data import PreparedData, prepare_data
from localaml.jobs.datasets import PreparedDatasets, prepare_datasets
from localaml.jobs.environments.contract import EnvironmentBuilder, PreparedEnvironment
from localaml.jobs.job_variables import Connection, inherited, job_variables
from localaml.jobs.layout import lay_out_snapshot
from localaml.jobs.remove_tree import remove_tree
from localaml.jobs.role_variables import role_variables
from localaml.jobs.run_book import RunBook
from localaml.jobs.run_log import ControlLog, error_with_log_tail
from localaml.jobs.targets import LOCAL_TARGET
from localaml.paths import RunPaths
from localaml.settings import Settings

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store

logger = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class JobTools:
    """What performing runs needs of the rest of the emulator.

    Attributes:
        connection: how the processes of a run reach the emulator (makes the run's token).
        clock: service time, for what a run shows.
        machine_clock: machine time, for processes and files.
        images: which environments have had their image built.
        job_sdk: folder with the `azureml` package for jobs.
        base_environment: the emulator's own environment variables.
    """

    store: Store
    book: RunBook
    objects: ObjectStore
    runtime: NodeRuntime
    environments: EnvironmentBuilder
    settings: Settings
    clock: Clock
    connection: Callable[[RunKey], Connection]
    job_sdk: Path
    base_environment: Mapping[str, str]
    machine_clock: Clock = field(default_factory=RealClock)
    images: set[tuple[str, Path]] = field(default_factory=set)


class _Stopped(Exception):
    """The run was asked to end while a step was going on."""


class JobExecution:
    """One submitted run on its nodes.

    Args:
        nodes: what the runtime calls its nodes, rank 0's first.
    """

    def __init__(self, run: Run, spec: JobSpec, nodes: Sequence[NodeSpec], paths: RunPaths, tools: JobTools) -> None:
        self.key = run.key
        self.nodes = tuple(nodes)
        self._run_id = run.run_id
        self._target = run.target
        self._spec = spec
        self._paths = paths
        self._tools = tools
        self._stop: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._log = ControlLog(paths.logs, distributed=spec.launch is not Launch.SINGLE, clock=tools.clock)
        self._collector = OutputCollector(
            key=run.key,
            paths=paths,
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
        """Makes the run end. Only the first wish counts."""
        if not self._stop.done():
            self._stop.set_result(stop)

    async def perform(self) -> Outcome:
        """Performs the run from the state that it is in, up to and with the collection of its files.

        Returns what its last event is; the caller applies it and gives the nodes back.
        """
        try:
            return await self._perform()
        finally:
            self._log.close()
            await self._collector.close()

    async def _perform(self) -> Outcome:
        end: ProcessesEnd | None = None
        try:
            run = self._tools.book.get(self.key)
            handle = run.execution.get("handle")
            job = await self._adopt(handle) if handle is not None else await self._begin(run)
            end = self._assess(await self._watch(job))
        except _Stopped:
            pass
        except (LocalAmlError, OSError) as error:
            reason = error.reason if isinstance(error, LocalAmlError) else "JOB_SETUP_FAILED"
            end = ProcessesEnd(ErrorInfo(reason, str(error)))
            self._log.line(f"The run failed before its processes were started: {error}")
        stop = self._stop.result() if self._stop.done() else None
        return await self._finish(stop, end)

    # -- from Preparing to Running ----------------------------------------------------------------------------------

    async def _begin(self, run: Run) -> RunningJob:
        tools, spec = self._tools, self._spec
        # A begun attempt of an emulator that was killed leaves nothing behind that could be mistaken for this one's.
        await asyncio.to_thread(self._empty_folders)
        # A node of an earlier emulator may have gone with the machine's restart; one that is there stays as it is.
        await asyncio.gather(*(tools.runtime.start_node(node) for node in self.nodes))
        self._log.line(f"Run {self._run_id} got {', '.join(node.host_name for node in self.nodes)}.")
        environment = await self._unless_stopped(self._prepare_environment())
        run = tools.book.advance(self.key, RunEvent.LAUNCH, "environment ready")
        await self._unless_stopped(
            lay_out_snapshot(tools.store, tools.objects, run.workspace_id, run.snapshot_id, self._paths.work)
        )
        self._data = await self._unless_stopped(
            prepare_data(spec, tools.store, tools.objects, run.workspace_id, self._paths)
        )
        self._datasets = await self._unless_stopped(
            prepare_datasets(spec, tools.store, tools.objects, run.workspace_id, self._paths)
        )
        plan = self._launch_plan(run, environment, self._data)
        if self._stop.done():
            raise _Stopped
        job = await tools.runtime.launch(plan)
        tools.book.advance(
            self.key,
            RunEvent.PROCESSES_STARTED,
            "processes started",
            # Read anew: the script may have told something already.
            execution={**tools.book.get(self.key).execution, "handle": dict(job.handle)},
        )
        return job

    async def _prepare_environment(self) -> PreparedEnvironment:
        tools, spec = self._tools, self._spec
        with self._log.build_log() as build_log:
            environment = await tools.environments.prepare(
                spec.environment, mpi=spec.launch is Launch.MPI, log=build_log
            )
        # What this machine has in its cache is chance; in the cloud a workspace has the images that it has asked for.
        image = (self.key.workspace_id, environment.python)
        if not spec.environment.user_managed and self._target != LOCAL_TARGET and image not in tools.images:
            await tools.clock.sleep(tools.settings.latency.image_build_seconds)
            tools.images.add(image)
        return environment

    def _empty_folders(self) -> None:
        remove_tree(self._paths.root)
        for folder in (self._paths.work, self._paths.logs, self._paths.control, self._paths.tmp, self._paths.mounts):
            folder.mkdir(parents=True, exist_ok=True)

    def _launch_plan(self, run: Run, environment: PreparedEnvironment, data: PreparedData) -> LaunchPlan:
        spec, tools = self._spec, self._tools
        variables = job_variables(
            run,
            base=inherited(tools.base_environment),
            connection=tools.connection(self.key),
            bin_dir=environment.bin_dir,
            python_path=(tools.job_sdk, self._paths.work),
            host_names=[node.host_name for node in self.nodes],
            rendezvous=free_address(),
            work_dir=self._paths.work,
            data={**data.variables, **self._datasets.variables},
            environment=environment.variables,
            user=spec.environment_variables,
        )
        plan = self._plan(self._argv(environment, data, variables), variables, environment.open_mpi_prefix)
        roles = roles_of(spec)
        parts = role_variables(roles, variables)
        processes = [
            # Arguments may hold what only the process has: `$AZ_BATCHAI_TASK_INDEX`.
            ProcessSpec(role, part, self._argv(environment, data, {**variables, **part}))
            for role, part in zip(roles, parts, strict=True)
        ]
        return replace(plan, processes=tuple(processes))

    def _argv(
        self, environment: PreparedEnvironment, data: PreparedData, variables: Mapping[str, str]
    ) -> tuple[str, ...]:
        spec = self._spec
        command = [data.substitute(word, variables) for word in spec.command]
        arguments = [data.substitute(word, variables) for word in spec.arguments]
        words = (*(command or (str(environment.python), spec.script)), *arguments)
        return tuple(self._datasets.substitute(word) for word in words)

    def _plan(self, argv: tuple[str, ...], variables: Mapping[str, str], open_mpi: Path | None) -> LaunchPlan:
        return LaunchPlan(
            label=run_label(self.key),
            launch=self._spec.launch,
            nodes=self.nodes,
            processes_per_node=self._spec.processes_per_node,
            argv=argv,
            environment=variables,
            processes=tuple(ProcessSpec(role) for role in roles_of(self._spec)),
            run_dir=self._paths.root,
            open_mpi_prefix=open_mpi,
            launch_timeout_seconds=self._tools.settings.launch_timeout_seconds,
        )

    async def _adopt(self, handle: Mapping[str, Any]) -> RunningJob:
        self._log.line("The emulator was started again; it goes on watching the run's processes.")
        self._data = await prepare_data(
            self._spec, self._tools.store, self._tools.objects, self.key.workspace_id, self._paths, adopt=True
        )
        return await self._tools.runtime.adopt(self._plan((), {}, None), handle)

    # -- Running ----------------------------------------------------------------------------------------------------

    async def _watch(self, job: RunningJob) -> LaunchResult:
        tools = self._tools
        waiter = asyncio.ensure_future(job.wait())
        timer = None
        if limit := self._spec.max_run_duration_seconds:
            started_at = tools.book.get(self.key).started_at or tools.clock.now()
            left = limit - (tools.clock.now() - started_at).total_seconds()
            text = f"The run took longer than its limit of {limit} seconds (max_run_duration_seconds) and was ended."
            timer = tools.clock.call_later(left, lambda: self.stop(Stop(StopReason.TIMED_OUT, text)))
        self._collector.start()
        try:
            futures: set[asyncio.Future[Any]] = {waiter, self._stop}
            with tools.clock.waiting():
                await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done():
                stop = self._stop.result()
                self._log.line(stop.message)
                if stop.reason is StopReason.NODE_LOST:
                    await job.lose_node(stop.node_id)
                else:
                    await job.terminate(tools.settings.cancel_grace_seconds)
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

    async def _finish(self, stop: Stop | None, end: ProcessesEnd | None) -> Outcome:
        book = self._tools.book
        run = book.get(self.key)
        if run.state is RunState.RUNNING:
            run = book.advance(self.key, RunEvent.PROCESSES_ENDED, "processes ended")
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
        if stop is not None and run.state is RunState.FINALIZING and end is not None:
            # It had already ended by itself when the wish came.
            stop = stop if stop.reason is not StopReason.CANCELED else None
        return decide(stop, end, failed_by_script)

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


def run_label(key: RunKey) -> str:
    """What the processes of a run carry in their environment."""
    return f"{key.workspace_id}/{key.run_id}"


def free_address() -> str:
    """``127.0.0.1:port`` with a port that is free now.

    Logical nodes share the machine's addresses; their names need not resolve.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


def own_environment() -> dict[str, str]:
    """The emulator's own environment variables, as they are now."""
    return dict(os.environ)


def _missing_records(result: LaunchResult) -> str:
    told = len(result.ranks)
    return (
        f"The run's processes ended with exit code {result.exit_code}, but {told} of {result.expected_ranks} left a "
        "record of their own end: this does not count as success."
    )
