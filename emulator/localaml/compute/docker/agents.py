"""The emulator's side of the node agents: requests over the unix socket in a node's folder."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localaml.clock import Clock
from localaml.errors import FailedPrecondition, Unavailable

SOCKET = "agent.sock"
# What is answered is the container's word: a job that is root there may have its hand in it.
_ANSWER_BYTES = 16 * 1024 * 1024
_REASON_CHARACTERS = 300
_LONG_BYTES = 256 * 1024
_MOST_PROCESSES = 1 << 16
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
        # Which socket is the agent's; empty for whichever is there. Root in the container can put another in its place.
        self.identity = ""
        # Whether what it says counts.
        self.is_believed = True

    def found(self) -> str:
        """What identifies the socket that is there now. Raises AgentGone."""
        try:
            with self._socket() as (_, identity):
                return identity
        except (OSError, ValueError) as error:
            raise AgentGone(str(error)) from error

    async def ask(self, verb: str, *, timeout_seconds: float | None = None, **fields: Any) -> dict[str, Any]:
        """The answer to one request (the verbs: `agent.Service`).

        Args:
            timeout_seconds: None for requests that take as long as a job's processes live.

        Raises:
            AgentGone: it is not there, or hung up before it had answered.
            FailedPrecondition: ``LAUNCH_FAILED``: what was asked for cannot be done.
        """
        if not self.is_believed:
            raise AgentGone("the node's agent did not do what it was asked for")
        try:
            answer = await asyncio.wait_for(self._converse({"verb": verb, **fields}), timeout_seconds)
        except asyncio.TimeoutError:
            raise AgentGone(f"the node's agent did not answer within {timeout_seconds:g} seconds") from None
        except (OSError, EOFError, asyncio.LimitOverrunError, ValueError, RecursionError) as error:
            raise AgentGone(str(error)[:_REASON_CHARACTERS]) from error
        if "error" in answer:
            why = str(answer["error"])[:_REASON_CHARACTERS]
            where = str(answer.get("file") or "in the container")[:_REASON_CHARACTERS]
            raise FailedPrecondition("LAUNCH_FAILED", f"The run's processes cannot be started: {why} ({where}).")
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
        with self._socket() as (path, identity):
            if self.identity and identity != self.identity:
                raise ValueError("another socket is in the place of the agent's")
            reader, writer = await asyncio.open_unix_connection(path, limit=_ANSWER_BYTES)
        try:
            writer.write(json.dumps(request).encode("ascii") + b"\n")
            line = await reader.readuntil(b"\n")
            # A long one would hold up everybody.
            answer = await asyncio.to_thread(json.loads, line) if len(line) > _LONG_BYTES else json.loads(line)
        finally:
            writer.close()
        if not isinstance(answer, dict):
            raise ValueError("the agent's answer is no object")
        return answer

    @contextmanager
    def _socket(self) -> Iterator[tuple[str, str]]:
        """A path that leads to the socket itself, whatever else gets its name, and what identifies it."""
        with short_path(self._folder) as folder:
            descriptor = os.open(f"{folder}/{SOCKET}", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISSOCK(status.st_mode):
                raise ValueError("what is in the place of the agent's socket is none")
            # A later file may get the number of an earlier one, but not its time.
            yield f"/proc/self/fd/{descriptor}", f"{status.st_dev}:{status.st_ino}:{status.st_ctime_ns}"
        finally:
            os.close(descriptor)


def numbers_in(answer: Mapping[str, Any], name: str) -> list[int]:
    """A list of process ids out of an answer; what is none is left out."""
    found = answer.get(name)
    return [one for one in found if _is_number(one)][:_MOST_PROCESSES] if isinstance(found, list) else []


def number_in(answer: Mapping[str, Any], name: str) -> int:
    """A number out of an answer, not below 0; 0 when it is none."""
    found = answer.get(name)
    return found if isinstance(found, int) and _is_number(found) else 0


def text_in(answer: Mapping[str, Any], name: str) -> str:
    """A word out of an answer; empty when it is none."""
    found = answer.get(name)
    return found[:_REASON_CHARACTERS] if isinstance(found, str) else ""


def _is_number(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 32


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
