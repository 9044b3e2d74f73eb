"""Follows a growing file, as `tail -f` does, for as long as it can grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from localaml import job_files
from localaml.jobs.file_watcher import FileWatcher, Watch

# Far below the 4 MB limit of a message, large enough that the cost of a chunk does not matter.
CHUNK_BYTES = 256 * 1024
# After a chunk that was not full, more is given time to come together: a script that prints line by line, as fast as it
# can, gives some hundred chunks a second, not one for each line.
GATHER_SECONDS = 0.004


async def follow_file(
    locate: Callable[[], Path | None],
    offset: int,
    ended: Callable[[], bool],
    changed: Callable[[], Awaitable[None]],
    *,
    watcher: FileWatcher | None = None,
) -> AsyncIterator[tuple[int, bytes]]:
    """Yields what is in a file from `offset` on, and what is written to it later, as (offset, bytes) without gaps.

    The file may not exist yet, and may be moved while it is followed. Ends when `ended` says so and everything that was
    written until then has been given; also when the file never came into being.

    Args:
        locate: path of the file now; None while there is none.
        offset: first byte wanted, 0 or more; beyond the end of the file it is waited for.
        ended: whether nothing will be written any more.
        changed: returns when `ended` or `locate` may have another answer.
        watcher: shared by followers of the same event loop; one for this call alone when not given.
    """
    own_watcher = None if watcher is not None else FileWatcher()
    follower = _Follower(locate, ended, changed, watcher or own_watcher or FileWatcher())
    try:
        while (chunk := await follower.next_chunk(offset)) is not None:
            yield offset, chunk
            offset += len(chunk)
    finally:
        follower.close()
        if own_watcher is not None:
            own_watcher.close()


class _Follower:
    """State of one `follow_file`: the open file, and what would wake it up."""

    def __init__(
        self,
        locate: Callable[[], Path | None],
        ended: Callable[[], bool],
        changed: Callable[[], Awaitable[None]],
        watcher: FileWatcher,
    ) -> None:
        self._locate = locate
        self._ended = ended
        self._changed = changed
        self._watcher = watcher
        self._descriptor = -1
        self._awake = asyncio.Event()
        self._change: asyncio.Future[None] | None = None
        self._watch: Watch | None = None
        self._caught_up = False

    async def next_chunk(self, offset: int) -> bytes | None:
        """The next bytes; None at the end."""
        if self._caught_up:
            await self._watcher.pause(GATHER_SECONDS)
        else:
            # Reading may go on for long without waiting for anything: others want their turn, too.
            await asyncio.sleep(0)
        while True:
            # Before the read: what is written before the end must not be missed.
            finished = self._ended()
            self._arm()
            if chunk := self._read(offset):
                self._caught_up = len(chunk) < CHUNK_BYTES
                return chunk
            if finished:
                return None
            await self._awake.wait()

    def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._change is not None:
            self._change.cancel()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _arm(self) -> None:
        """Sees to it that `_awake` is set by whatever comes from now on."""
        self._awake.clear()
        if self._change is None or self._change.done():
            if self._change is not None:
                self._change.result()
            self._change = asyncio.ensure_future(self._changed())
            self._change.add_done_callback(lambda _: self._awake.set())
        if self._descriptor < 0:
            self._descriptor = self._open()
            if self._descriptor >= 0 and self._watch is not None:
                self._watch.cancel()
                self._watch = None
        if self._watch is None:
            if self._descriptor < 0:
                self._watch = self._watcher.later(self._wake)
            else:
                self._watch = self._watcher.watch(self._descriptor, self._wake)

    def _wake(self) -> None:
        self._watch = None
        self._awake.set()

    def _open(self) -> int:
        path = self._locate()
        if path is None:
            return -1
        try:
            # As far up as a job can put links: its logs are in the folder `logs` of its own.
            return job_files.open_plain(path.parents[2], path)
        except OSError:
            return -1

    def _read(self, offset: int) -> bytes:
        return os.pread(self._descriptor, CHUNK_BYTES, offset) if self._descriptor >= 0 else b""
