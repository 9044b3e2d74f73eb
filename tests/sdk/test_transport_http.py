"""Control calls with the standard library alone, against a real HTTP server."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.sdk.fake_server import FakeServer, Refusal
from tests.support.waiting import wait_until

from azureml._localaml import client as client_module
from azureml._localaml.client import Client
from azureml._localaml.endpoint import Endpoint
from azureml._localaml.errors import ConnectionFailed, ServiceError, connect_error
from azureml._localaml.transport_http import HttpTransport
from azureml.exceptions import AzureMLException, ComputeTargetException, UserErrorException, WorkspaceException

GET_RUN = "/localaml.v1.RunService/GetRun"
WATCH_RUN = "/localaml.v1.RunService/WatchRun"


def test_a_call_sends_json_and_the_token_and_reads_json(server: FakeServer, client: Client) -> None:
    server.unary[GET_RUN] = lambda request: {"echo": request}
    answer = client.call("RunService", "GetRun", {"name": "a/ü", "page": {"pageSize": 3}})
    assert answer == {"echo": {"name": "a/ü", "page": {"pageSize": 3}}}
    _, path, headers = server.requests[0]
    assert path == GET_RUN
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Connect-Protocol-Version"] == "1"


def test_a_full_service_name_is_taken_as_it_is(server: FakeServer, client: Client) -> None:
    server.unary["/localaml.admin.v1.AdminService/GetInfo"] = lambda request: {"version": "1"}
    assert client.call("localaml.admin.v1.AdminService", "GetInfo") == {"version": "1"}


def test_calls_of_a_thread_share_one_connection(server: FakeServer, client: Client) -> None:
    server.unary[GET_RUN] = lambda request: {}
    for _ in range(20):
        client.call("RunService", "GetRun", {})
    assert server.connections == 1
    thread = threading.Thread(target=client.call, args=("RunService", "GetRun", {}))
    thread.start()
    thread.join()
    assert server.connections == 2


@pytest.mark.parametrize("debug", [True, False], ids=["readable details", "protobuf details"])
def test_an_error_becomes_the_exception_of_its_reason(server: FakeServer, client: Client, debug: bool) -> None:
    def refuse(request: dict[str, Any]) -> dict[str, Any]:
        raise Refusal(404, "not_found", "no such cluster: make one", request["reason"], debug=debug)

    server.unary[GET_RUN] = refuse
    for reason, kind in (
        ("COMPUTE_TARGET_NOT_FOUND", ComputeTargetException),
        ("WORKSPACE_NOT_FOUND", WorkspaceException),
        ("DATASTORE_NOT_FOUND", UserErrorException),
    ):
        with pytest.raises(AzureMLException) as caught:
            client.call("RunService", "GetRun", {"reason": reason})
        assert type(caught.value) is kind
        assert caught.value.message == "no such cluster: make one"
        assert caught.value.reason == reason
        assert caught.value.grpc_code == "NOT_FOUND"
        assert caught.value.metadata == {"name": "n"}
        assert caught.value.__suppress_context__, "the error within says nothing more"


def test_what_is_no_emulator_is_told(server: FakeServer) -> None:
    transport = HttpTransport(Endpoint(server.address, "", "", ""))
    server.unary[GET_RUN] = lambda request: [1]  # type: ignore[return-value,assignment]  # what no emulator sends
    with pytest.raises(ServiceError, match="no LocalAML emulator"):
        transport.call("RunService", "GetRun", {})
    transport.close()
    error = connect_error(502, b"<html>Bad gateway</html>")
    assert (error.grpc_code, error.reason) == ("UNAVAILABLE", "")
    assert "502" in error.message and "Bad gateway" in error.message


def test_a_call_is_repeated_when_the_connection_is_lost(server: FakeServer, client: Client) -> None:
    server.unary[GET_RUN] = lambda request: {"done": True}
    drops = iter([False, True, True])
    server.drop = lambda: next(drops, False)
    assert client.call("RunService", "GetRun", {}) == {"done": True}
    assert client.call("RunService", "GetRun", {}) == {"done": True}
    assert len(server.requests) == 4


def test_an_emulator_that_restarted_on_another_port_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAML_TRANSPORT", "http")
    where: list[FakeServer] = [FakeServer()]
    where[0].unary[GET_RUN] = lambda request: {"port": "first"}
    client = Client(Endpoint(where[0].address, "", "t", "s"), lambda _: Endpoint(where[0].address, "", "t", "s"))
    assert client.call("RunService", "GetRun", {}) == {"port": "first"}
    second = FakeServer()
    second.unary[GET_RUN] = lambda request: {"port": "second"}
    first, where[0] = where[0], second
    first.close()
    # The old connection may still be served by a thread of the old server: a new process has none.
    client.close()
    try:
        assert client.call("RunService", "GetRun", {}) == {"port": "second"}
        assert client.endpoint.http_address == second.address
    finally:
        client.close()
        second.close()


def test_without_an_answer_one_error_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAML_TRANSPORT", "http")
    monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = Endpoint(f"http://127.0.0.1:{taken.getsockname()[1]}", "", "", "LOCALAML_ENDPOINT")
        client = Client(endpoint, lambda _: endpoint)
        with pytest.raises(UserErrorException, match=r"localaml start -d") as caught:
            client.call("RunService", "GetRun", {})
        assert endpoint.http_address in caught.value.message
        client.close()


def test_in_a_job_the_patience_is_longer(monkeypatch: pytest.MonkeyPatch, server: FakeServer, client: Client) -> None:
    monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(client_module, "RETRY_SECONDS_IN_JOB", 10.0)
    server.unary[GET_RUN] = lambda request: {}
    drops = iter([True] * 3)
    server.drop = lambda: next(drops, False)
    with pytest.raises(UserErrorException):
        client.call("RunService", "GetRun", {})
    monkeypatch.setenv("AZUREML_RUN_TOKEN", "run")
    drops = iter([True] * 3)
    assert client.call("RunService", "GetRun", {}) == {}


def test_a_time_out_is_an_error_and_no_retry(server: FakeServer, client: Client) -> None:
    release = threading.Event()

    def wait(request: dict[str, Any]) -> dict[str, Any]:
        release.wait(10)
        return {}

    server.unary[GET_RUN] = wait
    try:
        with pytest.raises(AzureMLException, match=r"0\.05 seconds") as caught:
            client.call("RunService", "GetRun", {}, timeout=0.05)
        assert caught.value.grpc_code == "DEADLINE_EXCEEDED"
        assert len(server.requests) == 1
    finally:
        release.set()
    server.unary[GET_RUN] = lambda request: {"next": True}
    assert client.call("RunService", "GetRun", {}) == {"next": True}


def test_pages_are_followed(server: FakeServer, client: Client) -> None:
    def page(request: dict[str, Any]) -> dict[str, Any]:
        start = int(request.get("page", {}).get("pageToken") or 0)
        answer: dict[str, Any] = {"runs": [{"number": start + i} for i in range(2)]}
        if start < 4:
            answer["nextPageToken"] = str(start + 2)
        return answer

    server.unary[GET_RUN] = page
    assert [run["number"] for run in client.pages("RunService", "GetRun", {"parent": "x"}, "runs")] == list(range(6))


def test_a_stream_gives_its_messages_and_ends(server: FakeServer, client: Client) -> None:
    server.streams[WATCH_RUN] = lambda request: iter([{"n": i, "of": request["name"]} for i in range(3)])
    with client.stream("RunService", "WatchRun", {"name": "r"}) as stream:
        assert list(stream) == [{"n": i, "of": "r"} for i in range(3)]
        assert list(stream) == []


def test_the_error_at_the_end_of_a_stream_is_raised(server: FakeServer, client: Client) -> None:
    def watch(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"n": 1}
        raise Refusal(404, "not_found", "gone", "RUN_NOT_FOUND")

    server.streams[WATCH_RUN] = watch
    with client.stream("RunService", "WatchRun", {}) as stream:
        assert next(stream) == {"n": 1}
        with pytest.raises(UserErrorException) as caught:
            next(stream)
        assert caught.value.reason == "RUN_NOT_FOUND"


def test_a_stream_that_breaks_off_is_told_apart_from_its_end(server: FakeServer, client: Client) -> None:
    def watch(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"n": 1}
        raise ConnectionAbortedError

    server.streams[WATCH_RUN] = watch
    with client.stream("RunService", "WatchRun", {}) as stream:
        assert next(stream) == {"n": 1}
        with pytest.raises(ConnectionFailed):
            next(stream)


def test_closing_a_stream_wakes_its_reader(server: FakeServer, client: Client) -> None:
    release = threading.Event()

    def watch(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"n": 1}
        release.wait(20)

    server.streams[WATCH_RUN] = watch
    stream = client.stream("RunService", "WatchRun", {})
    seen: list[Any] = []

    def read() -> None:
        for message in stream:
            seen.append(message)

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: len(seen) == 1, 5, "the first message")
    stream.close()
    reader.join(5)
    release.set()
    assert not reader.is_alive()
    assert seen == [{"n": 1}]


def test_a_forked_child_uses_connections_of_its_own(server: FakeServer, client: Client) -> None:
    server.unary[GET_RUN] = lambda request: {"ok": True}
    assert client.call("RunService", "GetRun", {}) == {"ok": True}
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if client.call("RunService", "GetRun", {}) == {"ok": True} else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.call("RunService", "GetRun", {}) == {"ok": True}
    assert server.connections == 2
