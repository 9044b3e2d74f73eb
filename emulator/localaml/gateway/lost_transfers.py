"""Transfers whose connection is lost half-way, on purpose."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from localaml.gateway.messages import ClientGone, FileBody, Request, Response

_CHUNK = 64 * 1024


async def lose_upload(request: Request, after: int) -> None:
    """Takes so many bytes of the body (-1: half of it), then loses the connection. Nothing of it is kept."""
    left = (request.content_length or 0) // 2 if after < 0 else after

    def sink(data: memoryview) -> None:
        nonlocal left
        left -= len(data)
        if left <= 0:
            raise ClientGone("the connection was dropped on purpose")

    await request.receive_into(sink)
    raise ClientGone("the connection was dropped on purpose")


def lose_download(response: Response, after: int) -> Response:
    """The response, up to so many bytes of its body (-1: half of it); then the connection is lost."""
    body = response.body
    if not isinstance(body, FileBody):
        raise ClientGone("the connection was dropped on purpose")
    count = body.count // 2 if after < 0 else min(after, body.count)

    async def part() -> AsyncGenerator[bytes, None]:
        try:
            sent = 0
            while sent < count:
                buffer = bytearray(min(_CHUNK, count - sent))
                read = body.reader.read_into(memoryview(buffer), body.start + sent)
                if not read:
                    break
                sent += read
                yield bytes(buffer[:read])
        finally:
            body.reader.close()
        raise ClientGone("the connection was dropped on purpose")

    return Response(response.status, response.headers, part())
