"""Runs that a job began (`run.child_run()`) and never ended: nobody performs them once its processes have gone.

No source tells what Azure does with them. Here they end with the job, as failed, or as cancelled when it was; so
nobody waits for them for ever. Children that somebody else performs, and those that were submitted, go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from localaml.domain.models import ErrorInfo, Run, RunKey
from localaml.domain.outcome import Outcome
from localaml.domain.run_lifecycle import RunEvent
from localaml.domain.states import RunState
from localaml.store import RunFilter

if TYPE_CHECKING:
    from localaml.store import Store

_PERFORMER = "performed_by"


def performed_by(job: RunKey | None) -> Mapping[str, str]:
    """What is noted of the execution of a run that is not submitted.

    Args:
        job: whose processes perform it; None for somebody who is no job.
    """
    return {} if job is None else {_PERFORMER: job.run_id}


def forsaken(store: Store, job: Run) -> list[Run]:
    """The runs that a job performed and has not ended, its children's children included."""
    wanted = RunFilter(parent_run_id=job.run_id, recursive=True, state=RunState.RUNNING)
    found = store.runs.scan(job.workspace_id, wanted)
    return [run for _, run in found if run.execution.get(_PERFORMER) == job.run_id]


def end_of_forsaken(job: Run) -> Outcome:
    """How such a run ends when its job has ended."""
    text = f"The job {job.run_id!r} has ended ({job.state.value}), and its script had not ended this run."
    if job.state is RunState.CANCELED:
        return Outcome(RunEvent.END_CANCELED, text)
    advice = "Call complete() or fail() in the script, or use the run in a 'with' block."
    return Outcome(RunEvent.FAIL, text, ErrorInfo("PARENT_RUN_ENDED", f"{text} {advice}"))
