"""Ends a run's processes, in the way that the reason for it has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from localaml.domain.outcome import Stop, StopReason

if TYPE_CHECKING:
    from localaml.compute.runtime import RunningJob
    from localaml.domain.models import RunKey
    from localaml.jobs.job_tools import JobTools

# Longer than any notice: the clock of the cloud says when it is over.
_LONG_SECONDS = 30 * 24 * 3600.0


async def end_processes(tools: JobTools, key: RunKey, job: RunningJob, first_node_id: str, stop: Stop) -> None:
    """Ends the processes of a run. That it was evicted is noted before, so that also the next emulator knows.

    Args:
        first_node_id: where the launcher is: with this node everything goes.
    """
    if stop.reason is StopReason.NODE_LOST:
        await job.lose_node(stop.node_id)
        return
    grace = tools.settings.cancel_grace_seconds if stop.grace_seconds is None else stop.grace_seconds
    if stop.reason is StopReason.NODE_EVICTED:
        run = tools.book.get(key)
        tools.book.change(run, execution={**run.execution, "evicted": stop.message})
        if grace:
            await _give_notice(tools, job, first_node_id, grace)
            return
    await job.terminate(grace)


async def _give_notice(tools: JobTools, job: RunningJob, first_node_id: str, seconds: float) -> None:
    # The notice is the cloud's, so it is in service time; graces of processes are in machine time.
    over = asyncio.Event()
    timer = tools.clock.call_later(seconds, over.set)
    ending = asyncio.ensure_future(job.terminate(_LONG_SECONDS))
    waiter = asyncio.ensure_future(over.wait())
    try:
        with tools.clock.waiting():
            await asyncio.wait({ending, waiter}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            await job.lose_node(first_node_id)
        await ending
    finally:
        timer.cancel()
        waiter.cancel()
        ending.cancel()
