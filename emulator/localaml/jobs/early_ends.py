"""Ends of runs that their callers ask for: cancels, and what is told of how a run has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from localaml.domain.models import ClusterKey, ErrorInfo, Run, RunKey
from localaml.domain.outcome import Stop, StopReason
from localaml.domain.run_lifecycle import WAITING, RunEvent
from localaml.domain.states import RunState
from localaml.errors import FailedPrecondition

if TYPE_CHECKING:
    from localaml.jobs.cluster_control import ClusterControl
    from localaml.jobs.execution import JobExecution
    from localaml.jobs.run_book import RunBook

_NO_DETAILS = "The run was reported as failed by its caller."


class EarlyEnds:
    """Ends runs for their callers.

    Args:
        clusters, executions: those of the orchestrator, as they are at any time.
        cancel_sweep: asks a sweep to end.
        collect: keeps the files of a run that will not be performed again.
        after_run: called when a waiting run has ended.
    """

    def __init__(
        self,
        book: RunBook,
        clusters: Mapping[ClusterKey, ClusterControl],
        executions: Mapping[RunKey, JobExecution],
        *,
        cancel_sweep: Callable[[RunKey], Run],
        collect: Callable[[Run], Awaitable[None]],
        after_run: Callable[[Run], None],
    ) -> None:
        self._book = book
        self._clusters = clusters
        self._executions = executions
        self._cancel_sweep = cancel_sweep
        self._collect = collect
        self._after_run = after_run

    async def cancel(self, key: RunKey, text: str) -> Run:
        """See `Orchestrator.cancel_run`."""
        run = self._book.get(key)
        if run.is_sweep:
            return self._cancel_sweep(key)
        if not run.submitted:
            return self._book.advance(key, RunEvent.END_CANCELED, text)
        if run.state in WAITING:
            return await self._end_waiting(run, RunEvent.END_CANCELED, text)
        run = self._book.advance(key, RunEvent.CANCEL, text)
        if run.state is RunState.CANCEL_REQUESTED:
            self._stop(key, Stop(StopReason.CANCELED, text))
        return run

    def complete(self, key: RunKey) -> Run:
        """Ends a run that its caller performs; one that is Completed stays so. A submitted one is left as it is: the
        end of its processes decides.

        Raises:
            FailedPrecondition: ``ILLEGAL_RUN_TRANSITION`` when it has ended otherwise, ``SWEEP_ENDS_BY_ITSELF``.
        """
        run = self._book.get(key)
        if not run.submitted or run.is_over:
            return self._book.advance(key, RunEvent.COMPLETE, "completed by its caller")
        if run.is_sweep:
            raise _ends_by_itself(run)
        return run

    async def fail(self, key: RunKey, told: ErrorInfo, *, by_script: bool) -> Run:
        """Makes a run Failed at once, also one that is Completed. The processes of a submitted one are ended as by a
        cancel, and its files collected, after this has returned.

        Args:
            told: the error; what is empty in it is filled in.
            by_script: called from inside the run's own job: then it is only noted, and counts when the processes end
                with exit code 0.

        Raises:
            FailedPrecondition: ``ILLEGAL_RUN_TRANSITION`` when it was canceled, ``SWEEP_ENDS_BY_ITSELF``.
        """
        run = self._book.get(key)
        cause = "failed by its caller"
        if not run.submitted or run.state.is_terminal:
            return self._book.advance(key, RunEvent.FAIL, cause, **_error_of(run, told))
        if run.is_sweep:
            raise _ends_by_itself(run)
        if by_script:
            wish = _complete(told, "The script called run.fail().")
            noted = {"code": wish.code, "message": wish.message}
            return self._book.change(run, execution={**run.execution, "failed_by_script": noted})
        if run.state in WAITING:
            return await self._end_waiting(run, RunEvent.FAIL, cause, **_error_of(run, told))
        # Noted together with its state: an emulator that is started now ends the processes all the same.
        text = "The run was failed by its caller."
        execution = {**run.execution, "ending": text}
        run = self._book.advance(key, RunEvent.FAIL, cause, execution=execution, **_error_of(run, told))
        self._stop(key, Stop(StopReason.FAILED, text))
        return run

    async def _end_waiting(self, run: Run, event: RunEvent, cause: str, **changes: Any) -> Run:
        control = self._clusters.get(ClusterKey(run.workspace_id, run.target))
        withdrawn = control is not None and control.withdraw(run.run_id)
        if run.attempt > 1:
            # It has worked before, until a node was taken away: what it wrote then is kept, like that of any run.
            await self._collect(run)
        run = self._book.advance(run.key, event, cause, **changes)
        if withdrawn:
            self._after_run(run)
        return run

    def _stop(self, key: RunKey, stop: Stop) -> None:
        execution = self._executions.get(key)
        if execution is not None:
            execution.stop(stop)


def stop_of(run: Run) -> Stop | None:
    """Why a stored run is to end, if it is; for an emulator that goes on with it."""
    if run.is_ending:
        return Stop(StopReason.FAILED, str(run.execution["ending"]))
    if run.state is RunState.CANCEL_REQUESTED:
        return Stop(StopReason.CANCELED, "The run was canceled.")
    return None


def was_failed_by_caller(run: Run) -> bool:
    """Whether a run is Failed because somebody said so from outside, while its processes end or without details."""
    told = run.error is not None and run.error.message == _NO_DETAILS
    return run.state is RunState.FAILED and (told or "ending" in run.execution)


def _complete(told: ErrorInfo, message: str = _NO_DETAILS) -> ErrorInfo:
    return ErrorInfo(told.code or "UserError", told.message or message)


def _error_of(run: Run, told: ErrorInfo) -> dict[str, ErrorInfo]:
    """What a failed run tells: what its caller says, but nothing takes the place of an error that is known."""
    if run.error is not None and not told.code and not told.message:
        return {}
    return {"error": _complete(told)}


def _ends_by_itself(run: Run) -> FailedPrecondition:
    return FailedPrecondition(
        "SWEEP_ENDS_BY_ITSELF",
        f"Run {run.run_id!r} is a sweep: it ends when its child runs have ended. Cancel it to end it earlier.",
    )
