"""What a sweep does next: a pure function of what it is and of how its children are.

Nothing of its progress is kept anywhere but in the records of the children: a sweep goes on after a restart from what
they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from localaml.domain.models import ErrorInfo
from localaml.domain.outcome import Outcome
from localaml.domain.run_lifecycle import RunEvent
from localaml.domain.states import RunState
from localaml.domain.sweep_policies import due, reason_to_stop
from localaml.domain.sweep_sampling import Sampler
from localaml.domain.sweeps import Child, Sweep, Values


@dataclass(frozen=True, slots=True)
class Start:
    """A child is to be submitted."""

    index: int
    values: Values


@dataclass(frozen=True, slots=True)
class Stop:
    """A child is to be cancelled."""

    index: int
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A child was looked at by the policy, at so many reports, and may go on."""

    index: int
    reports: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The sweep is over."""

    outcome: Outcome


Action = Start | Stop | Judged | Finish


def next_actions(
    sweep: Sweep,
    sampler: Sampler,
    children: Sequence[Child],
    *,
    elapsed_seconds: float = 0.0,
    is_cancelled: bool = False,
    failure: ErrorInfo | None = None,
) -> list[Action]:
    """What is to be done now. After it is done and something has changed, ask again.

    Args:
        children: all that were started, in the order of their indices.
        elapsed_seconds: since the sweep began.
        is_cancelled: somebody wants the sweep to end.
        failure: why no more children can be started.
    """
    outcome = _early_end(sweep, elapsed_seconds, is_cancelled, failure)
    active = [child for child in children if child.is_active]
    if outcome is not None:
        if not active:
            return [Finish(outcome)]
        return [Stop(child.index, outcome.cause) for child in active if not child.is_stopping]
    actions: list[Action] = []
    for child in active:
        actions += _judge(sweep, child, children)
    started = list(children)
    while len(active) < sweep.max_concurrent and len(started) < sweep.max_total:
        values = sampler.sample(len(started), started)
        if values is None:
            break
        actions.append(Start(len(started), values))
        child = Child(len(started), values, RunState.NOT_STARTED)
        started.append(child)
        active.append(child)
    return actions if active else [Finish(_natural_end(started))]


def _early_end(sweep: Sweep, elapsed_seconds: float, is_cancelled: bool, failure: ErrorInfo | None) -> Outcome | None:
    if is_cancelled:
        return Outcome(RunEvent.END_CANCELED, "The sweep was canceled.")
    if failure is not None:
        return Outcome(RunEvent.FAIL, failure.message, failure)
    if sweep.max_seconds and elapsed_seconds >= sweep.max_seconds:
        # Azure documents: once this time is exceeded, the run is cancelled.
        text = f"The sweep took longer than {sweep.max_seconds / 60:g} minutes (max_duration_minutes) and was canceled."
        return Outcome(RunEvent.END_CANCELED, text)
    return None


def _judge(sweep: Sweep, child: Child, children: Sequence[Child]) -> list[Action]:
    if sweep.policy is None or child.is_stopping or child.state is not RunState.RUNNING:
        return []
    others = [other for other in children if other.index != child.index]
    intervals = due(sweep.policy, child)
    for interval in intervals:
        why = reason_to_stop(sweep.policy, child, others, interval, maximize=sweep.maximize)
        if why is not None:
            return [Stop(child.index, f"The sweep's early termination policy has stopped this run. {why}.")]
    return [Judged(child.index, intervals[-1])] if intervals else []


def _natural_end(children: Sequence[Child]) -> Outcome:
    """All children have ended. The sweep has failed when some have failed and none has completed (a choice: Azure does
    not document it, and its service was seen to report both)."""
    failed = sum(child.state is RunState.FAILED for child in children)
    completed = sum(child.state is RunState.COMPLETED for child in children)
    if failed and not completed:
        text = f"None of the {len(children)} child runs has completed; {failed} failed. Look at their errors and logs."
        return Outcome(RunEvent.FAIL, text, ErrorInfo("UserError", text))
    return Outcome(RunEvent.COMPLETE, f"all {len(children)} child runs have ended")
