"""Control calls as JSON over HTTP with the standard library: https://connectrpc.com/docs/protocol."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from typing import Dict, Optional

from azureml._localaml.connections import LOST, ConnectionPool, new_connection, split_address
from azureml._localaml.endpoint import Endpoint
from azureml._localaml.errors import ConnectionFailed, ServiceError, connect_error, connect_error_object
from azureml._localaml.transport import DEFAULT_TIMEOUT_SECONDS, JsonObject, Stream, Transport, full_service_name

_PREFIX = struct.Struct(">BI")
_COMPRESSED, _END_OF_STREAM = 1, 2
_MAX_MESSAGE_BYTES = 64 << 20


class HttpTransport(Transport):
    """Calls over one kept-alive connection per thread; each stream has a connection of its own."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._address = split_address(endpoint.http_address)
        self._token = endpoint.token
        self._pool = ConnectionPool(self)

    def call(self, service: str, method: str, request: JsonObject, timeout: Optional[float] = None) -> JsonObject:
        seconds = DEFAULT_TIMEOUT_SECONDS if timeout is None else timeout
        connection = self._pool.get(self._address, seconds)
        path = "/{}/{}".format(full_service_name(service), method)
        headers = self._headers("application/json")
        headers["Connect-Timeout-Ms"] = str(max(1, int(seconds * 1000)))
        try:
            connection.request("POST", path, json.dumps(request).encode("utf-8"), headers)
            response = connection.getresponse()
            body = response.read()
        except socket.timeout as error:
            connection.close()
            raise _timed_out(method, seconds) from error
        except LOST as error:
            connection.close()
            raise ConnectionFailed(_describe(error)) from error
        except BaseException:
            connection.close()  # e.g. KeyboardInterrupt: what is left of the answer must not meet the next call
            raise
        if response.status != 200:
            raise connect_error(response.status, body, response.getheader("Retry-After"))
        return _decode(body)

    def stream(self, service: str, method: str, request: JsonObject) -> Stream:
        connection = new_connection(self._address, DEFAULT_TIMEOUT_SECONDS)
        body = json.dumps(request).encode("utf-8")
        path = "/{}/{}".format(full_service_name(service), method)
        try:
            headers = self._headers("application/connect+json")
            connection.request("POST", path, _PREFIX.pack(0, len(body)) + body, headers)
            sock = connection.sock  # the connection forgets it when the server is to close after this answer
            response = connection.getresponse()
            if response.status != 200:
                raise connect_error(response.status, response.read(), response.getheader("Retry-After"))
            sock.settimeout(None)
        except LOST as error:
            connection.close()
            raise ConnectionFailed(_describe(error)) from error
        except BaseException:
            connection.close()
            raise
        return _HttpStream(connection, response, sock)

    def close(self) -> None:
        self._pool.close()

    def _headers(self, content_type: str) -> Dict[str, str]:
        headers = {"Content-Type": content_type, "Connect-Protocol-Version": "1"}
        if self._token:
            headers["Authorization"] = "Bearer " + self._token
        return headers


class _HttpStream(Stream):
    def __init__(self, connection: HTTPConnection, response: HTTPResponse, sock: socket.socket) -> None:
        self._ended = False
        self._connection = connection
        self._response = response
        self._socket = sock

    def __next__(self) -> JsonObject:
        if self._ended:
            raise StopIteration
        try:
            flags, length = _PREFIX.unpack(self._read(_PREFIX.size))
            if length > _MAX_MESSAGE_BYTES or flags & _COMPRESSED:
                raise ConnectionFailed("the stream is garbled")
            data = self._read(length)
        except Exception as error:
            if self._ended:  # closed by another thread: what is left of the response raises anything
                raise StopIteration from None
            self.close()
            if isinstance(error, LOST):
                raise ConnectionFailed(_describe(error)) from error
            raise
        message = _decode(data)
        if not flags & _END_OF_STREAM:
            return message
        self.close()
        if message.get("error"):
            raise connect_error_object(message["error"])
        raise StopIteration

    def close(self) -> None:
        if self._ended:
            return
        self._ended = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a reader in another thread
        self._response.close()
        self._connection.close()

    def __del__(self) -> None:
        self.close()

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._response.read(size)
            if not part:
                raise ConnectionFailed("the stream broke off")
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _decode(body: bytes) -> JsonObject:
    try:
        message = json.loads(body.decode("utf-8")) if body else {}
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise ServiceError("UNKNOWN", "What answered is no LocalAML emulator: {!r}...".format(body[:100]))
    return message


def _timed_out(method: str, seconds: float) -> ServiceError:
    return ServiceError("DEADLINE_EXCEEDED", "{} had no answer within {:g} seconds.".format(method, seconds))


def _describe(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
