"""Calls as a user's program makes them: repeated after a lost connection, for a while, over gRPC or HTTP.

Who calls learns which of three things happened: the emulator answered, it refused, or nobody knows (`Lost`).
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from azureml._localaml.endpoint import Endpoint
from azureml._localaml.errors import ConnectionFailed, ServiceError, transfer_error

if TYPE_CHECKING:
    from azureml._localaml.transport import Stream, Transport
    from campaigns.emulator import EmulatorProcess

Message = dict[str, Any]
_T = TypeVar("_T")
_PAUSE_SECONDS = 0.05
_CALL_SECONDS = 120.0


class Lost(Exception):
    """The connection broke and the caller gave up: the emulator may have done it or not."""


class Refused(Exception):
    """The emulator said no.

    Attributes:
        code: canonical gRPC code.
        reason: stable reason.
        was_repeated: whether an earlier attempt of the same call lost its connection: that one may have been done.
    """

    def __init__(self, error: ServiceError, was_repeated: bool) -> None:
        super().__init__(f"{error.grpc_code} {error.reason}: {error.message}")
        self.code, self.reason, self.was_repeated = error.grpc_code, error.reason, was_repeated


class Caller:
    """Calls of one client of one emulator. For one thread.

    Args:
        transport: ``grpc`` or ``http``.
        patience_seconds: for how long a call is repeated.
        ended: set when nobody is to wait any more.
    """

    def __init__(
        self,
        emulator: EmulatorProcess,
        transport: str,
        patience_seconds: float = 120.0,
        ended: threading.Event | None = None,
    ) -> None:
        self._emulator = emulator
        self._kind = transport
        self._patience = patience_seconds
        self._ended = ended or threading.Event()
        self._transport: Transport | None = None
        self._endpoint: Endpoint | None = None
        self._bytes: http.client.HTTPConnection | None = None
        self._bytes_address = ""

    def call(self, service: str, method: str, request: Message, *, once: bool = False) -> Message:
        """A unary call, in the JSON form of the protocol.

        Args:
            once: give up at the first lost connection.

        Raises Lost, Refused.
        """
        return self._repeat(lambda: self._connected().call(service, method, request, _CALL_SECONDS), once)

    def pages(self, service: str, method: str, request: Message, items: str) -> Iterator[Message]:
        """All items of a listing. Raises Lost, Refused."""
        page: Message = {}
        while True:
            answer = self.call(service, method, {**request, "page": page})
            yield from answer.get(items, ())
            page = {"pageToken": answer.get("nextPageToken", "")}
            if not page["pageToken"]:
                return

    def stream(self, service: str, method: str, request: Message) -> Stream:
        """A stream, as the transport gives it. Raises ConnectionFailed, ServiceError, also while it is read."""
        return self._connected().stream(service, method, request)

    def put(self, url: str, data: bytes) -> None:
        """Sends bytes, once. Raises Lost, Refused."""
        status, body = self._exchange("PUT", url, data)
        if status // 100 != 2:
            raise Refused(transfer_error(status, body), was_repeated=False)

    def get(self, url: str) -> bytes:
        """Fetches bytes. Raises Lost, Refused."""
        try:
            status, body = self._exchange("GET", url, None)
        except Lost:  # the emulator may have closed an idle connection at this moment
            status, body = self._exchange("GET", url, None)
        if status != 200:
            raise Refused(transfer_error(status, body), was_repeated=False)
        return body

    def close(self) -> None:
        """Gives up all connections."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._bytes is not None:
            self._bytes.close()
            self._bytes = None

    def _repeat(self, action: Callable[[], _T], once: bool) -> _T:
        deadline = time.monotonic() + self._patience
        was_repeated = False
        while True:
            try:
                return action()
            except ConnectionFailed as error:
                why: Exception = error
            except ServiceError as error:
                if error.grpc_code not in ("UNAVAILABLE", "UNAUTHENTICATED") or error.reason:
                    raise Refused(error, was_repeated) from error
                why = error
            was_repeated = True
            if once or time.monotonic() > deadline or self._ended.is_set():
                raise Lost(str(why)) from why
            self._ended.wait(_PAUSE_SECONDS)
            self._emulator.look()

    def _connected(self) -> Transport:
        emulator = self._emulator
        endpoint = Endpoint(emulator.http_address, emulator.grpc_address, emulator.token, "campaign")
        if self._transport is None or endpoint != self._endpoint:
            if self._transport is not None:
                self._transport.close()
            self._endpoint, self._transport = endpoint, _transport(self._kind, endpoint)
        return self._transport

    def _exchange(self, method: str, url: str, data: bytes | None) -> tuple[int, bytes]:
        parts = urlsplit(url)
        if self._bytes is None or self._bytes_address != parts.netloc:
            self._bytes = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_CALL_SECONDS)
            self._bytes_address = parts.netloc
        try:
            self._bytes.request(method, f"{parts.path}?{parts.query}", data)
            answer = self._bytes.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._bytes.close()
            raise Lost(f"{type(error).__name__}: {error}") from error


def _transport(kind: str, endpoint: Endpoint) -> Transport:
    if kind == "grpc":
        from azureml._localaml.transport_grpc import GrpcTransport

        return GrpcTransport(endpoint)
    from azureml._localaml.transport_http import HttpTransport

    return HttpTransport(endpoint)
