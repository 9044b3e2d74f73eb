"""Streams of messages over HTTP, as the Connect protocol frames them."""

import json
import os
import socket
import struct
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from typing import Dict

from azureml._localaml.connection_pool import Address, leave_to_parent
from azureml._localaml.connections import LOST, new_connection
from azureml._localaml.errors import ConnectionFailed, connect_error, connect_error_object
from azureml._localaml.transport import DEFAULT_TIMEOUT_SECONDS, JsonObject, Stream
from azureml._localaml.transport_http import decode, describe

_PREFIX = struct.Struct(">BI")
_COMPRESSED, _END_OF_STREAM = 1, 2
_MAX_MESSAGE_BYTES = 64 << 20


def open_stream(address: Address, path: str, request: JsonObject, headers: Dict[str, str]) -> Stream:
    """Begins a server-streaming call on a connection of its own.

    Raises:
        ServiceError: the emulator refused it.
        ConnectionFailed: it could not be reached.
    """
    connection = new_connection(address, DEFAULT_TIMEOUT_SECONDS)
    body = json.dumps(request).encode("utf-8")
    try:
        connection.request("POST", path, _PREFIX.pack(0, len(body)) + body, headers)
        sock = connection.sock  # the connection forgets it when the server is to close after this answer
        response = connection.getresponse()
        if response.status != 200:
            raise connect_error(response.status, response.read(), response.getheader("Retry-After"))
        sock.settimeout(None)
    except LOST as error:
        connection.close()
        raise ConnectionFailed(describe(error)) from error
    except BaseException:
        connection.close()
        raise
    return _HttpStream(connection, response, sock)


class _HttpStream(Stream):
    def __init__(self, connection: HTTPConnection, response: HTTPResponse, sock: socket.socket) -> None:
        self._ended = False
        self._connection = connection
        self._response = response
        self._socket = sock
        self._process_id = os.getpid()

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
                raise ConnectionFailed(describe(error)) from error
            raise
        message = decode(data)
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
        if self._process_id != os.getpid():
            # Not ended: its reader, in the parent, goes on. Nor closed: what it reads with may be locked for good.
            leave_to_parent(self._socket)
            return
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
