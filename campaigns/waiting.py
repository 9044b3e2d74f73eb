"""Pauses, and waits with a deadline. A campaign's moments are what it is about, so it may let time pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_LOOK_SECONDS = 0.05


def pause(seconds: float) -> None:
    """Lets so much time of the machine pass."""
    threading.Event().wait(seconds)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Returns once `condition` holds; False when it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause(_LOOK_SECONDS)
    return True
