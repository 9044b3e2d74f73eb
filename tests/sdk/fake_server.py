"""A small HTTP server that speaks the Connect protocol's forms and stores bytes, with faults on demand."""

from __future__ import annotations

import base64
import json
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from azureml._localaml.client import Client
from azureml._localaml.endpoint import EmulatorNotFound, Endpoint

Answer = dict[str, Any] | Exception
ENVELOPE = struct.Struct(">BI")


class Refusal(Exception):
    """An error to answer with."""

    def __init__(self, status: int, code: str, message: str, reason: str = "", *, debug: bool = True) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.reason, self.debug = status, code, message, reason, debug

    def body(self) -> dict[str, Any]:
        reason, key, value = self.reason.encode(), b"name", b"n"
        entry = bytes([0x0A, len(key)]) + key + bytes([0x12, len(value)]) + value
        info = bytes([0x0A, len(reason)]) + reason + bytes([0x1A, len(entry)]) + entry
        detail: dict[str, Any] = {
            "type": "google.rpc.ErrorInfo",
            "value": base64.b64encode(info).decode().rstrip("="),
        }
        if self.debug:
            detail["debug"] = {"reason": self.reason, "domain": "localaml.dev", "metadata": {"name": "n"}}
        return {"code": self.code, "message": self.message, "details": [detail] if self.reason else []}


class FakeServer:
    """Listens on a free port of this machine.

    Attributes:
        unary: path -> function of the request that gives the answer.
        streams: path -> function of the request that yields answers.
        files: path -> content, for GET and PUT.
        requests: what was asked, as (method, path, headers).
        drop: called before each request is answered; true: hang up instead.
        pause: called in the middle of the body of each GET.
        cut: bytes after which the body of a GET breaks off; one entry per GET.
    """

    def __init__(self, port: int = 0) -> None:
        self.unary: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        self.streams: dict[str, Callable[[dict[str, Any]], Iterator[dict[str, Any]]]] = {}
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.drop: Callable[[], bool] = lambda: False
        self.pause: Callable[[], object] = lambda: None
        self.cut: list[int] = []
        self.connections = 0
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def client(self, token: str = "secret") -> Client:
        """A client that finds this server and never another one."""
        endpoint = Endpoint(self.address, "", token, "test")

        def find(_: bool) -> Endpoint:
            if self._server.fake is None:
                raise EmulatorNotFound("closed")
            return endpoint

        return Client(endpoint, find)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.fake = None
        self._thread.join(5)

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    fake: FakeServer | None = None
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def fake(self) -> FakeServer:
        fake = self.server.fake  # type: ignore[attr-defined]  # our server class
        assert fake is not None
        return fake  # type: ignore[no-any-return]  # as above

    def setup(self) -> None:
        super().setup()
        self.fake.connections += 1

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _begin(self) -> bool:
        self.fake.requests.append((self.command, self.path, dict(self.headers)))
        if self.fake.drop():
            self.close_connection = True
            return False
        return True

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.fake.cut and self.command == "GET":
            body = body[: self.fake.cut.pop(0)]
            self.close_connection = True
        half = len(body) // 2 if self.command == "GET" else 0
        if half:
            self.wfile.write(memoryview(body)[:half])
            self.fake.pause()
        self.wfile.write(memoryview(body)[half:])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._begin():
            return
        if self.headers["Content-Type"] == "application/connect+json":
            flags, length = ENVELOPE.unpack(body[:5])
            assert (flags, length) == (0, len(body) - 5)
            return self._stream(json.loads(body[5:]))
        assert self.headers["Content-Type"] == "application/json"
        try:
            answer = self.fake.unary[self.path](json.loads(body))
        except Refusal as refusal:
            return self._send(refusal.status, json.dumps(refusal.body()).encode())
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _stream(self, request: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/connect+json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        end: dict[str, Any] = {}
        try:
            for message in self.fake.streams[self.path](request):
                self._envelope(0, message)
        except Refusal as refusal:
            end = {"error": refusal.body()}
        except ConnectionAbortedError:
            self.close_connection = True
            return
        self._envelope(2, end)
        self.wfile.write(b"0\r\n\r\n")

    def _envelope(self, flags: int, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        data = ENVELOPE.pack(flags, len(body)) + body
        half = len(data) // 2  # pieces and messages need not fit
        for part in (data[:half], data[half:]):
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        content = self.rfile.read(length)
        if len(content) < length:
            return  # the client has gone: nothing is stored
        if not self._begin():
            return
        self.fake.files[self.path] = content
        self._send(201, b"")

    def do_GET(self) -> None:
        if not self._begin():
            return
        content = self.fake.files.get(self.path)
        if content is None:
            refusal = Refusal(404, "not_found", f"nothing at {self.path}", "ARTIFACT_NOT_FOUND")
            return self._send(404, json.dumps(refusal.body()).encode())
        asked = self.headers.get("Range")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last) + 1 if last else len(content)
            if start >= len(content):
                return self._send(416, b"")
            part = content[start:end]
            span = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
            return self._send(206, part, {"Content-Range": span})
        self._send(200, content)
