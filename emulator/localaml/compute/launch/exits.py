"""Waiting for the end of processes that may or may not be our children."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterable

from localaml.clock import Clock
from localaml.compute.launch.table import ProcessTable

# Where neither the kernel nor waitpid tells of a process' end, it is looked for this often.
POLL_SECONDS = 0.02


async def wait_for_exit(process_id: int, start_time: str, table: ProcessTable, clock: Clock) -> None:
    """Returns when the process that had this id and start time has ended. Leaves a child's corpse to `reap`."""
    descriptor = _open(process_id)
    try:
        if table.start_time(process_id) == start_time != "":
            if descriptor is not None:
                await _readable(descriptor)
            elif _is_child(process_id):
                await _wait_in_thread(process_id)
            else:
                while table.start_time(process_id) == start_time:
                    await clock.sleep(POLL_SECONDS)
    finally:
        if descriptor is not None:
            os.close(descriptor)


async def wait_for_exits(process_ids: Iterable[int], table: ProcessTable, clock: Clock) -> None:
    """Returns when all these processes, which live now, have ended."""
    started = {process_id: table.start_time(process_id) for process_id in process_ids}
    waits = [wait_for_exit(process_id, start, table, clock) for process_id, start in started.items() if start]
    await asyncio.gather(*waits)


def reap(process_id: int) -> None:
    """Takes a dead child's corpse away; nothing happens when it is not our child or lives."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process_id, os.WNOHANG)


def _open(process_id: int) -> int | None:
    """A pidfd: readable once the process has ended. None where the system has none (or forbids them)."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(process_id)
    except OSError:
        return None


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: _set(ended))
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)


def _set(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


def _is_child(process_id: int) -> bool:
    try:
        os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return False
    return True


async def _wait_in_thread(process_id: int) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def watch() -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOWAIT)
        # The loop may be closed by now: nobody waits any more then.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: _set(ended))

    threading.Thread(target=watch, name=f"wait-{process_id}", daemon=True).start()
    await ended
