"""The HTTP server against clients that behave well, badly and not at all."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.gateway.http_client import Client, Served, serving

from localaml.gateway.messages import ClientGone, FileBody, Request, Response, text_response
from localaml.storage.memory import MemoryStore

BIG = bytes(range(256)) * 16 * 1024  # 4 MiB


class App:
    """A handler with a path for each kind of behaviour."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.gone: list[BaseException] = []
        self.stream_closed = asyncio.Event()
        self.stream_goes_on = asyncio.Event()
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.store = MemoryStore()

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        self.began.set()
        return await getattr(self, request.path.strip("/").replace("/", "_") or "root")(request)

    async def root(self, request: Request) -> Response:
        return text_response(200, f"{request.method} {sorted(request.query.items())}")

    async def echo(self, request: Request) -> Response:
        try:
            return Response(200, (), await request.body(1000))
        except ClientGone as error:
            self.gone.append(error)
            raise
        except Exception as error:
            return text_response(413, str(error))

    async def ignore(self, request: Request) -> Response:
        return text_response(403, "no")

    async def digest(self, request: Request) -> Response:
        digest = hashlib.sha256()
        try:
            await request.receive_into(digest.update)
        except BaseException as error:
            self.gone.append(error)
            raise
        return text_response(200, digest.hexdigest())

    async def full(self, request: Request) -> Response:
        def sink(data: memoryview) -> None:
            raise OSError("full")

        try:
            await request.receive_into(sink)
        except OSError:
            return text_response(507, "full")
        raise AssertionError("the sink's error was lost")

    async def file(self, request: Request) -> Response:
        self.store.put("big", BIG)
        start = int(request.query.get("start", 0))
        count = int(request.query.get("count", len(BIG) - start))
        return Response(200, (), FileBody(await self.store.open_reader("big"), start, count))

    async def stream(self, request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"one"
                yield b""
                yield b"two"
                if "endless" in request.query:
                    await self.stream_goes_on.wait()
                if "broken" in request.query:
                    raise RuntimeError("inside")
            finally:
                self.stream_closed.set()

        return Response(200, (), pieces())

    async def slow(self, request: Request) -> Response:
        await self.go_on.wait()
        return text_response(200, "done")


@pytest.fixture
async def app() -> App:
    return App()


@pytest.fixture
async def served(app: App) -> AsyncIterator[Served]:
    async with serving(app) as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    client = await served.connect()
    yield client
    client.close()


async def test_requests_one_after_the_other_on_one_connection(client: Client) -> None:
    for _ in range(3):
        answer = await client.ask("GET", "/?a=1&b=%C3%A4")
        assert (answer.status, answer.body.decode()) == (200, "GET [('a', '1'), ('b', 'ä')]")
        assert "connection" not in answer.headers


async def test_requests_that_do_not_wait_for_answers(client: Client) -> None:
    client.request("GET", "/?n=1")
    client.request("POST", "/echo", b"two")
    client.request("GET", "/?n=3")
    assert [(await client.answer()).body for _ in range(3)] == [b"GET [('n', '1')]", b"two", b"GET [('n', '3')]"]


async def test_head_and_old_clients(client: Client, served: Served) -> None:
    answer = await client.ask("HEAD", "/")
    assert answer.headers["content-length"] == str(len("HEAD []"))
    assert (await client.ask("GET", "/")).body == b"GET []"
    old = await served.connect()
    old.send(b"GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
    status, headers = await old.head()
    assert (status, headers["connection"]) == (200, "close")
    assert await old.reader.read() == b"onetwo"
    old.close()


async def test_connection_close_is_honoured(client: Client) -> None:
    answer = await client.ask("GET", "/", connection="close")
    assert answer.headers["connection"] == "close"
    assert await client.is_closed()


async def test_body_in_small_packets_and_in_chunks(client: Client) -> None:
    client.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nab")
    await client.writer.drain()
    await asyncio.sleep(0)
    client.send(b"cdef")
    assert (await client.answer()).body == b"abcdef"
    client.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    assert (await client.answer()).body == b"abcdefg"


@pytest.mark.parametrize("head", ["Content-Length: 2000", "Transfer-Encoding: chunked"])
async def test_body_over_the_limit(client: Client, head: str) -> None:
    data = b"x" * 2000
    body = data if head.startswith("C") else b"7d0\r\n" + data + b"\r\n0\r\n\r\n"
    client.send(f"POST /echo HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode() + body)
    assert (await client.answer()).status == 413


async def test_expect_100_continue(client: Client) -> None:
    client.send(b"PUT /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    assert (await client.answer()).body.decode() == hashlib.sha256(b"abc").hexdigest()
    client.send(b"PUT /ignore HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert (await client.answer()).status == 403
    assert await client.is_closed()


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -3\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_no_request(client: Client, data: bytes) -> None:
    client.send(data)
    status, _ = await client.head()
    assert status == 400


async def test_request_for_an_upgrade_is_answered_as_it_is(client: Client) -> None:
    client.request("GET", "/", connection="Upgrade, HTTP2-Settings", upgrade="h2c", HTTP2_Settings="AAMAAABkAAQAAP__")
    assert (await client.answer()).body == b"GET []"


async def test_large_body_through_a_thread_and_the_next_request(client: Client) -> None:
    for _ in range(2):
        answer = await client.ask("PUT", "/digest", BIG)
        assert answer.body.decode() == hashlib.sha256(BIG).hexdigest()
        assert (await client.ask("GET", "/?n=1")).body == b"GET [('n', '1')]"
    assert (await client.ask("PUT", "/digest")).body.decode() == hashlib.sha256(b"").hexdigest()
    client.request("PUT", "/digest", b"small")
    client.request("GET", "/")
    assert (await client.answer()).body.decode() == hashlib.sha256(b"small").hexdigest()
    assert (await client.answer()).body == b"GET []"


async def test_body_that_breaks_off(app: App, served: Served) -> None:
    for data in (b"x" * 10, BIG):
        client = await served.connect()
        client.send(b"PUT /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n" + data)
        await client.writer.drain()
        client.writer.write_eof()
        assert await client.is_closed()
        client.close()
    small = await served.connect()
    small.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
    await small.writer.drain()
    small.writer.write_eof()
    assert await small.is_closed()
    small.close()
    assert [type(error) for error in app.gone] == [ClientGone] * 3


@pytest.mark.parametrize(("path", "status"), [("/ignore", 403), ("/full", 507)])
async def test_early_answer_reaches_a_client_that_is_still_sending(client: Client, path: str, status: int) -> None:
    client.send(f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {16 * len(BIG)}\r\n\r\n".encode())
    for _ in range(16):
        client.send(BIG)
        await client.writer.drain()
    answer = await client.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert await client.is_closed()


async def test_unread_small_body_does_not_end_the_connection(client: Client) -> None:
    client.send(b"PUT /ignore HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n")
    await client.writer.drain()
    client.send(b"abc")
    assert (await client.answer()).status == 403
    assert (await client.ask("GET", "/")).body == b"GET []"


@pytest.mark.parametrize(("start", "count"), [(0, len(BIG)), (5, 100), (1000, 3_000_000), (7, 0)])
async def test_file(client: Client, start: int, count: int) -> None:
    for _ in range(2):
        answer = await client.ask("GET", f"/file?start={start}&count={count}")
        assert answer.body == BIG[start : start + count]
        head = await client.ask("HEAD", f"/file?start={start}&count={count}")
        assert head.headers["content-length"] == str(count)


async def test_file_that_became_shorter_is_not_taken_for_whole(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.request("GET", f"/file?start={len(BIG) - 200_000}&count=400000")
    with pytest.raises(asyncio.IncompleteReadError):
        await client.answer()
    assert "broke off" in caplog.text


async def test_client_that_leaves_during_a_file(served: Served) -> None:
    client = await served.connect()
    client.request("GET", "/file")
    await client.head()
    client.close()
    other = await served.connect()
    assert (await other.ask("GET", "/")).status == 200
    other.close()


async def test_stream(client: Client) -> None:
    for _ in range(2):
        client.request("GET", "/stream")
        status, headers = await client.head()
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert [chunk async for chunk in client.chunks()] == [b"one", b"two"]


async def test_stream_is_closed_when_the_client_leaves(app: App, served: Served) -> None:
    client = await served.connect()
    client.request("GET", "/stream?endless=1")
    await client.head()
    client.close()
    await asyncio.wait_for(app.stream_closed.wait(), 5)


async def test_broken_stream_does_not_look_complete(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.request("GET", "/stream?broken=1")
    await client.head()
    with pytest.raises((asyncio.IncompleteReadError, ValueError, ConnectionError)):
        [chunk async for chunk in client.chunks()]
    assert "broke off" in caplog.text


async def test_call_is_finished_when_its_client_leaves(app: App, served: Served) -> None:
    client = await served.connect()
    client.request("GET", "/slow")
    await app.began.wait()
    task = next(iter(served.server._room))._task  # the only way to see it end: nobody gets the answer
    assert task is not None
    client.close()
    app.go_on.set()
    await asyncio.wait_for(task, 5)
    assert not task.cancelled()


async def test_close_lets_a_call_finish_within_the_grace(app: App, served: Served, client: Client) -> None:
    idle = await served.connect()
    assert (await idle.ask("GET", "/")).status == 200
    app.began.clear()
    client.request("GET", "/slow")
    await app.began.wait()
    closing = asyncio.ensure_future(served.server.close(5))
    await asyncio.sleep(0)
    assert await idle.is_closed()
    app.go_on.set()
    answer = await client.answer()
    assert (answer.body, answer.headers["connection"]) == (b"done", "close")
    await closing
    with pytest.raises(ConnectionRefusedError):
        await served.connect()
    idle.close()


@pytest.mark.parametrize("path", ["/slow", "/digest", "/stream?endless=1", "/file"])
async def test_close_ends_what_does_not_end(app: App, served: Served, client: Client, path: str) -> None:
    if path == "/digest":
        client.send(b"PUT /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\nabc")
    else:
        client.request("GET", path)
    if path in ("/slow", "/digest"):
        await app.began.wait()
    else:
        await client.head()
    await asyncio.wait_for(served.server.close(0), 5)


async def test_many_connections_at_once(served: Served) -> None:
    async def one(number: int) -> Any:
        client = await served.connect()
        put = await client.ask("PUT", "/digest", BIG[number:])
        got = await client.ask("GET", f"/file?start={number}")
        client.close()
        return put.body.decode() == hashlib.sha256(BIG[number:]).hexdigest() and got.body == BIG[number:]

    assert all(await asyncio.gather(*(one(number) for number in range(50))))


@pytest.mark.parametrize("seed", range(20))
async def test_packets_may_end_anywhere(client: Client, seed: int) -> None:
    dice = random.Random(seed)
    kinds = [dice.choice(["get", "echo", "digest", "chunks"]) for _ in range(8)]
    sent, wanted = bytearray(), []
    for number, kind in enumerate(kinds):
        body = dice.randbytes(dice.choice([0, 1, 500, 1000] if kind != "digest" else [0, 7, 70_000, 700_000]))
        head = f"HTTP/1.1\r\nHost: localhost\r\nX-Number: {number}\r\n"
        if kind == "get":
            sent += f"GET /?n={number} {head}\r\n".encode()
            wanted.append(f"GET [('n', '{number}')]".encode())
        elif kind == "chunks":
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            sent += f"POST /echo {head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk + b"0\r\n\r\n"
            wanted.append(body)
        else:
            sent += f"PUT /{kind} {head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            wanted.append(body if kind == "echo" else hashlib.sha256(body).hexdigest().encode())
    ends = sorted({dice.randrange(len(sent)) for _ in range(30)} | {len(sent)})

    async def send() -> None:
        for start, end in zip([0, *ends], ends, strict=False):
            client.send(bytes(sent[start:end]))
            await client.writer.drain()
            await asyncio.sleep(0)

    sending = asyncio.ensure_future(send())
    assert [(await client.answer()).body for _ in kinds] == wanted
    await sending
