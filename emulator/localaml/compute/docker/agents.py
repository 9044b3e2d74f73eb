"""The emulator's side of the node agents: requests over the unix socket in a node's folder."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localaml.clock import Clock
from localaml.errors import FailedPrecondition, Unavailable

SOCKET = "agent.sock"
_LINE_LIMIT = 64 * 1024 * 1024
# While a container starts its agent, it is looked for this often.
_LOOK_SECONDS = 0.01


class AgentGone(Exception):
    """The node's agent does not answer: its container has ended, or was stopped."""


class Agent:
    """One node's agent.

    Args:
        folder: the node's folder on this machine; its socket is in it.
        clock: machine time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    async def ask(self, verb: str, *, timeout_seconds: float | None = None, **fields: Any) -> dict[str, Any]:
        """The answer to one request (the verbs: `agent.Service`).

        Args:
            timeout_seconds: None for requests that take as long as a job's processes live.

        Raises:
            AgentGone: it is not there, or hung up before it had answered.
            FailedPrecondition: ``LAUNCH_FAILED``: what was asked for cannot be done.
        """
        try:
            answer = await asyncio.wait_for(self._converse({"verb": verb, **fields}), timeout_seconds)
        except asyncio.TimeoutError:
            raise AgentGone(f"the node's agent did not answer within {timeout_seconds:g} seconds") from None
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise AgentGone(str(error)) from error
        if "error" in answer:
            where = answer.get("file") or "in the container"
            raise FailedPrecondition(
                "LAUNCH_FAILED", f"The run's processes cannot be started: {answer['error']} ({where})."
            )
        return answer

    async def wait_until_ready(self, deadline_seconds: float) -> None:
        """Returns once it answers. Raises Unavailable ``NODE_START_FAILED`` when it does not in time."""
        deadline = self._clock.monotonic() + deadline_seconds
        while True:
            try:
                await self.ask("hello", timeout_seconds=deadline_seconds)
            except AgentGone as error:
                if self._clock.monotonic() > deadline:
                    raise Unavailable(
                        "NODE_START_FAILED", f"The container's agent did not answer in {deadline_seconds:g} seconds."
                    ) from error
                await self._clock.sleep(_LOOK_SECONDS)
            else:
                return

    async def _converse(self, request: dict[str, Any]) -> dict[str, Any]:
        with short_path(self._folder) as folder:
            reader, writer = await asyncio.open_unix_connection(f"{folder}/{SOCKET}", limit=_LINE_LIMIT)
        try:
            writer.write(json.dumps(request).encode("ascii") + b"\n")
            answer = json.loads(await reader.readuntil(b"\n"))
        finally:
            writer.close()
        if not isinstance(answer, dict):
            raise ValueError("the agent's answer is no object")
        return answer


@contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """A path of the folder that is short enough for the address of a unix socket (some 100 bytes), while in use."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def listen(folder: Path, name: str) -> socket.socket:
    """A listening unix socket in the folder; an old one of that name goes."""
    (folder / name).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(folder) as short:
            listening.bind(f"{short}/{name}")
        # Jobs of containers may be of any user; the folder is closed to others of this machine.
        (folder / name).chmod(0o666)
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening
