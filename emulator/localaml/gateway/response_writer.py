"""Writes responses to one HTTP/1.1 connection, no faster than the client takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from http import HTTPStatus

from localaml.gateway import bulk
from localaml.gateway.messages import ClientGone, FileBody, Response

REASONS = {status.value: status.phrase for status in HTTPStatus}
# A file up to this size is read on the loop and goes out together with the head.
_SMALL_FILE = 64 * 1024


class ResponseWriter:
    """The sending half of a connection. The connection passes on what asyncio tells: `pause`, `resume`, `lost`."""

    def __init__(self, transport: asyncio.Transport, executor: Executor, stall_seconds: float) -> None:
        self._transport = transport
        self._executor = executor
        self._stall_seconds = stall_seconds
        self._drained: asyncio.Future[None] | None = None
        self._is_lost = False

    def pause(self) -> None:
        if self._drained is None or self._drained.done():
            self._drained = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def lost(self) -> None:
        self._is_lost = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ClientGone("the connection was closed"))

    async def send(self, response: Response, *, head_only: bool, http_1_0: bool, keep_alive: bool) -> bool:
        """Sends a response; returns whether the connection can be used for another one.

        Args:
            head_only: the request was HEAD.
            http_1_0: the client does not know of chunks.
            keep_alive: whether the client and the server want to go on.

        Raises:
            ClientGone: the client closed the connection.
            Exception: the body's stream or file broke off; the connection must be closed.
        """
        if self._is_lost:
            return False
        body = response.body
        is_stream = not isinstance(body, (bytes, FileBody))
        keep_alive = keep_alive and not (is_stream and http_1_0)
        head = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}\r\nserver: localaml\r\n"]
        head += [f"{name}: {value}\r\n" for name, value in response.headers]
        if not keep_alive:
            head.append("connection: close\r\n")
        elif http_1_0:
            head.append("connection: keep-alive\r\n")
        if isinstance(body, bytes):
            head.append(f"content-length: {len(body)}\r\n\r\n")
            self._transport.write(_encode(head) + (b"" if head_only else body))
            await self._flushed()
        elif isinstance(body, FileBody):
            head.append(f"content-length: {body.count}\r\n\r\n")
            await self._send_file(_encode(head), body, head_only)
        else:
            head.append("\r\n" if http_1_0 else "transfer-encoding: chunked\r\n\r\n")
            await self._send_stream(_encode(head), body, chunked=not http_1_0)
        return keep_alive

    async def _send_file(self, head: bytes, body: FileBody, head_only: bool) -> None:
        if head_only or not body.count:
            self._transport.write(head)
        elif body.count <= _SMALL_FILE and body.reader.is_at_hand:
            buffer = bytearray(body.count)
            if body.reader.read_into(memoryview(buffer), body.start) != body.count:
                raise EOFError(f"{body.reader.info.key} became shorter while it was sent")
            self._transport.write(head + buffer)
            await self._flushed()
        else:
            self._transport.write(head)
            await self._emptied()
            stall = self._stall_seconds
            with bulk.borrowed_socket(self._transport) as sock:
                await bulk.in_thread(
                    self._executor, sock, lambda: bulk.send(sock, body.reader, body.start, body.count, stall)
                )

    async def _send_stream(self, head: bytes, body: AsyncIterator[bytes], *, chunked: bool) -> None:
        self._transport.write(head)
        try:
            async for data in body:
                if self._is_lost:
                    raise ClientGone("the connection was closed")
                if data:
                    self._transport.writelines([b"%x\r\n" % len(data), data, b"\r\n"] if chunked else [data])
                    await self._flushed()
            if chunked and not self._is_lost:
                self._transport.write(b"0\r\n\r\n")
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()

    async def _flushed(self) -> None:
        """Waits while too much is on its way out."""
        if self._drained is not None and not self._drained.done():
            try:
                await asyncio.wait_for(self._drained, self._stall_seconds)
            except asyncio.TimeoutError:
                raise ClientGone(f"nothing was taken for {self._stall_seconds:g} seconds") from None

    async def _emptied(self) -> None:
        """Waits until all that was written has left: a thread is going to write to the socket."""
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(high=0)
            try:
                await self._flushed()
            finally:
                self._transport.set_write_buffer_limits()
        if self._is_lost:
            raise ClientGone("the connection was closed")


def _encode(head: list[str]) -> bytes:
    return "".join(head).encode("latin-1")
