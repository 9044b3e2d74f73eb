"""The Connect protocol: the rpcs of the method table as JSON over HTTP POST.

Unary: ``POST /localaml.v1.RunService/GetRun`` with ``application/json``. Server streams: ``application/connect+json``,
where each message travels in an envelope (1 byte of flags, 4 bytes of length, big-endian) and the last one (flag 2) may
carry an error.
https://connectrpc.com/docs/protocol
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from google.protobuf import json_format
from google.protobuf.message import Message

from localaml.errors import InvalidArgument, LocalAmlError, Unimplemented
from localaml.gateway.messages import ClientGone, Request, Response, http_status, json_response
from localaml.services.request_limits import MAX_REQUEST_BYTES
from localaml.services.rpc import Authenticate, Caller, ConnectionDropped, Method, unimplemented
from localaml.services.rpc_errors import DOMAIN, error_info, to_localaml_error

_UNARY = "application/json"
_STREAM = "application/connect+json"
_ENVELOPE = struct.Struct(">BI")
_END_OF_STREAM = 2


def error_json(error: LocalAmlError) -> dict[str, object]:
    """An error in the Connect protocol's JSON."""
    value = base64.b64encode(error_info(error).SerializeToString()).decode().rstrip("=")
    debug = {"reason": error.reason, "domain": DOMAIN, "metadata": error.metadata}
    return {
        "code": error.grpc_code.lower(),
        "message": error.message,
        "details": [{"type": "google.rpc.ErrorInfo", "value": value, "debug": debug}],
    }


def error_response(error: LocalAmlError, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """The HTTP response of an error."""
    if "retry_after" in error.metadata:
        # The header has whole seconds; the error's metadata tells it exactly.
        headers = (*headers, ("retry-after", str(math.ceil(float(error.metadata["retry_after"])))))
    return json_response(http_status(error), error_json(error), headers)


class ConnectRoutes:
    """Answers POSTs to the paths of the method table."""

    def __init__(self, methods: Mapping[str, Method], authenticate: Authenticate) -> None:
        self._methods = methods
        self._authenticate = authenticate

    async def handle(self, request: Request) -> Response:
        """Answers one call. Raises LocalAmlError for calls that do not get as far as a method."""
        if request.method != "POST":
            raise InvalidArgument("METHOD_NOT_ALLOWED", f"{request.path} answers POST only, not {request.method}.")
        method = self._methods.get(request.path)
        if method is None:
            raise unimplemented(request.path)
        wanted = _STREAM if method.server_streaming else _UNARY
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given != wanted:
            raise InvalidArgument(
                "UNSUPPORTED_CONTENT_TYPE", f"{request.path} takes {wanted}, not {given[:100] or 'nothing'}."
            )
        for header in ("content-encoding", "connect-content-encoding"):
            if request.headers.get(header, "identity").lower() != "identity":
                raise Unimplemented("COMPRESSION_NOT_SUPPORTED", "Compressed requests are not supported here.")
        if method.server_streaming:
            return Response(200, (("content-type", _STREAM),), self._stream(method, request))
        caller = self._authenticate(request.headers.get("authorization"))
        message = _parse(method, await request.body(MAX_REQUEST_BYTES))
        answer = await method.call(message, caller)
        return Response(200, (("content-type", _UNARY),), _to_json(answer))

    async def _stream(self, method: Method, request: Request) -> AsyncGenerator[bytes, None]:
        # In a stream every error comes in the last envelope, under status 200.
        end: dict[str, object] = {}
        try:
            caller = self._authenticate(request.headers.get("authorization"))
            message = _parse(method, _open_envelope(await request.body(MAX_REQUEST_BYTES)))
            async with aclosing(_answers(method, message, caller)) as answers:
                async for data in answers:
                    yield _ENVELOPE.pack(0, len(data)) + data
        except ConnectionDropped as error:
            raise ClientGone(error.message) from None
        except LocalAmlError as error:
            end = {"error": error_json(error)}
        except Exception as error:
            end = {"error": error_json(to_localaml_error(error, method.path))}
        data = json.dumps(end).encode()
        yield _ENVELOPE.pack(_END_OF_STREAM, len(data)) + data


async def _answers(method: Method, message: Message, caller: Caller) -> AsyncGenerator[bytes, None]:
    async with aclosing(method.stream(message, caller)) as answers:
        async for answer in answers:
            yield _to_json(answer)


def _to_json(message: Message) -> bytes:
    return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()


def _parse(method: Method, body: bytes) -> Message:
    try:
        text = body.decode()
        value = json.loads(text or "{}")
        if "\\u" in text:
            # Half of a pair of surrogates is no text: protobuf fails on it in ways that look like defects of ours.
            json.dumps(value, ensure_ascii=False).encode()
        if not isinstance(value, dict):
            raise ValueError("it is no object")
        return json_format.ParseDict(value, method.request_class())
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise InvalidArgument(
            "MALFORMED_REQUEST",
            f"The body is not the JSON of a {method.request_class.DESCRIPTOR.full_name}: {str(error)[:300]}",
        ) from None


def _open_envelope(body: bytes) -> bytes:
    if len(body) >= _ENVELOPE.size:
        flags, length = _ENVELOPE.unpack_from(body)
        if flags == 0 and len(body) == _ENVELOPE.size + length:
            return body[_ENVELOPE.size :]
    raise InvalidArgument("MALFORMED_REQUEST", "The body must be one uncompressed envelope of the Connect protocol.")
