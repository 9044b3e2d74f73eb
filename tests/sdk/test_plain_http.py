"""The small HTTP client of control calls, against sockets that answer whatever a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from azureml._localaml.connection_pool import split_address
from azureml._localaml.plain_http import Answer, Garbled, PlainConnection

Serve = Callable[..., PlainConnection]


class Peer:
    """Answers each request on a connection with the next of its answers, and then closes it."""

    def __init__(self, answers: tuple[bytes, ...]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = ("127.0.0.1", self._listener.getsockname()[1])
        self.requests: list[bytes] = []
        self.connections = 0
        self._answers = list(answers)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb") as reader:
                while self._answers and (head := self._head(reader.readline)):
                    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                    self.requests.append(head + b"\r\n" + reader.read(length))
                    answer = self._answers.pop(0)
                    connection.sendall(answer)
                    if b"connection: close" in answer.lower():
                        break

    @staticmethod
    def _head(readline: Callable[[], bytes]) -> bytes:
        head = b""
        while (line := readline()) not in (b"", b"\r\n"):
            head += line
        return head

    def close(self) -> None:
        self._answers.clear()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def peer() -> Iterator[Callable[..., tuple[Peer, PlainConnection]]]:
    with ExitStack() as stack:

        def make(*answers: bytes) -> tuple[Peer, PlainConnection]:
            made = Peer(answers)
            stack.callback(made.close)
            connection = PlainConnection(made.address, 5.0)
            stack.callback(connection.close)
            return made, connection

        yield make


def body_of(connection: PlainConnection) -> Answer:
    return connection.post("/a", b"{}", {})


def test_a_request_is_what_http_wants(peer: Callable[..., tuple[Peer, PlainConnection]]) -> None:
    server, connection = peer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Y: z\r\n\r\nbody")
    answer = connection.post("/s/M", b'{"a":1}', {"Authorization": "Bearer t"})
    assert answer == Answer(200, {"content-length": "4", "x-y": "z"}, b"body")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /s/M HTTP/1.1" and body == b'{"a":1}'
    host = f"Host: 127.0.0.1:{server.address[1]}".encode()
    assert {host, b"Content-Length: 7", b"Authorization: Bearer t"} <= set(lines)


def test_a_connection_serves_many_requests(peer: Callable[..., tuple[Peer, PlainConnection]]) -> None:
    server, connection = peer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length:2\r\n\r\nno",
        b"HTTP/1.1 204 None\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    )
    answers = [body_of(connection) for _ in range(5)]
    assert [(one.status, one.body) for one in answers] == [
        (200, b"a"),
        (404, b"no"),
        (204, b""),
        (200, b"abc0123456789"),
        (200, b""),
    ]
    assert server.connections == 1


def test_a_connection_that_is_to_close_is_closed(peer: Callable[..., tuple[Peer, PlainConnection]]) -> None:
    server, connection = peer(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\nup to the end",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc",
    )
    assert [body_of(connection).body for _ in range(3)] == [b"a", b"up to the end", b"c"]
    assert server.connections == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbroken",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ],
)
def test_what_is_no_answer_is_a_lost_connection(
    peer: Callable[..., tuple[Peer, PlainConnection]], answer: bytes
) -> None:
    _, connection = peer(answer)
    with pytest.raises(OSError) as caught:
        body_of(connection)
    assert isinstance(caught.value, (Garbled, ConnectionError))


def test_no_answer_in_time_is_a_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = PlainConnection(("127.0.0.1", listener.getsockname()[1]), 0.05)
        with pytest.raises(TimeoutError):
            body_of(connection)
        connection.close()
    with pytest.raises(ConnectionError):
        body_of(connection)
    assert connection.sock is None


def test_a_host_may_be_a_name(peer: Callable[..., tuple[Peer, PlainConnection]]) -> None:
    server, _ = peer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
    connection = PlainConnection(("localhost", server.address[1]), 5.0)
    assert body_of(connection).body == b"a"
    connection.close()


def test_a_header_cannot_bring_another_one(peer: Callable[..., tuple[Peer, PlainConnection]]) -> None:
    server, connection = peer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
    for path, headers in (("/a HTTP/1.1\r\nX: y\r\n", {}), ("/a", {"Authorization": "Bearer t\r\nX: y"})):
        with pytest.raises(ValueError, match="line break"):
            connection.post(path, b"", headers)
    assert server.requests == []


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8765", ("127.0.0.1", 8765)),
        ("http://Localhost:80/", ("localhost", 80)),
        ("http://localhost", ("localhost", 80)),
        ("http://[::1]:9", ("::1", 9)),
        ("http://a.b:1/x?y", ("a.b", 1)),
    ],
)
def test_addresses(url: str, address: tuple[str, int]) -> None:
    assert split_address(url) == address


@pytest.mark.parametrize("url", ["https://a:1", "a:1", "", "http://", "http://a:99999", "http://:1"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError):
        split_address(url)
