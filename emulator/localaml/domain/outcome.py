"""How a submitted run ends, decided from what was seen. Pure.

What counts: that it was asked to end (and why), how its processes ended, and what the script itself said
(`run.fail()`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from localaml.domain.models import ErrorInfo
from localaml.domain.run_lifecycle import RunEvent


class StopReason(str, Enum):
    """Why a run was made to end before its processes ended by themselves."""

    CANCELED = "canceled"
    FAILED = "failed by its caller"
    TIMED_OUT = "timed out"
    NODE_LOST = "node lost"
    NODE_EVICTED = "node evicted"
    OUT_OF_MEMORY = "out of memory"
    PROCESS_KILLED = "process killed"


# What makes a run fail, with the code that its error has.
_FAILURES = {
    StopReason.FAILED: "UserError",
    StopReason.TIMED_OUT: "MAX_RUN_DURATION_EXCEEDED",
    StopReason.NODE_LOST: "NODE_LOST",
    StopReason.OUT_OF_MEMORY: "OUT_OF_MEMORY",
    StopReason.PROCESS_KILLED: "PROCESS_KILLED",
}


@dataclass(frozen=True, slots=True)
class Stop:
    """A wish that a run ends.

    Attributes:
        grace_seconds: how long its processes have between SIGTERM and SIGKILL; None for what is usual.
    """

    reason: StopReason
    message: str
    node_id: str = ""
    grace_seconds: float | None = None


def stronger(first: Stop | None, second: Stop) -> Stop:
    """Which of two wishes counts: the first, but a user's cancel counts more than an eviction, which would only begin
    the run again, and so does any failure."""
    if first is None or (first.reason is StopReason.NODE_EVICTED and second.reason is not StopReason.NODE_EVICTED):
        return second
    return first


@dataclass(frozen=True, slots=True)
class ProcessesEnd:
    """How the processes ended: `error` is None only when every one of them left a record of exit code 0."""

    error: ErrorInfo | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last event of a run's life, with the error that goes with it."""

    event: RunEvent
    cause: str
    error: ErrorInfo | None = None


def decide(stop: Stop | None, end: ProcessesEnd | None, failed_by_script: ErrorInfo | None) -> Outcome:
    """The outcome of a run.

    Args:
        stop: what the run was asked to end for, if it was.
        end: how its processes ended; None when none were started.
        failed_by_script: what the script gave to `run.fail()`, if it did.
    """
    if stop is not None and stop.reason is StopReason.CANCELED:
        return Outcome(RunEvent.END_CANCELED, stop.message)
    if stop is not None and stop.reason is StopReason.NODE_EVICTED:
        # The same run, from the queue: low-priority jobs of AmlCompute are requeued, not failed.
        return Outcome(RunEvent.REQUEUE, stop.message)
    if stop is not None:
        metadata = {"node_id": stop.node_id} if stop.node_id else {}
        return Outcome(RunEvent.FAIL, stop.message, ErrorInfo(_FAILURES[stop.reason], stop.message, metadata))
    if end is None:
        raise ValueError("a run that was not stopped has processes that ended")
    if end.error is not None:
        return Outcome(RunEvent.FAIL, end.error.message, end.error)
    if failed_by_script is not None:
        return Outcome(RunEvent.FAIL, "the script called run.fail()", failed_by_script)
    return Outcome(RunEvent.COMPLETE, "all processes ended with exit code 0")
