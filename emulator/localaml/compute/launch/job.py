"""One run's processes, from their start (or adoption) to the last one's end."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from localaml.clock import Clock, SteadyTime, Timer
from localaml.compute.launch import open_mpi
from localaml.compute.launch.marks import NODE_LOST, TIMED_OUT, mark
from localaml.compute.launch.processes import Processes
from localaml.compute.launch.results import read_result, silent_ranks
from localaml.compute.launch.table import NODE, RUN_LABEL, STATE_DIR
from localaml.compute.runtime import LaunchPlan, LaunchResult
from localaml.domain.job import Launch

# When a node was lost, Open MPI ends the other ranks by itself; after so many seconds we do.
_LOST_NODE_SECONDS = 5.0
# When a run is ended so soon after its launch, its programs may not have got the signal.
_YOUNG_SECONDS = 1.0
# What is still found after so many looks starts others as fast as it is killed.
_MULTIPLYING_LOOKS = 2
_MOST_HELD = 1 << 17
# After so long, what was killed should have ended.
_KILLED_SECONDS = 30.0
# So many times those are looked for that came meanwhile, first and at last so often.
_LOOKS = 8
_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.005, 0.25


class LaunchedJob:
    """A run's processes. Made by a runtime, which calls `begin` once.

    The handle: ``pid`` and ``start_time`` of the launcher (the shell that leaves the exit record), ``boot`` (an id of
    the machine's current boot, without which the first two mean nothing) and ``launched_at`` (RFC 3339). Where the
    launcher has a guard (`scripts/keeper.py`): ``guard`` and ``guard_start_time``.

    Args:
        clear_up: called once all processes have ended and their result was read.
        look_around: called before it is read, to mark what explains the end (see `results.mark`).
    """

    def __init__(
        self,
        plan: LaunchPlan,
        handle: Mapping[str, Any],
        state_dir: Path,
        processes: Processes,
        clock: Clock,
        clear_up: Callable[[], Awaitable[None]],
        look_around: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._plan = plan
        self._handle = dict(handle)
        self._state_dir = state_dir
        self._processes = processes
        self._clock = clock
        self._steady = SteadyTime(clock)
        self._launched_at = self._steady.of(datetime.fromisoformat(handle["launched_at"]))
        self._clear_up = clear_up
        self._look_around = look_around
        self._ending: asyncio.Task[LaunchResult] | None = None
        self._termination: asyncio.Task[None] | None = None
        self._timers: list[Timer] = []
        self._errands: set[asyncio.Task[None]] = set()
        # The session that the launcher leads, as long as nobody else can have its number.
        self._session = 0
        # The guard, while it lives.
        self._guard = 0

    @property
    def handle(self) -> Mapping[str, Any]:
        return dict(self._handle)

    def begin(self, launcher_lives: bool, ended: Callable[[LaunchedJob], None], *, guard_lives: bool = False) -> None:
        """Starts to watch the processes; calls `ended` when the last one has ended."""
        loop = asyncio.get_running_loop()
        self._guard = self._handle["guard"] if guard_lives else 0
        self._session = self._handle["pid"] if launcher_lives else 0
        self._ending = loop.create_task(self._watch(launcher_lives), name=f"watch {self._plan.label}")
        self._ending.add_done_callback(lambda _: ended(self))
        if self._plan.launch is Launch.MPI and launcher_lives:
            remaining = max(0.0, self._plan.launch_timeout_seconds - self._age())
            self._later(remaining, self._check_signs_of_life)

    def detach(self) -> None:
        """Stops watching; the processes go on."""
        self._stop_timers()
        for task in (self._termination, self._ending, *self._errands):
            if task is not None:
                task.cancel()

    async def wait(self) -> LaunchResult:
        return await asyncio.shield(self._watching)

    async def terminate(self, grace_seconds: float) -> None:
        if not self._watching.done() and self._termination is None:
            self._termination = asyncio.get_running_loop().create_task(self._terminate(grace_seconds))
        if self._termination is not None:
            await asyncio.shield(self._termination)
        await asyncio.shield(self._watching)

    async def lose_node(self, node_id: str) -> None:
        if self._watching.done() or node_id not in {node.node_id for node in self._plan.nodes}:
            return
        mark(self._plan, NODE_LOST, node_id)
        if self._plan.launch is not Launch.MPI or self._plan.nodes[0].node_id == node_id:
            # Of MPI the launcher and mpirun run there: nothing is left that could end the other ranks. And without MPI
            # nobody would miss a node whose processes had ended before.
            await self._kill_all()
        else:
            await self._processes.send(await self._find({NODE: node_id}), signal.SIGKILL)
            self._later(_LOST_NODE_SECONDS, self._kill_all)

    @property
    def _watching(self) -> asyncio.Task[LaunchResult]:
        if self._ending is None:
            raise RuntimeError("begin() was not called")
        return self._ending

    async def _watch(self, launcher_lives: bool) -> LaunchResult:
        if launcher_lives:
            await self._processes.wait_for_exit(self._handle["pid"], self._handle["start_time"])
        if self._termination is not None:
            # Others of the run's processes may still use their grace.
            await asyncio.shield(self._termination)
        await self._wait_for_the_guard()
        await self._end_those_left_behind()
        # Not earlier: the launcher's corpse kept its number, and so the session's, from being used again.
        self._session = 0
        await self._processes.reap(self._handle["pid"])
        self._stop_timers()
        if self._look_around is not None:
            await self._look_around()
        result = read_result(self._plan)
        await self._clear_up()
        return result

    async def _wait_for_the_guard(self) -> None:
        """Returns when it has ended, and with it all that the run has left behind."""
        if not self._guard:
            return
        # The launcher's corpse is not ours to keep: its number, and so the session's, may be used again.
        self._session = 0
        # A process of the run may have stopped it.
        await self._processes.send([self._guard], signal.SIGCONT)
        await self._processes.send([self._guard], signal.SIGQUIT)
        limit = asyncio.ensure_future(self._clock.sleep(_KILLED_SECONDS))
        try:
            await _first(self._processes.wait_for_exit(self._guard, self._handle["guard_start_time"]), limit)
        finally:
            limit.cancel()
        self._guard = 0

    async def _end_those_left_behind(self) -> None:
        if self._session:
            await self._processes.end_group(self._session)
        begun = self._clock.monotonic()
        looks = 0
        while left_behind := await self._find():
            if looks >= _MULTIPLYING_LOOKS:
                left_behind = await self._hold_all(left_behind)
                if self._clock.monotonic() - begun > _KILLED_SECONDS:
                    await self._processes.give_up(left_behind)
                await self._clock.sleep(_FIRST_LOOK_SECONDS)
            await self._processes.send(left_behind, signal.SIGKILL)
            limit = asyncio.ensure_future(self._clock.sleep(_KILLED_SECONDS))
            try:
                await _first(self._processes.wait_for_exits(left_behind), limit)
            finally:
                limit.cancel()
            looks += 1

    async def _hold_all(self, known: list[int]) -> list[int]:
        """Stops processes that start others as fast as they are killed, until there are no new ones."""
        held: set[int] = set()
        while (new := set(known) - held) and len(held) < _MOST_HELD:
            await self._processes.send(list(new), signal.SIGSTOP)
            held |= new
            known = await self._find()
        return sorted(held)

    async def _give_up_the_launcher(self) -> None:
        await self._processes.give_up([self._handle["pid"]])

    async def _terminate(self, grace_seconds: float) -> None:
        grace = asyncio.ensure_future(self._clock.sleep(grace_seconds))
        if self._guard:
            await self._processes.send([self._guard], signal.SIGTERM)
        try:
            others = await self._tell_all(grace)
            while others and not grace.done():
                await _first(self._processes.wait_for_exits(others), grace)
                # Also those which the first ones have started meanwhile; they may end by themselves.
                others = await self._others()
        finally:
            grace.cancel()
        await self._kill_all()
        self._later(_KILLED_SECONDS, self._give_up_the_launcher)

    async def _tell_all(self, grace: asyncio.Future[None]) -> list[int]:
        """Tells all to end, each once, also those that come while we look. Returns the processes that are left.

        Of a run that has hardly begun, who lives and would still die of the signal has lost it between fork and exec,
        and is told again. Where the launcher alone lives, its program is still to come.
        """
        is_young = self._age() < _YOUNG_SECONDS
        told: set[int] = set()
        others = await self._tell(told)
        looks, seconds = 0, _FIRST_LOOK_SECONDS
        while others and not grace.done() and (looks < _LOOKS or others == [self._handle["pid"]]):
            pause = asyncio.ensure_future(self._clock.sleep(seconds))
            try:
                await _first(self._processes.wait_for_exits(others), pause)
            finally:
                pause.cancel()
            if is_young:
                told.difference_update(await self._processes.mortal(await self._others(), signal.SIGTERM))
            others = await self._tell(told)
            looks, seconds = looks + 1, min(2 * seconds, _LAST_LOOK_SECONDS)
        return others

    async def _tell(self, told: set[int]) -> list[int]:
        """Tells those to end that were not told yet; returns all that can end by themselves."""
        if self._plan.launch is Launch.MPI:
            await self._hold_daemons()
        elif self._plan.processes and self._session and self._session not in told:
            # Before the others: it must not take their end for a failure, which would cut the grace of the rest.
            await self._processes.send([self._session], signal.SIGTERM)
            told.add(self._session)
        others = await self._others()
        await self._processes.send([one for one in others if one not in told], signal.SIGTERM)
        told.update(others)
        return others

    def _age(self) -> float:
        """Seconds since the launch."""
        return (self._steady.now() - self._launched_at).total_seconds()

    async def _hold_daemons(self) -> None:
        """Stops Open MPI's own processes, which would cut the grace of the ranks short: they kill all of them once the
        first has ended."""
        variables = await self._processes.environments(await self._find())
        daemons = [
            process_id
            for process_id, environment in variables.items()
            if process_id != self._handle["pid"] and RUN_LABEL in environment and open_mpi.RANK not in environment
        ]
        await self._processes.send(daemons, signal.SIGSTOP)

    async def _others(self) -> list[int]:
        """The run's processes that can end by themselves: not those of Open MPI, nor the launcher that waits for them.

        Every other launcher is among them: it ends after that, once it has left the record.
        """
        found = await self._find()
        if self._plan.launch is not Launch.MPI:
            return found
        variables = await self._processes.environments(found)
        return [process_id for process_id, environment in variables.items() if open_mpi.RANK in environment]

    async def _check_signs_of_life(self) -> None:
        silent = silent_ranks(self._plan)
        if silent and not self._watching.done():
            mark(self._plan, TIMED_OUT, f"rank {', '.join(str(rank) for rank in silent)}")
            await self._kill_all()

    async def _find(self, more: Mapping[str, str] | None = None) -> list[int]:
        """Ids of the run's living processes; with `more`, only those that have these variables, too."""
        variables = {STATE_DIR: str(self._state_dir), RUN_LABEL: self._plan.label, **(more or {})}
        where = {} if more else {"session": self._session, "below": self._guard}
        return await self._processes.find(variables, **where)

    async def _kill_all(self) -> None:
        """Sends SIGKILL to all; `_watch` sees to those that come into being meanwhile."""
        await self._processes.send(await self._find(), signal.SIGKILL)

    def _later(self, seconds: float, errand: Callable[[], Coroutine[Any, Any, None]]) -> None:
        def begin() -> None:
            task = asyncio.get_running_loop().create_task(errand())
            self._errands.add(task)
            task.add_done_callback(self._errands.discard)

        self._timers.append(self._clock.call_later(seconds, begin))

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()


async def remove_folder(folder: Path) -> None:
    """Removes a folder with what is in it; a missing one is fine, and so is what cannot be removed."""
    try:
        # Most are empty, and this is far cheaper than a look inside.
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _first(work: Coroutine[Any, Any, None], limit: asyncio.Future[None]) -> None:
    """Waits for the work, but no longer than for the limit."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
