"""A request as far as it has come over a connection."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from localaml.gateway.messages import Sink, too_large

if TYPE_CHECKING:
    from localaml.gateway.http_connection import HttpConnection

# A body of this size stays on the event loop.
SMALL_BODY = 64 * 1024


class Incoming:
    """A request as far as it has come; the body's source for `Request`."""

    def __init__(self, connection: HttpConnection) -> None:
        self.connection = connection
        self.target = b""
        self.method = ""
        self.headers: dict[str, str] = {}
        self.head_bytes = 0
        self.content_length: int | None = None
        self.keep_alive = True
        self.version = "1.1"
        self.pieces: deque[bytes] = deque()
        self.buffered = 0
        self.received = 0
        self.complete = False
        self.continue_wanted = False
        # The progress that a body has to make, and until when.
        self.wanted_by_then = 0
        self.given_up_at = 0.0

    async def read_all(self, limit: int) -> bytes:
        if (self.content_length or 0) > limit:
            raise too_large(limit)
        self.connection.want_body(self)
        while not self.complete:
            if self.buffered > limit:
                raise too_large(limit)
            await self.connection.more(self)
        data = b"".join(self.pieces)
        self.pieces.clear()
        self.buffered = 0
        if len(data) > limit:
            raise too_large(limit)
        return data

    async def receive_into(self, sink: Sink) -> None:
        assert self.content_length is not None
        self.connection.want_body(self)
        if self.content_length <= SMALL_BODY:
            # Two switches of threads would take longer than this.
            while not self.complete:
                await self.connection.more(self)
            sink(memoryview(b"".join(self.pieces)))
            self.pieces.clear()
        else:
            await self.connection.lend_for_receiving(self, sink)
