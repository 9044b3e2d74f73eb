"""Keeps sweeps going: takes them, starts and cancels their children, ends them, and goes on after a restart."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from localaml.clock import SteadyTime
from localaml.domain.job import JobSpec
from localaml.domain.models import ErrorInfo, Run, RunKey
from localaml.domain.outcome import Outcome
from localaml.domain.run_lifecycle import RunEvent
from localaml.domain.states import RunState
from localaml.domain.sweep_control import Action, Finish, Judged, Start, Stop, next_actions
from localaml.domain.sweep_sampling import Sampler, own_sampler
from localaml.domain.sweeps import Child, Sampling, Sweep
from localaml.errors import LocalAmlError, NotFound
from localaml.jobs.collect import OutputCollector
from localaml.jobs.job_tools import JobTools
from localaml.jobs.run_folders import RunFolders
from localaml.jobs.run_log import ControlLog
from localaml.jobs.run_tasks import RunTasks
from localaml.jobs.sweeps.bayesian import BayesianSampler, check_extra
from localaml.jobs.sweeps.children import SweepChildren, child_key
from localaml.jobs.sweeps.definitions import SweepDefinitions
from localaml.paths import StatePaths

if TYPE_CHECKING:
    from typing import Protocol

    class Submit(Protocol):
        """`Orchestrator.submit_run`."""

        def __call__(self, run: Run, spec: JobSpec, *, vm_size: str = "", vm_priority: str = "") -> Run: ...


logger = logging.getLogger(__name__)
# As Azure's service names it.
LOG = "hyperdrive.txt"


class SweepKeeper:
    """The sweeps of one emulator.

    Args:
        tasks: where the work for each sweep goes on.
        spec_of: reads a stored run's definition.
        submit, cancel: give a child to its target, and ask it to end.
    """

    def __init__(
        self,
        tools: JobTools,
        paths: StatePaths,
        tasks: RunTasks,
        folders: RunFolders,
        definitions: SweepDefinitions,
        spec_of: Callable[[Run], JobSpec],
        submit: Submit,
        cancel: Callable[[RunKey, str], Awaitable[Run]],
    ) -> None:
        self._tools = tools
        self._paths = paths
        self._tasks = tasks
        self._folders = folders
        self._definitions = definitions
        self._spec_of = spec_of
        self._submit = submit
        self._cancel_child = cancel

    def submit(self, run: Run) -> Run:
        """Stores a sweep that was checked, and begins with it.

        Raises:
            AlreadyExists: ``RUN_EXISTS``.
            FailedPrecondition: ``EXTRA_MISSING``.
        """
        tools = self._tools
        check_extra(self._definitions.sweep(run).sampling)
        run = replace(run, execution={**run.execution, "sweep": True})
        run = tools.book.insert(tools.book.born(run, RunEvent.BEGIN, "the sweep begins"), "the sweep begins")
        tools.hooks.reached("submit-committed", run)
        self.keep(run.key)
        return tools.book.get(run.key)

    def keep(self, key: RunKey) -> None:
        """Goes on with a stored sweep, up to its end."""
        self._tasks.spawn(self._keep(key), key)

    def cancel(self, key: RunKey) -> Run:
        """Asks a sweep to end; it has ended once all of its children have.

        Raises FailedPrecondition ``ILLEGAL_RUN_TRANSITION`` when it has ended.
        """
        return self._tools.book.advance(key, RunEvent.CANCEL, "The sweep was canceled.")

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _keep(self, key: RunKey) -> None:
        run = self._tools.book.get(key)
        log = ControlLog(self._paths.run(key).logs, name=LOG, clock=self._tools.clock)
        sweep = self._definitions.sweep(run)
        children = SweepChildren(self._tools.store, key, sweep.metric)
        try:
            try:
                outcome = await self._follow(run, sweep, children, log)
            except NotFound:
                return  # it was deleted, with its workspace
            except Exception as error:
                logger.exception("sweep %s: a step failed in an unforeseen way", key.run_id)
                text = f"LocalAML itself failed while it performed the sweep: {type(error).__name__}: {error}"
                outcome = Outcome(RunEvent.FAIL, text, ErrorInfo("INTERNAL_ERROR", text))
                for child in children.now():
                    if child.is_active:
                        await self._stop(key, Stop(child.index, text), log)
            await self._end(key, sweep, children, outcome, log)
        finally:
            children.close()
            log.close()

    async def _follow(self, run: Run, sweep: Sweep, children: SweepChildren, log: ControlLog) -> Outcome:
        """Does what is to be done, until nothing is left."""
        tools, key = self._tools, run.key
        before = len(children.now())
        log.line(f"Going on with {before} child runs after a restart." if before else _summary(sweep))
        self._note_values(key, children.now())  # the last one's may not have been noted yet
        sampler = await asyncio.to_thread(_sampler, sweep)
        steady = SteadyTime(tools.clock)
        began = steady.of(run.started_at or run.created_at)
        failure: ErrorInfo | None = None
        timer = None
        if sweep.max_seconds:
            left = sweep.max_seconds - (steady.now() - began).total_seconds()
            timer = tools.clock.call_later(left, lambda: tools.store.changes.publish(key))
        try:
            while True:
                elapsed = (steady.now() - began).total_seconds()
                is_cancelled = tools.book.get(key).state is RunState.CANCEL_REQUESTED
                ask = partial(
                    next_actions,
                    sweep,
                    sampler,
                    children.now(),
                    elapsed_seconds=elapsed,
                    is_cancelled=is_cancelled,
                    failure=failure,
                )
                # What optuna works out would hold up everybody else.
                actions = await asyncio.to_thread(ask) if sweep.sampling is Sampling.BAYESIAN else ask()
                for action in actions:
                    if isinstance(action, Finish):
                        return action.outcome
                    if (failure := await self._do(key, action, children, log)) is not None:
                        tools.store.changes.publish(key)  # look again at once
                        break
                with tools.clock.waiting():
                    await children.changed()
        finally:
            if timer is not None:
                timer.cancel()

    async def _do(self, key: RunKey, action: Action, children: SweepChildren, log: ControlLog) -> ErrorInfo | None:
        """Does one thing; why no more children can be started, when it is so."""
        if isinstance(action, Judged):
            children.judged(action.index, action.reports)
        elif isinstance(action, Stop):
            await self._stop(key, action, log)
        elif isinstance(action, Start):
            try:
                children.add(self._start(key, action, log))
            except LocalAmlError as error:
                text = f"Child run number {action.index} could not be submitted: {error}"
                log.line(text)
                return ErrorInfo(error.reason, text)
        return None

    def _start(self, key: RunKey, action: Start, log: ControlLog) -> Run:
        parent = self._tools.book.get(key)
        child = self._definitions.child(parent, action.index, action.values)
        log.line(f"Child run {child.run_id!r} is submitted with {json.dumps(action.values)}.")
        size, priority = self._definitions.machine(parent)
        child = self._submit(child, self._spec_of(child), vm_size=size, vm_priority=priority)
        self._note_values(key, [Child(action.index, action.values, child.state)])
        return child

    def _note_values(self, key: RunKey, children: list[Child]) -> None:
        """As Azure has it: the sweep's tags tell the values of each child."""
        if children:
            told = {child_key(key, child.index).run_id: json.dumps(child.values) for child in children}
            self._tools.store.runs.modify(key, lambda run: replace(run, tags={**run.tags, **told}))

    async def _stop(self, key: RunKey, action: Stop, log: ControlLog) -> None:
        child = child_key(key, action.index)
        try:
            await self._cancel_child(child, action.why)
            log.line(f"Child run {child.run_id!r} is canceled. {action.why}")
        except LocalAmlError as error:
            logger.debug("run %s: %s", child.run_id, error)  # it has ended by itself meanwhile

    async def _end(self, key: RunKey, sweep: Sweep, children: SweepChildren, outcome: Outcome, log: ControlLog) -> None:
        tools = self._tools
        log.line(f"The sweep has ended: {outcome.cause}")
        best = _best(sweep, children.now())
        if best is not None:
            child, value = best
            facts = {
                "best_child_run_id": child_key(key, child.index).run_id,
                "score": repr(value),
                "best_metric_status": "Succeeded",
            }
            tools.store.runs.modify(key, lambda run: replace(run, properties={**run.properties, **facts}))
            log.line(f"The best value of {sweep.metric!r} is {value!r}, of child run {facts['best_child_run_id']!r}.")
        log.close()
        collector = OutputCollector(
            key=key,
            paths=self._paths.run(key),
            store=tools.store,
            objects=tools.objects,
            clock=tools.clock,
            machine_clock=tools.machine_clock,
            collect_outputs=False,
        )
        try:
            await collector.finish()
        except (LocalAmlError, OSError) as error:
            run = tools.book.get(key)
            note = ErrorInfo("RUN_FILES", f"The sweep's log could not be kept: {error}")
            tools.book.change(run, warnings=(*run.warnings, note))
        event, cause, problem = outcome.event, outcome.cause, outcome.error
        if tools.book.get(key).state is RunState.CANCEL_REQUESTED and event is RunEvent.COMPLETE:
            # It was cancelled when all children had ended already.
            event, cause = RunEvent.END_CANCELED, "The sweep was canceled."
        tools.book.advance(key, event, cause, error=problem)
        self._folders.remove(key)


def _sampler(sweep: Sweep) -> Sampler:
    """In a thread: optuna takes its time to load."""
    return BayesianSampler(sweep) if sweep.sampling is Sampling.BAYESIAN else own_sampler(sweep)


def _summary(sweep: Sweep) -> str:
    policy = sweep.policy.kind.value if sweep.policy else "none"
    return (
        f"The sweep begins: {sweep.sampling.value} sampling with seed {sweep.seed}, at most {sweep.max_total} child "
        f"runs, {sweep.max_concurrent} at a time; early termination: {policy}."
    )


def _best(sweep: Sweep, children: list[Child]) -> tuple[Child, float] | None:
    found = [(child, best) for child in children if (best := child.best(sweep.maximize)) is not None]
    if not found:
        return None
    return (max if sweep.maximize else min)(found, key=lambda pair: pair[1])
