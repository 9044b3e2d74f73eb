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
    TIMED_OUT = "timed out"
    NODE_LOST = "node lost"


@dataclass(frozen=True, slots=True)
class Stop:
    """A wish that a run ends."""

    reason: StopReason
    message: str
    node_id: str = ""


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
    if stop is not None and stop.reason is StopReason.TIMED_OUT:
        return Outcome(RunEvent.FAIL, stop.message, ErrorInfo("MAX_RUN_DURATION_EXCEEDED", stop.message))
    if stop is not None and stop.reason is StopReason.NODE_LOST:
        return Outcome(RunEvent.FAIL, stop.message, ErrorInfo("NODE_LOST", stop.message, {"node_id": stop.node_id}))
    if end is None:
        raise ValueError("a run that was not stopped has processes that ended")
    if end.error is not None:
        return Outcome(RunEvent.FAIL, end.error.message, end.error)
    if failed_by_script is not None:
        return Outcome(RunEvent.FAIL, "the script called run.fail()", failed_by_script)
    return Outcome(RunEvent.COMPLETE, "all processes ended with exit code 0")
