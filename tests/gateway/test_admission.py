"""Who gets a place at the HTTP port, and who has to go, when there are more than it takes."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import ExitStack

import pytest
from tests.gateway.http_client import Served, serving

from localaml.gateway.admission import HttpLimits
from localaml.gateway.messages import ClientGone, Request, Response, text_response

HALF = b"GET / HTTP/1.1\r\nHost: local"
OWNER = "Bearer owner"


def is_owner(authorization: str | None) -> bool:
    return authorization == OWNER


async def hello(_: Request) -> Response:
    return text_response(200, "hello")


def crowd(sockets: ExitStack, served: Served, count: int, data: bytes) -> list[socket.socket]:
    """Connections that wait for the server all at once: its event loop, which is the test's, does not run here."""
    made = []
    for _ in range(count):
        made.append(sockets.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=30)))
        made[-1].sendall(data)
    return made


def what_came(sock: socket.socket) -> bytes:
    """All that was sent until the connection ended."""
    came = b""
    try:
        while data := sock.recv(65_536):
            came += data
    except ConnectionError:
        pass
    return came


async def test_who_waits_longest_goes_for_a_newcomer() -> None:
    """Also of a crowd that comes at once: nobody is refused while others have not even asked."""
    async with serving(hello, HttpLimits(connections=8, of_others=8)) as served:
        with ExitStack() as sockets:
            halves = crowd(sockets, served, 100, HALF)
            client = await served.connect()
            assert (await client.ask("GET", "/")).body == b"hello"
            client.close()
            for half in halves[:90]:
                assert await asyncio.to_thread(what_came, half) == b""


async def test_a_head_that_does_not_come_to_its_end() -> None:
    async with serving(hello, HttpLimits(head_seconds=0.2)) as served:
        with ExitStack() as sockets:
            half, silent = crowd(sockets, served, 1, HALF) + crowd(sockets, served, 1, b"")
            assert (await asyncio.to_thread(what_came, half)).startswith(b"HTTP/1.1 408 ")
            assert await asyncio.to_thread(what_came, silent) == b""


@pytest.mark.parametrize("length", [100, 1_000_000])
async def test_a_body_that_stands_still(length: int) -> None:
    """On the event loop, and in a thread."""
    gone: list[ClientGone] = []
    data = bytearray()

    async def take(request: Request) -> Response:
        try:
            await request.receive_into(data.extend)
        except ClientGone as error:
            gone.append(error)
            raise
        return text_response(200, "all")

    head = f"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()
    async with serving(take, HttpLimits(stall_seconds=0.2)) as served:
        with ExitStack() as sockets:
            (body,) = crowd(sockets, served, 1, head + b"x")
            assert await asyncio.to_thread(what_came, body) == b""
    assert len(gone) == 1 and "0.2 seconds" in str(gone[0])


async def test_places_of_the_owner(caplog: pytest.LogCaptureFixture) -> None:
    """Others are busy and may be; the next one is refused, the owner is not; when nothing is free, all are."""
    go_on, busy = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(_: Request) -> Response:
        busy.release()
        await go_on.wait()
        return text_response(200, "done")

    async with serving(wait, HttpLimits(connections=3, of_others=2), is_owner) as served:
        others = [await served.connect() for _ in range(2)]
        for other in others:
            other.request("GET", "/")
            await busy.acquire()
        refused = await served.connect()
        answer = await refused.ask("GET", "/")
        assert answer.status == 503 and b"TOO_MANY_CONNECTIONS" in answer.body
        refused.close()
        owner = await served.connect()
        owner.request("GET", "/", authorization=OWNER)
        await busy.acquire()
        with caplog.at_level(logging.WARNING), ExitStack() as sockets:
            for late in crowd(sockets, served, 20, HALF):
                assert (await asyncio.to_thread(what_came, late)).startswith(b"HTTP/1.1 503 ")
        assert len(caplog.records) == 1
        go_on.set()
        for client in (*others, owner):
            assert (await client.answer()).body == b"done"
            client.close()
