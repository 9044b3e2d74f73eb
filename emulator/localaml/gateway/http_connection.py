"""One HTTP/1.1 connection: parses requests, has them answered one after the other, writes the responses.

Small bodies pass through the event loop. For a large one the socket is lent to a thread (`bulk`); meanwhile the loop
leaves it alone, and a fresh parser takes over behind the body.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import cast

import httptools

from localaml.errors import LocalAmlError
from localaml.gateway import bulk
from localaml.gateway.admission import PROGRESS_BYTES, Room
from localaml.gateway.connect import error_response
from localaml.gateway.incoming import SMALL_BODY, Incoming
from localaml.gateway.messages import (
    ClientGone,
    FileBody,
    Handler,
    Request,
    Response,
    Sink,
    parse_target,
    text_response,
)
from localaml.gateway.response_writer import REASONS, ResponseWriter

_LOG = logging.getLogger(__name__)
_MAX_HEAD_BYTES = 64 * 1024
_MAX_BUFFERED = 512 * 1024
_IDLE_SECONDS = 75.0
# After an answer that came before the end of the request, what still arrives is dropped for so long: hanging up at once
# could take the answer away from the client before it is read.
_LINGER_SECONDS = 20.0
# The rest of a small body that nobody wants is waited for so long, so that the connection can be used again.
_SMALL_BODY_SECONDS = 2.0


class HttpConnection(asyncio.Protocol):
    """The protocol object of one connection. `room` knows all of them."""

    def __init__(self, handler: Handler, executor: Executor, room: Room) -> None:
        self._handler = handler
        self._executor = executor
        self._room = room
        self._limits = room.limits
        self.has_asked = False
        self._lingers = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._parsing: Incoming | None = None
        self._waiting: deque[Incoming] = deque()
        self._current: Incoming | None = None
        self._task: asyncio.Task[None] | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._sending = False
        self._closing = False
        self._deaf = False
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._idle: asyncio.TimerHandle | None = None

    # -- what asyncio tells -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._writer = ResponseWriter(self._transport, self._executor, self._limits.stall_seconds)
        self._room.add(self)
        self._restart_idle(self._limits.head_seconds, self._head_end)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost.set_result(None)
        self._room.discard(self)
        self._stop_idle()
        self._waiting.clear()
        self._writer.lost()
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(ClientGone("the connection was closed"))
        # Who only waits to send has nobody to send to. Anything else is finished: a call that began has its effect.
        if self._task is not None and self._sending:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # We stay with HTTP/1.1. What follows such a request cannot be parsed any more.
            for incoming in (self._parsing, self._current, *self._waiting):
                if incoming is not None:
                    incoming.keep_alive = False
                    incoming.complete = True
        except (httptools.HttpParserError, ValueError) as error:
            self._refuse(400, f"This is not a request that can be understood: {error}.")

    def eof_received(self) -> bool | None:
        return None

    def pause_writing(self) -> None:
        self._writer.pause()

    def resume_writing(self) -> None:
        self._writer.resume()

    # -- what the parser tells ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._parsing = Incoming(self)
        self._restart_idle(self._limits.head_seconds, self._head_end)

    def _head(self) -> Incoming:
        assert self._parsing is not None
        return self._parsing

    def on_url(self, url: bytes) -> None:
        incoming = self._head()
        incoming.target += url
        self._count_head(incoming, len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        incoming = self._head()
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key == "host" and key in incoming.headers:
            raise ValueError("two Host headers")
        incoming.headers[key] = f"{incoming.headers[key]}, {text}" if key in incoming.headers else text
        self._count_head(incoming, len(name) + len(value) + 4)

    def _count_head(self, incoming: Incoming, count: int) -> None:
        incoming.head_bytes += count
        if incoming.head_bytes > _MAX_HEAD_BYTES:
            raise ValueError(f"the head is larger than {_MAX_HEAD_BYTES} bytes")

    def on_headers_complete(self) -> None:
        incoming = self._head()
        self._stop_idle()
        incoming.method = self._parser.get_method().decode("ascii")
        incoming.version = self._parser.get_http_version()
        incoming.keep_alive = self._parser.should_keep_alive()
        if "content-length" in incoming.headers:
            incoming.content_length = int(incoming.headers["content-length"])
        incoming.continue_wanted = incoming.headers.get("expect", "").lower() == "100-continue"
        self._waiting.append(incoming)
        self._next()

    def on_body(self, body: bytes) -> None:
        incoming = self._head()
        incoming.received += len(body)
        incoming.pieces.append(body)
        incoming.buffered += len(body)
        if incoming.buffered > _MAX_BUFFERED and self._transport is not None:
            self._transport.pause_reading()
        self._tell_arrival()

    def on_message_complete(self) -> None:
        incoming = self._head()
        incoming.complete = True
        if self._waiting and self._transport is not None:
            self._transport.pause_reading()  # one request ahead is enough
        self._tell_arrival()

    def _tell_arrival(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    # -- bodies -------------------------------------------------------------------------------------------------------

    def want_body(self, incoming: Incoming) -> None:
        """Lets a client that asked for it know that the body is wanted."""
        if incoming.continue_wanted and self._transport is not None:
            incoming.continue_wanted = False
            if not incoming.received:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def more(self, incoming: Incoming) -> None:
        """Returns once more of the body (or its end) is there. Raises ClientGone."""
        if incoming.complete:
            return
        if self._transport is None:
            raise ClientGone("the connection was closed")
        arrived = self._arrived = self._loop.create_future()
        self._transport.resume_reading()
        now = self._loop.time()
        if incoming.received >= incoming.wanted_by_then:
            incoming.wanted_by_then = incoming.received + PROGRESS_BYTES
            incoming.given_up_at = now + self._limits.stall_seconds
        timer = self._loop.call_later(max(0.0, incoming.given_up_at - now), self._stalled, arrived)
        try:
            await arrived
        finally:
            timer.cancel()

    def _stalled(self, arrived: asyncio.Future[None]) -> None:
        if not arrived.done():
            arrived.set_exception(ClientGone(f"the body stood still for {self._limits.stall_seconds:g} seconds"))

    async def lend_for_receiving(self, incoming: Incoming, sink: Sink) -> None:
        """Gives the rest of the body to `sink` in a thread."""
        if self._transport is None:
            raise ClientGone("the connection was closed")
        assert incoming.content_length is not None
        self._transport.pause_reading()
        pieces, rest = list(incoming.pieces), incoming.content_length - incoming.received
        incoming.pieces.clear()
        incoming.buffered = 0
        with bulk.borrowed_socket(self._transport) as sock:
            incoming.received = incoming.content_length
            try:
                stall = self._limits.stall_seconds
                await bulk.in_thread(self._executor, sock, lambda: bulk.receive(sock, pieces, rest, sink, stall))
            except BaseException:
                # Nobody knows where in the body the thread stopped.
                self._deaf = not incoming.complete
                raise
        if not incoming.complete:
            incoming.complete = True
            self._parser = httptools.HttpRequestParser(self)

    # -- answering ----------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        if self._task is None and self._waiting and self._transport is not None and not self._closing:
            self._current = self._waiting.popleft()
            self._task = self._loop.create_task(self._answer(self._current))
            self._task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        incoming, self._task, self._current = self._current, None, None
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ClientGone):
            _LOG.error("an answer over HTTP broke off", exc_info=error)
        if self._transport is None:
            return
        if task.cancelled() or error is not None:
            self._transport.abort()
            return
        if incoming is None or not incoming.keep_alive or self._closing:
            self._transport.close()
            return
        self._transport.resume_reading()
        self._restart_idle(_IDLE_SECONDS, self._idle_end)
        self._next()

    async def _answer(self, incoming: Incoming) -> None:
        try:
            path, query, authority = parse_target(incoming.target)
        except ValueError:
            response = text_response(400, "The request's path or query cannot be understood.\n")
        else:
            length = incoming.content_length
            request = Request(incoming.method, path, query, incoming.headers, length, incoming, authority)
            response = await self._handle(request)
        self.has_asked = True
        try:
            if not incoming.complete:
                await self._skip_body(incoming)
            self._sending = True
            incoming.keep_alive = await self._writer.send(
                response,
                head_only=incoming.method == "HEAD",
                http_1_0=incoming.version == "1.0",
                keep_alive=incoming.keep_alive and not self._closing,
            )
        finally:
            self._sending = False
            if isinstance(response.body, FileBody):
                response.body.reader.close()
        if not incoming.complete and not incoming.continue_wanted:
            await self._linger()

    async def _handle(self, request: Request) -> Response:
        try:
            leave = self._room.enter(request.headers.get("authorization"))
        except LocalAmlError as error:
            return error_response(error)
        try:
            return await self._handler(request)
        finally:
            leave()

    async def _skip_body(self, incoming: Incoming) -> None:
        """Waits for the rest of a small body that nobody wanted; of a larger one nothing more is heard."""
        small = (incoming.content_length or SMALL_BODY) <= SMALL_BODY
        if small and not incoming.continue_wanted and not self._deaf:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._until_complete(incoming), _SMALL_BODY_SECONDS)
        if not incoming.complete:
            incoming.keep_alive = False
            self._deaf = True

    async def _linger(self) -> None:
        """Drops what still arrives until the client, having read the answer, hangs up."""
        if self._transport is not None:
            self._lingers = True
            self._transport.write_eof()
            self._transport.resume_reading()
            await asyncio.wait([self._lost], timeout=_LINGER_SECONDS)

    async def _until_complete(self, incoming: Incoming) -> None:
        while not incoming.complete:
            await self.more(incoming)

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _refuse(self, status: int, text: str) -> None:
        """Answers what is no request, unless an answer is under way, and hangs up."""
        self._deaf = True
        if self._transport is not None:
            if self._task is None:
                body = f"{text}\n".encode()
                head = (
                    f"HTTP/1.1 {status} {REASONS[status]}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
                )
                self._transport.write(head.encode("latin-1") + body)
                self._transport.close()
            else:
                self._transport.abort()

    @property
    def is_waiting(self) -> bool:
        """See `admission.Guest`."""
        return self._lingers or (self._task is None and not self._waiting)

    def _restart_idle(self, seconds: float, end: Callable[[], None]) -> None:
        self._stop_idle()
        self._idle = self._loop.call_later(seconds, end)

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _head_end(self) -> None:
        if self._task is not None:  # the request before this one is still being answered
            self._restart_idle(self._limits.head_seconds, self._head_end)
        elif self._parsing is not None and self._parsing.head_bytes:
            self._refuse(408, f"The head of the request was not complete within {self._limits.head_seconds:g} seconds.")
        else:
            self._idle_end()

    def _idle_end(self) -> None:
        if self._task is None and self._transport is not None:
            self._transport.close()

    def finish(self) -> asyncio.Task[None] | None:
        """No further request. Returns the task of the one being answered; without one the connection closes at once."""
        self._closing = True
        if self._task is None and self._transport is not None:
            self._transport.close()
        return self._task

    def abort(self) -> None:
        """Ends the connection now."""
        if self._transport is not None:
            self._transport.abort()
