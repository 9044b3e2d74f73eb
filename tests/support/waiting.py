"""Waiting for something with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool], seconds: float, what: str, on_timeout: Callable[[], str] | None = None
) -> None:
    """Returns once `condition` holds. Fails after `seconds`, saying what was waited for."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            told = on_timeout() if on_timeout is not None else ""
            raise AssertionError(f"waited {seconds} s in vain for {what}\n{told}")
        pause.wait(0.005)
