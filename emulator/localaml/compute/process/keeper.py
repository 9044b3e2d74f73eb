"""The emulator's end of the keeper: `compute/launch/scripts/keeper.py`, which starts launchers and lets nothing of a
run get away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from localaml.compute.launch.table import NODE, RUN_LABEL, STATE_DIR

_SCRIPT = "keeper.py"
# A keeper begins within some 20 ms, and a launch takes 3; a machine under load takes its time.
_BEGIN_SECONDS = 60.0
_ANSWER_SECONDS = 60.0
_LONGEST_ANSWER = 8192


@dataclass(frozen=True, slots=True)
class Kept:
    """A launcher and its guard: ids and start times (see `ProcessTable.start_time`)."""

    launcher: int
    launcher_start_time: str
    guard: int
    guard_start_time: str


class Keeper:
    """Starts launchers by way of a helper process of its own, which is started when it is first needed and again when
    it has gone. Of one event loop."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._beginning: asyncio.Task[None] | None = None

    def warm_up(self) -> None:
        """Starts the helper, so that the first launch need not wait for it."""
        if self._beginning is None or (self._beginning.done() and self._socket is None):
            self._beginning = asyncio.get_running_loop().create_task(self._begin(), name="keeper")
            # Whoever launches asks for its error.
            self._beginning.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def start(self, words: Sequence[str], environment: Mapping[str, str], directory: Path, output: int) -> Kept:
        """Starts a launcher, its output appended to an open file. Raises OSError."""
        request = {
            "words": [_text(word) for word in words],
            "environment": {_text(name): _text(value) for name, value in environment.items()},
            "directory": _text(str(directory)),
        }
        body = json.dumps(request).encode("ascii")
        try:
            return await self._ask(body, output)
        except (ConnectionError, TimeoutError):
            # Somebody has killed it.
            self.close()
            return await self._ask(body, output)

    def close(self) -> None:
        """Lets go of the helper, which ends when the last launcher has."""
        if self._beginning is not None:
            self._beginning.cancel()
            self._beginning = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _ask(self, body: bytes, output: int) -> Kept:
        self.warm_up()
        assert self._beginning is not None
        await asyncio.shield(self._beginning)
        assert self._socket is not None
        # Without a pause, so that there is no moment in which a launch has begun and nobody would note it.
        socket.send_fds(self._socket, [len(body).to_bytes(8, "big")], [output])
        self._socket.sendall(body)
        answer = json.loads(_line(self._socket))
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]), answer["file"])
        return Kept(*answer["launcher"], *answer["guard"])

    async def _begin(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_scripts() / _SCRIPT)],
                    env=_own_environment(),
                    cwd="/",
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            # It may outlive this object, and its corpse is to be taken away whenever it ends.
            threading.Thread(target=process.wait, name="keeper", daemon=True).start()
            ours.settimeout(_BEGIN_SECONDS)
            await asyncio.to_thread(_line, ours)
            ours.settimeout(_ANSWER_SECONDS)
        except BaseException:
            # Wakes the thread that listens, too.
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            ours.close()
            raise
        self._socket = ours


def is_guard(process_id: int) -> bool:
    """Whether a process is a keeper, or a guard of a run."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{process_id}/cmdline").read_bytes().split(b"\0")
        return any(word.endswith(b"/" + _SCRIPT.encode()) for word in words[1:5])
    return False


def _own_environment() -> dict[str, str]:
    """It is no process of a run, whatever the emulator was started by."""
    return {name: value for name, value in os.environ.items() if name not in (RUN_LABEL, STATE_DIR, NODE)}


def _line(connection: socket.socket) -> bytes:
    """A line, without its end. Raises ConnectionError when the other side has gone, TimeoutError."""
    received = b""
    while not received.endswith(b"\n"):
        part = connection.recv(_LONGEST_ANSWER)
        if not part:
            raise ConnectionResetError("the keeper has gone")
        received += part
    return received[:-1]


def _text(text: str) -> str:
    """One character for each byte: the helper may read names of files in another way."""
    return os.fsencode(text).decode("latin-1")


def _scripts() -> Path:
    return Path(str(resources.files("localaml.compute.launch"))) / "scripts"


def is_available() -> bool:
    """Whether this system has what it takes."""
    return sys.platform == "linux"
