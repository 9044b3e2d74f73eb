"""Requests and responses of the HTTP port, as its handlers see them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from localaml.errors import LocalAmlError, ResourceExhausted
from localaml.storage.object_store import ObjectReader

# Called in a thread with each piece of a body; may block.
Sink = Callable[[memoryview], object]


class BodySource(Protocol):
    """Where a request's body comes from: the connection."""

    async def read_all(self, limit: int) -> bytes: ...

    async def receive_into(self, sink: Sink) -> None: ...


class ClientGone(Exception):
    """The client closed the connection, or fell silent, in the middle of a body."""


@dataclass(slots=True)
class Request:
    """One request. Header names are in lower case; of a repeated header the values are joined with a comma.

    Attributes:
        authority: what an absolute target (``http://name:port/path``) names as its host; None for a mere path.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content_length: int | None
    source: BodySource = field(repr=False)
    authority: str | None = None

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises ResourceExhausted ``REQUEST_TOO_LARGE`` beyond `limit` bytes, or ClientGone."""
        return await self.source.read_all(limit)

    async def receive_into(self, sink: Sink) -> None:
        """Gives the body to `sink` piece by piece, in another thread. The request must have a content length.

        Raises ClientGone when the body breaks off, and what `sink` raises.
        """
        await self.source.receive_into(sink)


@dataclass(frozen=True, slots=True)
class FileBody:
    """Bytes of an opened object, sent by a thread; the server closes the reader."""

    reader: ObjectReader
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Response:
    """One response. A stream of bytes goes out in chunks; its length is not known."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | FileBody | AsyncIterator[bytes] = b""


Handler = Callable[[Request], Awaitable[Response]]


def text_response(status: int, text: str) -> Response:
    """A short answer for people."""
    return Response(status, (("content-type", "text/plain; charset=utf-8"),), text.encode())


def json_response(status: int, value: object, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An answer for programs."""
    return Response(status, (("content-type", "application/json"), *headers), json.dumps(value).encode())


def http_status(error: LocalAmlError) -> int:
    """The HTTP status of an error."""
    return _STATUS_OF_REASON.get(error.reason, error.http_status)


_STATUS_OF_REASON = {
    "DISK_FULL": 507,
    "REQUEST_TOO_LARGE": 413,
    "LENGTH_REQUIRED": 411,
    "UNSUPPORTED_CONTENT_TYPE": 415,
    "RANGE_NOT_SATISFIABLE": 416,
    "METHOD_NOT_ALLOWED": 405,
    "HOST_NOT_ALLOWED": 421,
}


def too_large(limit: int) -> ResourceExhausted:
    """The error for a body over the limit."""
    return ResourceExhausted(
        "REQUEST_TOO_LARGE",
        f"The request is larger than {limit} bytes. Send files through signed URLs.",
        {"limit_bytes": str(limit)},
    )


def parse_target(target: bytes) -> tuple[str, dict[str, str], str | None]:
    """The decoded path, the query and the host (None for a mere path) of a request target. Raises ValueError when it is
    none, or has a name twice."""
    text = target.decode("ascii")
    authority = None
    if not text.startswith("/"):
        scheme, separator, rest = text.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            raise ValueError("not a path")
        authority = re.split("[/?#]", rest, maxsplit=1)[0]
        rest = rest[len(authority) :]
        text = rest if rest.startswith("/") else "/" + rest
    path, _, query = text.partition("#")[0].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    values = dict(pairs)
    if len(values) != len(pairs):
        # Who checks and who acts could mean another one of them.
        raise ValueError("a name is there twice")
    return unquote(path, errors="strict"), values, authority
