"""One builder at a time for a folder in the cache, over all emulators on the machine."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path


class FolderLock:
    """An exclusive lock on a file (made when missing, never removed): `async with FolderLock(path) as lock`.

    The lock belongs to the open file: a program that inherits `fileno` keeps it until it ends, too. So an installer
    that outlives a killed emulator is not disturbed by the next one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fileno = -1

    async def __aenter__(self) -> FolderLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.fileno = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(self.fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await self._wait()
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self.fileno >= 0:
            os.close(self.fileno)
            self.fileno = -1

    async def _wait(self) -> None:
        # A thread of its own, and a daemon: waiting may take as long as somebody else's build, and neither a cancelled
        # task nor the end of this process shall wait for it. It waits on a file description of its own (a dup), which
        # it closes.
        loop = asyncio.get_running_loop()
        got = loop.create_future()
        fileno = os.dup(self.fileno)

        def done(error: OSError | None) -> None:
            if not got.done():
                if error is None:
                    got.set_result(None)
                else:
                    got.set_exception(error)

        def wait() -> None:
            error = None
            try:
                fcntl.flock(fileno, fcntl.LOCK_EX)
            except OSError as problem:
                error = problem
            finally:
                os.close(fileno)
            # The loop is closed when nobody waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(done, error)

        threading.Thread(target=wait, name=f"lock {self.path.name}", daemon=True).start()
        await got
