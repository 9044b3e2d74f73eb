"""What the agent knows of, and does to, the container that it is the first process of."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

_POLL_SECONDS = 0.01
_PR_SET_DUMPABLE = 4


def killed_for_memory() -> int:
    """How many processes of this container the kernel has killed because it had no memory left."""
    for path in ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events"):
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return 0


async def end_all(seconds: float) -> None:
    """Ends all other processes of the container. Raises TimeoutError when they are still there after so long."""
    if os.getpid() != 1:
        return
    # In one step: none of them can start another meanwhile.
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    deadline = asyncio.get_event_loop().time() + seconds
    while len([name for name in os.listdir("/proc") if name.isdecimal()]) > 1:  # noqa: PTH208
        if asyncio.get_event_loop().time() > deadline:
            raise TimeoutError(0, "processes of the last job do not end")
        await asyncio.sleep(_POLL_SECONDS)


def own(path: str, user: Sequence[int]) -> None:
    """Gives a folder and all below it to a user; links are not followed."""
    for folder, folders, files in os.walk(path):
        for name in [*folders, *files]:
            _own(os.path.join(folder, name), user)  # noqa: PTH118
    _own(path, user)


def _own(path: str, user: Sequence[int]) -> None:
    with contextlib.suppress(OSError):
        os.chown(path, user[0], user[1], follow_symlinks=False)


def close_to_jobs() -> None:
    """Nobody without further capabilities can trace this process from now on, or open its files by way of /proc: a job
    may be root in the container, too."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        # Not at the start: whoever waits for the socket need not wait for this.
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
