"""Tells when files grow: by inotify where there is one (Linux), else by looking again and again.

One `FileWatcher` serves any number of followers; inotify instances are scarce (128 for each user by default).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import Callable

from localaml.clock import Clock, RealClock, Timer

# Without inotify, a file is looked at this often; the latency of a line is half of it on average.
POLL_SECONDS = 0.02
# With inotify, too: file systems of other machines do not tell of changes made there.
SAFETY_SECONDS = 1.0

_IN_MODIFY = 0x2
_IN_ONESHOT = 0x80000000
_EVENT_HEAD = struct.Struct("iIII")


class Watch:
    """A call that is to come when a file changes. `cancel` is idempotent."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._undo: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """The call will not come any more."""
        undo, self._undo = self._undo, []
        for step in undo:
            step()

    def on_end(self, step: Callable[[], None]) -> None:
        """Has `step` done once the watch is over, called or cancelled."""
        self._undo.append(step)

    def fire(self) -> None:
        """Makes the call; the watch is over."""
        self.cancel()
        self._wake()


class FileWatcher:
    """Watches open files for being written to, whatever they are called meanwhile. Belongs to one event loop.

    Args:
        clock: for looking again and again.
        use_inotify: False to do without.
    """

    def __init__(self, clock: Clock | None = None, *, use_inotify: bool = True) -> None:
        self._clock = clock or RealClock()
        self._inotify: _Inotify | None = None
        self._use_inotify = use_inotify and sys.platform == "linux"

    def watch(self, descriptor: int, wake: Callable[[], None]) -> Watch:
        """Calls `wake` once: when the file behind `descriptor` is written to after this call, or a second later."""
        watch = Watch(wake)
        seen = self._use_inotify and self._inotify_instance().add(descriptor, watch)
        timer: Timer = self._clock.call_later(SAFETY_SECONDS if seen else POLL_SECONDS, watch.fire)
        watch.on_end(timer.cancel)
        return watch

    def later(self, wake: Callable[[], None]) -> Watch:
        """Calls `wake` once, when it is time to look again for a file that cannot be watched (it is not there yet)."""
        watch = Watch(wake)
        watch.on_end(self._clock.call_later(POLL_SECONDS, watch.fire).cancel)
        return watch

    async def pause(self, seconds: float) -> None:
        """Waits for more to come together."""
        await self._clock.sleep(seconds)

    def close(self) -> None:
        """Lets go of the inotify instance; running watches are left to their timers."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _inotify_instance(self) -> _Inotify:
        if self._inotify is None:
            self._inotify = _Inotify()
        return self._inotify


class _Inotify:
    """One inotify instance. Every watch of the kernel's is for one event: a busy writer does not wake us for each line,
    and nothing piles up while nobody asks."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._waiting: dict[int, list[Watch]] = {}
        self._loop = asyncio.get_running_loop()
        # Negative when the user has no instance left: `add` says so then.
        self._descriptor = int(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self._read)

    def add(self, descriptor: int, watch: Watch) -> bool:
        """Fires `watch` at the next write; False when the kernel cannot tell."""
        if self._descriptor < 0:
            return False
        path = f"/proc/self/fd/{descriptor}".encode()
        number = int(self._libc.inotify_add_watch(self._descriptor, path, ctypes.c_uint32(_IN_MODIFY | _IN_ONESHOT)))
        if number < 0:
            return False
        self._waiting.setdefault(number, []).append(watch)
        watch.on_end(lambda: self._remove(number, watch))
        return True

    def close(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        self._waiting.clear()

    def _remove(self, number: int, watch: Watch) -> None:
        waiting = self._waiting.get(number)
        if waiting is None or watch not in waiting:
            return
        waiting.remove(watch)
        if not waiting:
            del self._waiting[number]
            self._libc.inotify_rm_watch(self._descriptor, number)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            number, _, _, name_length = _EVENT_HEAD.unpack_from(data, offset)
            offset += _EVENT_HEAD.size + name_length
            for watch in self._waiting.pop(number, ()):
                watch.fire()
