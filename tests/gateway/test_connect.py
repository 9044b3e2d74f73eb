"""The same rpcs as JSON over HTTP: unary calls, streams, and the ways to get them wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.rpc import error_details_pb2
from tests.gateway.http_client import Answer, Client, Served, serving

from localaml.clock import RealClock
from localaml.domain.models import RunKey
from localaml.errors import FailedPrecondition, NotFound
from localaml.gateway.app import Gateway
from localaml.gateway.byte_plane import BytePlane
from localaml.gateway.hosts import is_loopback_name
from localaml.services.rpc import Caller, Streams, method_table
from localaml.services.tokens import RunTokens, UrlSigner, authenticator
from localaml.storage.memory import MemoryStore
from localaml.store import Store
from localaml_proto.v1 import run_pb2

GET_RUN = "/localaml.v1.RunService/GetRun"
WATCH_RUN = "/localaml.v1.RunService/WatchRun"


class Runs:
    SERVICE = "localaml.v1.RunService"

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self.watched = asyncio.Event()
        self.watch_ended = asyncio.Event()

    async def get_run(self, request: run_pb2.GetRunRequest, caller: Caller) -> run_pb2.Run:
        self.callers.append(caller)
        if request.name == "missing":
            raise NotFound("RUN_NOT_FOUND", "There is no run 'missing'.", {"run_id": "missing"})
        if request.name == "defect":
            raise RuntimeError("inside")
        return run_pb2.Run(name=request.name, number=7, state=run_pb2.RUN_STATE_RUNNING, tags={"ä": "ö"})

    async def list_runs(self, request: run_pb2.ListRunsRequest, caller: Caller) -> run_pb2.ListRunsResponse:
        return run_pb2.ListRunsResponse(next_page_token=f"{request.page.page_size} {request.parent_run_id}")

    async def watch_run(self, request: run_pb2.WatchRunRequest, caller: Caller) -> AsyncIterator[run_pb2.Run]:
        try:
            for number in (1, 2):
                yield run_pb2.Run(number=number)
            if request.name == "ended":
                raise FailedPrecondition("RUN_ENDED", "It has ended.")
            if request.name == "endless":
                self.watched.set()
                await asyncio.Event().wait()
        finally:
            self.watch_ended.set()


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
async def served(runs: Runs, streams: Streams, tmp_path: Any) -> AsyncIterator[Served]:
    clock = RealClock()
    store = Store.open(tmp_path / "metadata.sqlite3")
    plane = BytePlane(store, MemoryStore(), UrlSigner(b"k" * 32, lambda: "http://x", clock, 60), clock, lambda *_: None)
    authenticate = authenticator("owner", RunTokens(b"k" * 32), lambda run: run == RunKey("w", "r"))
    gateway = Gateway(
        method_table([runs], streams),
        authenticate,
        plane,
        version="1.2.3",
        is_serving=lambda: not runs.watched.is_set(),
    )
    async with serving(gateway.handle) as served:
        yield served
    store.close()


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    client = await served.connect()
    yield client
    client.close()


async def call(client: Client, path: str, body: object, token: str = "owner", **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content_type": "application/json", "authorization": f"Bearer {token}", **headers}
    return await client.ask("POST", path, data, **headers)


def error_of(answer: Answer) -> tuple[int, str, str]:
    error = json.loads(answer.body)
    return answer.status, error["code"], error["details"][0]["debug"]["reason"]


async def test_unary(client: Client, runs: Runs) -> None:
    answer = await call(client, GET_RUN, {"name": "r"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == {"name": "r", "number": 7, "state": "RUN_STATE_RUNNING", "tags": {"ä": "ö"}}
    assert runs.callers == [Caller(is_owner=True)]
    assert json.loads((await call(client, GET_RUN, b"")).body)["number"] == 7


async def test_both_spellings_of_fields(client: Client) -> None:
    for body in ({"parentRunId": "p", "page": {"pageSize": 3}}, {"parent_run_id": "p", "page": {"page_size": 3}}):
        answer = await call(client, "/localaml.v1.RunService/ListRuns", body)
        assert json.loads(answer.body) == {"nextPageToken": "3 p"}


async def test_run_token(client: Client, runs: Runs) -> None:
    await call(client, GET_RUN, {}, RunTokens(b"k" * 32).make(RunKey("w", "r")))
    assert runs.callers == [Caller(is_owner=False, run=RunKey("w", "r"))]


async def test_error_has_the_details_of_grpc(client: Client) -> None:
    answer = await call(client, GET_RUN, {"name": "missing"})
    error = json.loads(answer.body)
    assert (answer.status, error["code"], error["message"]) == (404, "not_found", "There is no run 'missing'.")
    detail = error["details"][0]
    assert detail["type"] == "google.rpc.ErrorInfo"
    value = detail["value"] + "=" * (-len(detail["value"]) % 4)
    info = error_details_pb2.ErrorInfo.FromString(base64.b64decode(value))
    assert (info.reason, info.domain, dict(info.metadata)) == ("RUN_NOT_FOUND", "localaml.dev", {"run_id": "missing"})
    assert detail["debug"] == {"reason": "RUN_NOT_FOUND", "domain": "localaml.dev", "metadata": {"run_id": "missing"}}


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"nmae": "r"}, "nmae"),
        ({"name": 3}, "name"),
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        ([], "JSON"),
        (b"[" * 100_000, "JSON"),
    ],
)
async def test_malformed_body(client: Client, body: object, hint: str) -> None:
    answer = await call(client, GET_RUN, body)
    assert error_of(answer) == (400, "invalid_argument", "MALFORMED_REQUEST")
    assert hint in json.loads(answer.body)["message"]


async def test_what_is_refused(client: Client) -> None:
    assert error_of(await call(client, GET_RUN, {}, "bad")) == (401, "unauthenticated", "TOKEN_INVALID")
    assert error_of(await call(client, GET_RUN, {}, content_type="text/plain"))[::2] == (
        415,
        "UNSUPPORTED_CONTENT_TYPE",
    )
    assert error_of(await call(client, WATCH_RUN, {}))[::2] == (415, "UNSUPPORTED_CONTENT_TYPE")
    assert error_of(await client.ask("GET", GET_RUN))[::2] == (405, "METHOD_NOT_ALLOWED")
    assert error_of(await call(client, GET_RUN, {}, content_encoding="gzip"))[::2] == (501, "COMPRESSION_NOT_SUPPORTED")
    for path in ("/localaml.v1.RunService/CancelRun", "/localaml.v1.RunService/Fly", "/localaml.v1.Nothing/Get"):
        assert error_of(await call(client, path, {})) == (501, "unimplemented", "METHOD_NOT_IMPLEMENTED")
    assert error_of(await client.ask("GET", "/nothing"))[::2] == (404, "UNKNOWN_PATH")
    assert error_of(await client.ask("POST", "/"))[::2] == (405, "METHOD_NOT_ALLOWED")
    assert error_of(await call(client, GET_RUN, {"name": "defect"}))[::2] == (500, "INTERNAL_ERROR")
    # The connection is as good as new.
    assert (await call(client, GET_RUN, {"name": "r"})).status == 200


async def test_too_large(client: Client) -> None:
    client.send(
        f"POST {GET_RUN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer owner\r\nContent-Length: {16 * 1024 * 1024 + 1}\r\n\r\n".encode()
    )
    assert error_of(await client.answer())[::2] == (413, "REQUEST_TOO_LARGE")


def envelope(body: object) -> bytes:
    data = json.dumps(body).encode()
    return struct.pack(">BI", 0, len(data)) + data


def open_envelopes(data: bytes) -> list[tuple[int, Any]]:
    found = []
    while data:
        flags, length = struct.unpack_from(">BI", data)
        found.append((flags, json.loads(data[5 : 5 + length])))
        data = data[5 + length :]
    return found


async def watch(client: Client, body: bytes, token: str = "owner") -> list[tuple[int, Any]]:
    answer = await call(client, WATCH_RUN, body, token, content_type="application/connect+json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/connect+json")
    return open_envelopes(answer.body)


async def test_stream(client: Client, runs: Runs) -> None:
    for _ in range(2):
        assert await watch(client, envelope({"name": "r"})) == [(0, {"number": 1}), (0, {"number": 2}), (2, {})]
    assert runs.watch_ended.is_set()


async def test_errors_of_streams_come_in_the_last_envelope(client: Client) -> None:
    *before, (flags, end) = await watch(client, envelope({"name": "ended"}))
    assert (len(before), flags, end["error"]["code"]) == (2, 2, "failed_precondition")
    for body, token, code in (
        (envelope({}), "bad", "unauthenticated"),
        (envelope({"nmae": 1}), "owner", "invalid_argument"),
        (b"{}", "owner", "invalid_argument"),
        (envelope({}) * 2, "owner", "invalid_argument"),
        (b"\1\0\0\0\2{}", "owner", "invalid_argument"),
    ):
        [(flags, end)] = await watch(client, body, token)
        assert (flags, end["error"]["code"]) == (2, code)


async def test_stream_ends_with_its_client(served: Served, runs: Runs) -> None:
    client = await served.connect()
    headers = {"content_type": "application/connect+json", "authorization": "Bearer owner"}
    client.request("POST", WATCH_RUN, envelope({"name": "endless"}), **headers)
    await client.head()
    await asyncio.wait_for(runs.watched.wait(), 5)
    client.close()
    await asyncio.wait_for(runs.watch_ended.wait(), 5)


async def test_streams_are_told_when_the_emulator_stops(client: Client, runs: Runs, streams: Streams) -> None:
    watching = asyncio.ensure_future(watch(client, envelope({"name": "endless"})))
    await asyncio.wait_for(runs.watched.wait(), 5)
    streams.stop()
    flags, end = (await watching)[-1]
    assert (flags, end["error"]["code"]) == (2, "unavailable")
    [(flags, end)] = await watch(client, envelope({"name": "r"}))
    assert end["error"]["details"][0]["debug"]["reason"] == "EMULATOR_STOPPING"


async def test_pages_for_people(client: Client, runs: Runs) -> None:
    assert b"LocalAML 1.2.3" in (await client.ask("GET", "/")).body
    answer = await client.ask("GET", "/healthz")
    assert (answer.status, answer.body) == (200, b"ok")
    runs.watched.set()
    assert error_of(await client.ask("GET", "/healthz"))[::2] == (503, "NOT_SERVING")


async def test_foreign_host_names_are_refused(client: Client) -> None:
    for path in ("/", GET_RUN, "/bytes/x"):
        answer = await client.ask("POST", path, b"{}", host="evil.example", content_type="application/json")
        assert error_of(answer)[::2] == (421, "HOST_NOT_ALLOWED")
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert (await client.answer()).status == 421


@pytest.mark.parametrize("name", ["[::1].evil.example", "localhost:80@evil.example", "evil.example"])
async def test_foreign_names_get_nothing_wherever_they_stand(client: Client, name: str) -> None:
    assert (await client.ask("GET", "/healthz", host=name)).status == 421
    assert (await client.ask("GET", f"http://{name}/healthz")).status == 421
    assert (await client.ask("GET", f"http://{name}?/healthz")).status == 421
    assert (await client.ask("GET", f"http://localhost@{name}/healthz")).status == 421
    assert (await client.ask("GET", "http://localhost:80/healthz")).body == b"ok"
    client.send(f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nhOsT: {name}\r\n\r\n".encode())
    assert (await client.answer()).status == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://localhost:1", "http://localhost@evil"])
async def test_pages_of_others_get_nothing(client: Client, origin: str) -> None:
    """A browser tells for whose page it asks."""
    for method, path in (("GET", "/healthz"), ("POST", GET_RUN), ("OPTIONS", GET_RUN)):
        answer = await client.ask(method, path, origin=origin, content_type="application/json")
        assert error_of(answer)[::2] == (403, "ORIGIN_NOT_ALLOWED")
        assert "access-control-allow-origin" not in answer.headers


async def test_its_own_pages_are_answered(client: Client) -> None:
    answer = await client.ask("GET", "/healthz", host="LocalHost:8080", origin="http://localhost:8080")
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("localhost", True),
        ("LOCALHOST:80", True),
        ("127.0.0.1:1", True),
        ("127.8.8.8", True),
        ("[::1]:80", True),
        ("[::1]", True),
        ("app.localhost", True),
        ("", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("[::]", False),
        ("[::1].evil.example", False),
        ("localhost:80@evil.example", False),
        ("localhost@evil.example", False),
        ("user@localhost", False),
        ("[::1]@evil.example:80", False),
        ("evil.example:80]", False),
        ("[localhost]", False),
        ("[127.0.0.1]", False),
        ("::1", False),
        ("[::1%lo]", False),
        ("[::1]:", False),
        ("localhost:", False),
        ("localhost:0", False),
        ("localhost:65535", True),
        ("localhost:65536", False),
        ("localhost:80:80", False),
        ("localhost:٣", False),
        ("localhost:+80", False),
        ("localhost.", False),
        (".localhost", False),
        ("-.localhost", False),
        ("evil.example.localhost", True),
        ("localhost.evil.example.", False),
        ("evil.example#.localhost", False),
        ("evil.example/.localhost", False),
        ("evil.example\\.localhost", False),
        ("localhost, evil.example", False),
        (" localhost", False),
        ("localhost\n", False),
        ("127.1", False),
        ("2130706433", False),
        ("0177.0.0.1", False),
        ("127.0.0.1.", False),
    ],
)
def test_loopback_names(host: str, good: bool) -> None:
    assert is_loopback_name(host) is good


@pytest.mark.parametrize(
    "body",
    [
        b'{"\\ud800": "x"}',
        b'{"name": "\\ud800"}',
        b'{"name": ["\\uD800"]}',
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": ' + b"9" * 10_000 + b"}",
        b'{"a":' * 3000,
        b"[" * 100_000,
    ],
    ids=["key", "value", "list", "byte", "raw", "number", "objects", "lists"],
)
async def test_json_that_is_no_request(client: Client, body: bytes) -> None:
    """Also texts that are none (half of a surrogate pair): refused by name, not a defect."""
    assert error_of(await call(client, GET_RUN, body)) == (400, "invalid_argument", "MALFORMED_REQUEST")
