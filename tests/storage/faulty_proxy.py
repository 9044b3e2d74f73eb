"""A TCP proxy before a store, with the faults that networks and servers have."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

_BLOCK = 64 * 1024


class FaultyProxy:
    """Passes connections on to `target`.

    Attributes:
        errors: connections that are still to be answered with `error_status` instead of being passed on.
        cut_after: bytes of answers on a connection after which it is lost, once; None: never.
        cut_upload_after: the same for what is sent.
        connections: how many it was asked for.
        sent, received: bytes of requests and of answers that were passed on.
        rate: bytes per second that go through each connection, each way; None: no limit.
        delay: seconds that each answer is kept back before its first byte is passed on.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self.cut_after: int | None = None
        self.cut_upload_after: int | None = None
        self.error_status = 503
        self.error_code = "ServiceUnavailable"
        self.error_message = "later"
        self.errors = 0
        self.connections = 0
        self.sent = self.received = 0
        self.rate: float | None = None
        self.delay = 0.0
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening: socket.socket | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listens (again), on the same port."""
        self._stopping.clear()
        self._listening = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def stop(self) -> None:
        """Connections are lost, new ones refused."""
        self._stopping.set()
        listening, self._listening = self._listening, None
        if listening is not None:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> FaultyProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            wants_error = self.errors > 0
            self.errors -= wants_error
        if wants_error:
            with client, suppress(OSError):
                client.settimeout(5)
                client.recv(_BLOCK)
                error = f"<Code>{self.error_code}</Code><Message>{self.error_message}</Message>"
                body = f"<?xml version='1.0'?><Error>{error}</Error>".encode()
                head = f"HTTP/1.1 {self.error_status} No\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                client.sendall(head.encode() + body)
                client.shutdown(socket.SHUT_WR)
                while client.recv(_BLOCK):
                    pass
            return
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        with self._lock:
            self._open |= {client, server}
        asked = threading.Event()
        up = threading.Thread(target=self._pump, args=(client, server, asked, True), daemon=True)
        up.start()
        self._pump(server, client, asked, False)
        up.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket, asked: threading.Event, upwards: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(_BLOCK):
                passed += len(data)
                limit = self.cut_upload_after if upwards else self.cut_after
                if limit is not None and passed > limit:
                    if upwards:
                        self.cut_upload_after = None
                    else:
                        self.cut_after = None
                    break
                if upwards:
                    asked.set()
                elif asked.is_set():
                    asked.clear()
                    self._stopping.wait(self.delay)
                if self.rate is not None:
                    self._stopping.wait(len(data) / self.rate)
                sink.sendall(data)
                with self._lock:
                    if upwards:
                        self.sent += len(data)
                    else:
                        self.received += len(data)
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
