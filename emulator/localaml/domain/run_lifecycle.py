"""The life of a run: which event leads from which state to which.

Sources: states as in Azure's SDK (`Run.get_status`); their order and meaning as documented for
`azureml.core.run.Run`. A run that was submitted waits (Queued, or Provisioning while nodes are being added for it),
has its environment made (Preparing), is laid out and launched (Starting), works (Running), has its files collected
(Finalizing) and ends. A run that its caller performs (`start_logging`, `child_run`) goes from NotStarted to Running
to its end.

A caller may say of a run that is Completed that it has failed (`Run.fail`, where a "run finishes but has an error"). To
say twice how a run has ended changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from localaml.domain.models import StateChange
from localaml.domain.states import RunState
from localaml.errors import FailedPrecondition


class RunEvent(str, Enum):
    """What can happen to a run."""

    SUBMIT = "submit"
    BEGIN = "begin"  # the caller performs it
    GROW_CLUSTER = "grow cluster"
    PLACE = "place"
    LAUNCH = "launch"
    PROCESSES_STARTED = "processes started"
    PROCESSES_ENDED = "processes ended"
    REQUEUE = "requeue"
    CANCEL = "cancel"
    COMPLETE = "complete"
    FAIL = "fail"
    END_CANCELED = "end canceled"


_S, _E = RunState, RunEvent

# Transitions that submitted runs and performed runs share in shape; what is not here is illegal.
TRANSITIONS: dict[tuple[RunState, RunEvent], RunState] = {
    (_S.NOT_STARTED, _E.SUBMIT): _S.QUEUED,
    (_S.NOT_STARTED, _E.BEGIN): _S.RUNNING,
    (_S.NOT_STARTED, _E.END_CANCELED): _S.CANCELED,
    (_S.QUEUED, _E.GROW_CLUSTER): _S.PROVISIONING,
    (_S.QUEUED, _E.PLACE): _S.PREPARING,
    (_S.QUEUED, _E.FAIL): _S.FAILED,
    (_S.QUEUED, _E.END_CANCELED): _S.CANCELED,
    (_S.PROVISIONING, _E.PLACE): _S.PREPARING,
    (_S.PROVISIONING, _E.REQUEUE): _S.QUEUED,
    (_S.PROVISIONING, _E.FAIL): _S.FAILED,
    (_S.PROVISIONING, _E.END_CANCELED): _S.CANCELED,
    (_S.PREPARING, _E.LAUNCH): _S.STARTING,
    (_S.PREPARING, _E.REQUEUE): _S.QUEUED,
    (_S.PREPARING, _E.CANCEL): _S.CANCEL_REQUESTED,
    (_S.PREPARING, _E.FAIL): _S.FAILED,
    (_S.STARTING, _E.LAUNCH): _S.STARTING,  # again, after a restart of the emulator
    (_S.STARTING, _E.PROCESSES_STARTED): _S.RUNNING,
    (_S.STARTING, _E.REQUEUE): _S.QUEUED,
    (_S.STARTING, _E.CANCEL): _S.CANCEL_REQUESTED,
    (_S.STARTING, _E.FAIL): _S.FAILED,
    (_S.RUNNING, _E.PROCESSES_ENDED): _S.FINALIZING,
    (_S.RUNNING, _E.CANCEL): _S.CANCEL_REQUESTED,
    (_S.RUNNING, _E.REQUEUE): _S.QUEUED,
    (_S.RUNNING, _E.COMPLETE): _S.COMPLETED,
    (_S.RUNNING, _E.FAIL): _S.FAILED,
    (_S.RUNNING, _E.END_CANCELED): _S.CANCELED,
    (_S.FINALIZING, _E.CANCEL): _S.FINALIZING,  # too late: the work is done, only its files are on their way
    (_S.FINALIZING, _E.COMPLETE): _S.COMPLETED,
    (_S.FINALIZING, _E.FAIL): _S.FAILED,
    (_S.CANCEL_REQUESTED, _E.CANCEL): _S.CANCEL_REQUESTED,
    (_S.CANCEL_REQUESTED, _E.END_CANCELED): _S.CANCELED,
    (_S.CANCEL_REQUESTED, _E.FAIL): _S.FAILED,
    (_S.COMPLETED, _E.COMPLETE): _S.COMPLETED,
    (_S.COMPLETED, _E.FAIL): _S.FAILED,
    (_S.FAILED, _E.FAIL): _S.FAILED,
}

# What cannot be done, in the words of an error.
_VERBS = {
    _E.CANCEL: "be canceled",
    _E.END_CANCELED: "be canceled",
    _E.COMPLETE: "be completed",
    _E.FAIL: "be failed",
}

# Waiting states: no node, no process; a cancel ends them at once.
WAITING = frozenset({RunState.NOT_STARTED, RunState.QUEUED, RunState.PROVISIONING})
# States in which a run holds nodes.
PLACED = frozenset(
    {RunState.PREPARING, RunState.STARTING, RunState.RUNNING, RunState.FINALIZING, RunState.CANCEL_REQUESTED}
)


def next_state(state: RunState, event: RunEvent, story: Sequence[StateChange] = (), run_id: str = "") -> RunState:
    """The state that `event` leads to.

    Args:
        story: what happened to the run so far, for the error.
        run_id: which run it is, for the error.

    Raises:
        FailedPrecondition: ``ILLEGAL_RUN_TRANSITION``; the message tells the story of the run so far.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        verb = _VERBS.get(event, event.value)
        told = "; ".join(f"{change.state.value} ({change.cause})" for change in story) or "no history"
        if state.is_terminal:
            message = f"Run {run_id!r} has ended ({state.value}); it cannot {verb} any more. Its story: {told}."
        else:
            message = f"Run {run_id!r} is {state.value}: it cannot {verb}. Its story: {told}."
        raise FailedPrecondition(
            "ILLEGAL_RUN_TRANSITION", message, {"state": state.value, "event": event.value}
        ) from None
