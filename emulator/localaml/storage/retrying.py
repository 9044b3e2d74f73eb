"""Waiting for a store that is away for a while. Blocks: for threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from localaml.errors import Unavailable

_T = TypeVar("_T")
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 3.0


class Patience:
    """Repeats calls that fail because the store cannot be reached or answers with an error of its own.

    Time is the machine's: what is waited for is no part of the emulated world.

    Args:
        seconds: how long a store may be away before the caller is told.
        is_transient: whether an error may go away by itself.
    """

    def __init__(self, seconds: float, is_transient: Callable[[Exception], bool]) -> None:
        self._seconds = seconds
        self._is_transient = is_transient
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends all waiting: what is tried once more from now on fails at once."""
        self._closed.set()

    def call(self, action: Callable[[], _T], what: str) -> _T:
        """The result of `action`, which may be called several times.

        Raises Unavailable ``OBJECT_STORE_UNAVAILABLE`` after the time, and what `action` raises for good.
        """
        attempt = self.begin(what)
        while True:
            try:
                return action()
            except Exception as error:
                attempt.failed(error)

    def begin(self, what: str) -> Attempt:
        """For callers with a loop of their own."""
        return Attempt(self, what)

    def _wait(self, seconds: float) -> bool:
        return not self._closed.wait(seconds)


class Attempt:
    """One thing that is tried until it works."""

    def __init__(self, patience: Patience, what: str) -> None:
        self._patience = patience
        self._what = what
        self.progressed()

    def progressed(self) -> None:
        """It works (again): the time begins anew with the next failure."""
        self._since: float | None = None
        self._pause = _FIRST_PAUSE_SECONDS

    def failed(self, error: Exception) -> None:
        """Returns when it is time to try again; raises when it is not to be tried again."""
        patience = self._patience
        if not patience._is_transient(error):
            raise error
        now = time.monotonic()
        if self._since is None:
            self._since = now
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        if now + pause - self._since > patience._seconds or not patience._wait(pause):
            raise Unavailable(
                "OBJECT_STORE_UNAVAILABLE",
                f"The object store could not {self._what}: it did not answer properly for {patience._seconds:g} "
                f"seconds ({type(error).__name__}: {str(error)[:300]}). Look after it, then try again.",
            ) from error
