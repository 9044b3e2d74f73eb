"""Notes of the emulator's own on what explains the end of a run's processes, where these cannot write."""

from __future__ import annotations

import contextlib

from localaml.compute.runtime import LaunchPlan

# A node's id.
NODE_LOST = "node_lost"
# Which processes gave no sign of life.
TIMED_OUT = "timed_out"
# What ran out of memory: ``node cpu-0 (limit 7.0 GiB)``.
OUT_OF_MEMORY = "out_of_memory"
MARKS = (NODE_LOST, TIMED_OUT, OUT_OF_MEMORY)


def mark(plan: LaunchPlan, event: str, detail: str) -> None:
    """Notes an event, for `results.read_result`."""
    plan.marks.mkdir(parents=True, exist_ok=True)
    (plan.marks / event).write_text(detail)


def marked(plan: LaunchPlan, event: str) -> str:
    """The detail of an event; empty when it did not happen."""
    with contextlib.suppress(OSError):
        return (plan.marks / event).read_text()
    return ""


def forget_marks(plan: LaunchPlan) -> None:
    """Removes the notes of an earlier launch."""
    for event in MARKS:
        (plan.marks / event).unlink(missing_ok=True)
