"""Making a call over one of the transports, and what came of it."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.protobuf import json_format

from campaigns.fuzz.rpcs import Rpc

# A call that is not answered in so many seconds hangs. Streams are left after so many.
UNARY_SECONDS = 30.0
STREAM_SECONDS = 0.25
_STREAM_MESSAGES = 3
_ENVELOPE = struct.Struct(">BI")
_END = 2
_BAD_CODES = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "ABORTED")


@dataclass(frozen=True)
class Outcome:
    """What came of a call.

    Attributes:
        code: `OK`, or the canonical code, in capitals; `LEFT` for a stream that went on.
        answer: of a unary call that went well.
        fault: what must not be, in words; empty when all is well.
    """

    code: str
    message: str = ""
    answer: Any = None
    fault: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.code in ("OK", "LEFT")


class Transports:
    """Connections to one emulator."""

    def __init__(self, http_address: str, grpc_address: str, token: str) -> None:
        self._authorization = f"Bearer {token}"
        options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
        # The limits of messages are those that every client has by itself.
        self._channel = grpc.insecure_channel(grpc_address, options=options)
        self._address = urlsplit(http_address)
        self._http: HTTPConnection | None = None
        self._callables: dict[str, Any] = {}

    def close(self) -> None:
        self._channel.close()
        if self._http is not None:
            self._http.close()

    # -- gRPC ---------------------------------------------------------------------------------------------------------

    def grpc(self, rpc: Rpc, request: bytes) -> Outcome:
        """A call with these bytes as its request."""
        metadata = (("authorization", self._authorization),)
        function = self._callable(rpc)
        try:
            if not rpc.is_stream:
                return Outcome("OK", answer=function(request, timeout=UNARY_SECONDS, metadata=metadata))
            call = function(request, timeout=STREAM_SECONDS, metadata=metadata)
            try:
                for number, _ in enumerate(call, 1):
                    if number == _STREAM_MESSAGES:
                        return Outcome("LEFT")
                return Outcome("OK")
            finally:
                call.cancel()
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            code, message = error.code().name, str(error.details() or "")
            if rpc.is_stream and code == "DEADLINE_EXCEEDED":
                return Outcome("LEFT")
            return Outcome(code, message, fault=_fault_of(code, message))

    def _callable(self, rpc: Rpc) -> Any:
        found = self._callables.get(rpc.path)
        if found is None:
            make = self._channel.unary_stream if rpc.is_stream else self._channel.unary_unary
            found = make(rpc.path, lambda data: data, rpc.response_class.FromString)
            self._callables[rpc.path] = found
        return found

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    def http(self, rpc: Rpc, body: bytes, *, envelope: bytes | None = None, content_type: str = "") -> Outcome:
        """A call with these bytes as its JSON; of a stream they are put into an envelope, unless one is given."""
        if rpc.is_stream:
            data = envelope if envelope is not None else _ENVELOPE.pack(0, len(body)) + body
            return self._stream(rpc, data, content_type or "application/connect+json")
        try:
            status, text = self._post(rpc.path, body, content_type or "application/json")
        except TimeoutError:
            return Outcome("DEADLINE_EXCEEDED", fault="no answer over HTTP")
        except (OSError, HTTPException) as error:
            return Outcome("UNAVAILABLE", repr(error))
        if status == 200:
            try:
                answer = json_format.Parse(text, rpc.response_class(), max_recursion_depth=200)
            except (json_format.ParseError, RecursionError) as error:
                return Outcome("OK", fault=f"the answer cannot be read: {error}"[:300])
            return Outcome("OK", answer=answer)
        return _refused(status, text)

    def _post(self, path: str, body: bytes, content_type: str, seconds: float = UNARY_SECONDS) -> tuple[int, bytes]:
        for attempt in (1, 2):
            fresh = self._http is None
            if self._http is None:
                self._http = self._connection(seconds)
            try:
                self._http.request("POST", path, body, self._headers(content_type))
                with self._http.getresponse() as response:
                    data = response.read()
                    if response.will_close:
                        self._http.close()
                        self._http = None
                    return response.status, data
            except TimeoutError:
                self._drop()
                raise
            except (OSError, HTTPException):
                # A connection that was kept may be closed by now.
                self._drop()
                if fresh or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _stream(self, rpc: Rpc, body: bytes, content_type: str) -> Outcome:
        connection = self._connection(STREAM_SECONDS)
        try:
            connection.request("POST", rpc.path, body, self._headers(content_type))
            response = connection.getresponse()
            if response.status != 200:
                return _refused(response.status, response.read())
            for _ in range(_STREAM_MESSAGES):
                flags, size = _ENVELOPE.unpack(_exactly(response, _ENVELOPE.size))
                data = _exactly(response, size)
                if flags == _END:
                    end = json.loads(data)
                    if "error" not in end:
                        return Outcome("OK")
                    code, message = str(end["error"]["code"]).upper(), str(end["error"].get("message", ""))
                    return Outcome(code, message, fault=_fault_of(code, message))
                json_format.Parse(data, rpc.response_class(), max_recursion_depth=200)
            return Outcome("LEFT")
        except TimeoutError:
            return Outcome("LEFT")
        except json_format.ParseError as error:
            return Outcome("OK", fault=f"an answer cannot be read: {error}"[:300])
        except (OSError, HTTPException, EOFError) as error:
            return Outcome("UNAVAILABLE", repr(error))
        finally:
            connection.close()

    def _connection(self, seconds: float) -> HTTPConnection:
        return HTTPConnection(self._address.hostname or "", self._address.port or 0, timeout=seconds)

    def _headers(self, content_type: str) -> dict[str, str]:
        return {"authorization": self._authorization, "content-type": content_type}

    def _drop(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


def _exactly(response: HTTPResponse, size: int) -> bytes:
    data = response.read(size)
    if len(data) < size:
        raise EOFError("the stream broke off")
    return data


def _refused(status: int, text: bytes) -> Outcome:
    try:
        error = json.loads(text)
        code, message = str(error["code"]).upper(), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return Outcome("UNKNOWN", fault=f"status {status} without an error of ours: {text[:200]!r}")
    if status >= 500 and code not in ("UNAVAILABLE", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"):
        return Outcome(code, message, fault=f"status {status}: {message}"[:300])
    return Outcome(code, message, fault=_fault_of(code, message))


def _fault_of(code: str, message: str) -> str:
    if code in _BAD_CODES:
        return f"{code}: {message}"[:300]
    if code == "DEADLINE_EXCEEDED":
        return "no answer over gRPC"
    if code == "RESOURCE_EXHAUSTED" and "larger than max" in message:
        return f"an answer that is too large for a client: {message}"[:300]
    return ""
