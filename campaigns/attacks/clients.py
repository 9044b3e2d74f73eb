"""What an attacker has: HTTP and gRPC without any library of ours, and tokens."""

from __future__ import annotations

import base64
import http.client
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

STREAMS = ("BuildEnvironment", "WatchComputeTarget", "WatchRun", "ReadRunLog", "WatchEvents")
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        code: of the error, as gRPC names it; empty for a good answer.
        reason: the error's own.
    """

    status: int
    code: str = ""
    reason: str = ""
    message: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")


def http_request(
    address: str, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request with exactly this target and these headers; `host` replaces the usual one."""
    place = urlsplit(address)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=SECONDS)
    try:
        given = {name.lower(): value for name, value in (headers or {}).items()}
        connection.putrequest(method, target, skip_host="host" in given, skip_accept_encoding=True)
        if body is not None and "content-length" not in given:
            given["content-length"] = str(len(body))
        for name, value in given.items():
            connection.putheader(name, value.encode("utf-8"))
        connection.endheaders(body)
        got = connection.getresponse()
        content = got.read()
        found = {name.lower(): value for name, value in got.getheaders()}
    finally:
        connection.close()
    code, reason, message = _error(content) if got.status >= 400 else ("", "", "")
    return Answer(got.status, code, reason, message, content, found)


def rpc(address: str, path: str, request: Mapping[str, Any], token: str | None = None) -> Answer:
    """One call (`localaml.v1.RunService/GetRun`) over HTTP; of a stream its first message."""
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    body = json.dumps(request).encode()
    if path.rpartition("/")[2] not in STREAMS:
        return http_request(address, "POST", f"/{path}", body, headers)
    headers["content-type"] = "application/connect+json"
    place = urlsplit(address)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=SECONDS)
    try:
        connection.request("POST", f"/{path}", struct.pack(">BI", 0, len(body)) + body, headers)
        got = connection.getresponse()
        flags, length = struct.unpack(">BI", got.read(5))
        content = got.read(length)
    finally:
        connection.close()
    error = json.loads(content).get("error") if flags & 2 else None
    code, reason, message = _error(json.dumps(error).encode()) if error else ("", "", "")
    return Answer(got.status, code, reason, message, content)


def rpc_grpc(channel: grpc.Channel, path: str, request: bytes, token: str | None = None) -> Answer:
    """The same over gRPC; the request is a message's bytes."""
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    # Bytes in and out.
    raw: dict[str, Any] = {"request_serializer": None, "response_deserializer": None}
    try:
        if path.rpartition("/")[2] in STREAMS:
            answers: Any = channel.unary_stream(f"/{path}", **raw)(request, timeout=SECONDS, metadata=metadata)
            body = next(iter(answers), b"")
            answers.cancel()
        else:
            body = channel.unary_unary(f"/{path}", **raw)(request, timeout=SECONDS, metadata=metadata)
    except grpc.RpcError as raised:
        error: Any = raised
        return Answer(0, error.code().name, _reason(dict(error.trailing_metadata() or ())), error.details() or "")
    return Answer(0, body=body)


def _reason(trailing: Mapping[str, Any]) -> str:
    status = status_pb2.Status.FromString(trailing.get("grpc-status-details-bin", b""))
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def _error(body: bytes) -> tuple[str, str, str]:
    try:
        error = json.loads(body)
        reason = error["details"][0]["debug"]["reason"]
        return str(error["code"]).upper(), str(reason), str(error["message"])
    except (ValueError, KeyError, IndexError, TypeError):
        return "", "", body.decode(errors="replace")


def tampered_token(token: str) -> str:
    """A run's token with another run's name in it."""
    kind, name, proof = token.split(".")
    told = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    other = base64.urlsafe_b64encode((told + "x").encode()).decode().rstrip("=")
    return f"{kind}.{other}.{proof}"
