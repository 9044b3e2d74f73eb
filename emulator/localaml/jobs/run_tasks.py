"""The work that goes on for runs, beside everything else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine
from typing import TYPE_CHECKING, Any

from localaml.domain.models import RunKey

if TYPE_CHECKING:
    from localaml.clock import Clock

logger = logging.getLogger(__name__)


class RunTasks:
    """Tasks, each for one run or for none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[asyncio.Task[None], RunKey | None] = {}
        self._ending = False

    def spawn(self, work: Coroutine[Any, Any, None], run: RunKey | None = None) -> None:
        """Begins a piece of work; a virtual clock waits for it. After `cancel_all` it is cancelled at once."""

        async def do() -> None:
            with self._clock.working(apart=True):
                await work

        task = asyncio.get_running_loop().create_task(do())
        task.add_done_callback(lambda _: work.close())  # cancelled before it began, it would complain
        self._tasks[task] = run
        task.add_done_callback(self._done)
        if self._ending:
            task.cancel()

    async def wait_for(self, runs: Collection[RunKey]) -> None:
        """Returns once all work for these runs is done, but for that of the caller itself."""
        own = asyncio.current_task()
        while waiting := {task for task, key in self._tasks.items() if key in runs and task is not own}:
            await asyncio.wait(waiting)

    async def cancel_all(self) -> None:
        """Cancels all work and waits for its end. From now on nothing is begun any more: nodes that become ready
        meanwhile would begin with runs that nobody waits for, or whose end would be waited for."""
        self._ending = True
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("background work failed: %s", error, exc_info=error)
