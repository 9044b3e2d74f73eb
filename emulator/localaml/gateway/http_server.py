"""The HTTP port: a listening socket, the connections, and their orderly end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from localaml.gateway.admission import HttpLimits, Room, too_many
from localaml.gateway.connect import error_json
from localaml.gateway.http_connection import HttpConnection
from localaml.gateway.messages import Handler, json_response
from localaml.gateway.response_writer import REASONS

_LOG = logging.getLogger(__name__)
# Large transfers that may run at the same time; further ones wait.
_TRANSFER_THREADS = 32
_BACKLOG = 1024
# Connections taken in one turn of the event loop: others have their turn, too. And a part of all places: what a
# newcomer has sent is read before it is the one that has waited longest.
_AT_ONCE, _AT_ONCE_PART = 64, 8
# What says that descriptors or memory have run out.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS = 1.0
# One line in the log for so long, however many connections are refused.
_TELL_SECONDS = 60.0


class HttpServer:
    """Serves HTTP/1.1 on a socket that is bound already.

    Args:
        is_owner: whether the value of an `authorization` header is the owner's.
    """

    def __init__(
        self,
        handler: Handler,
        limits: HttpLimits | None = None,
        is_owner: Callable[[str | None], bool] = lambda _: False,
    ) -> None:
        self._handler = handler
        self._room = Room(limits or HttpLimits(), is_owner)
        self._at_once = min(_AT_ONCE, max(1, self._room.limits.connections // _AT_ONCE_PART))
        self._executor = ThreadPoolExecutor(_TRANSFER_THREADS, thread_name_prefix="localaml-bytes")
        self._socket: socket.socket | None = None
        self._coming: set[asyncio.Task[object]] = set()
        # Held open to be given up for one connection when there is no descriptor left: it can be told so.
        self._spare = -1
        self._pause: asyncio.TimerHandle | None = None
        self._refused = 0
        self._tell_timer: asyncio.TimerHandle | None = None

    async def start(self, sock: socket.socket) -> None:
        """Listens on `sock`, which the server owns from now on."""
        sock.setblocking(False)
        sock.listen(_BACKLOG)
        self._socket = sock
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._listen()

    def _listen(self) -> None:
        self._pause = None
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(self._at_once):
            if self._coming and self._is_full():
                return  # in a moment these wait for their requests, and the oldest one can go
            try:
                sock, _ = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:  # this one has gone already
                    continue
                self._exhausted(listening)
                return
            sock.setblocking(False)
            if self._is_full() and not self._room.make():
                self._refuse(sock)
                continue
            self._take(sock)

    def _is_full(self) -> bool:
        return len(self._room) + len(self._coming) >= self._room.limits.connections

    def _take(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        made = loop.connect_accepted_socket(lambda: HttpConnection(self._handler, self._executor, self._room), sock)
        task: asyncio.Task[object] = loop.create_task(made)
        self._coming.add(task)
        task.add_done_callback(self._come)

    def _come(self, task: asyncio.Task[object]) -> None:
        self._coming.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.warning("a connection over HTTP could not be taken: %s", error)

    def _exhausted(self, listening: socket.socket) -> None:
        """No descriptor is left, whoever has them: the oldest connection that nobody misses goes."""
        if not self._room.make() and self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
            with suppress(OSError):
                self._refuse(listening.accept()[0])
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        # What was given up is free only after this turn; without a pause the loop would do nothing else.
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        self._pause = loop.call_later(_PAUSE_SECONDS if self._spare < 0 else 0.01, self._listen)
        self._note_refusal()

    def _refuse(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.setblocking(False)
            sock.send(_REFUSAL)
            sock.shutdown(socket.SHUT_WR)
        self._note_refusal()

    def _note_refusal(self) -> None:
        self._refused += 1
        if self._tell_timer is None:
            self._tell()

    def _tell(self) -> None:
        """Says how many were refused, at most once in a while."""
        self._tell_timer = None
        if self._refused:
            text = "refused %d connection(s) over HTTP: there is room for %d, or fewer without open files (ulimit -n)"
            _LOG.warning(text, self._refused, self._room.limits.connections)
            self._refused = 0
            self._tell_timer = asyncio.get_running_loop().call_later(_TELL_SECONDS, self._tell)

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Takes no more connections, gives running requests `grace_seconds` to end, then ends them."""
        listening, self._socket = self._socket, None
        for timer in (self._pause, self._tell_timer):
            if timer is not None:
                timer.cancel()
        if listening is not None:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        if self._coming:
            await asyncio.wait(set(self._coming))
        connections = [each for each in self._room if isinstance(each, HttpConnection)]
        tasks = {task for connection in connections if (task := connection.finish()) is not None}
        if tasks and grace_seconds > 0:
            _, tasks = await asyncio.wait(tasks, timeout=grace_seconds)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for guest in self._room:
            guest.abort()
        # All threads have ended with their tasks; nothing is left to wait for.
        self._executor.shutdown(wait=False, cancel_futures=True)


def _refusal() -> bytes:
    response = json_response(503, error_json(too_many()), (("retry-after", "1"), ("connection", "close")))
    assert isinstance(response.body, bytes)
    lines = [f"HTTP/1.1 503 {REASONS[503]}", *(f"{name}: {value}" for name, value in response.headers)]
    return "\r\n".join([*lines, f"content-length: {len(response.body)}", "", ""]).encode() + response.body


_REFUSAL = _refusal()
