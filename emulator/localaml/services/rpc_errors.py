"""From any exception to a `LocalAmlError`, and from that to what a gRPC client sees."""

from __future__ import annotations

import logging
import sqlite3
import uuid

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]  # ships no types

from localaml.errors import Internal, LocalAmlError, Unimplemented, disk_full, is_disk_full

DOMAIN = "localaml.dev"
_LOG = logging.getLogger(__name__)
# gRPC clients refuse trailers over 8 KiB in all; the message travels in two of them, percent-encoded in one.
_MAX_MESSAGE_BYTES = 1800
_MAX_METADATA_BYTES = 1800


def to_localaml_error(error: Exception, where: str) -> LocalAmlError:
    """What to tell the caller.

    An error without a meaning for callers is logged under an incident id, and only the id is told.
    """
    if isinstance(error, LocalAmlError):
        return error
    if isinstance(error, NotImplementedError):
        _LOG.warning("%s is not implemented", where, exc_info=error)
        return Unimplemented(
            "METHOD_NOT_IMPLEMENTED", str(error) or f"{where} is not supported by LocalAML yet.", {"method": where}
        )
    if is_disk_full(error) or (isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error)):
        _LOG.error("no room on the disk in %s", where, exc_info=error)
        return disk_full()
    incident = uuid.uuid4().hex[:12]
    _LOG.error("incident %s in %s", incident, where, exc_info=error)
    return Internal(
        "INTERNAL_ERROR",
        f"LocalAML failed inside (incident {incident}). The emulator's log has the details under this id.",
        {"incident": incident},
    )


def error_info(error: LocalAmlError) -> error_details_pb2.ErrorInfo:
    """The `google.rpc.ErrorInfo` of an error."""
    return error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)


def grpc_status(error: LocalAmlError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]]:
    """Status code, message, and trailing metadata with the `google.rpc.Status`; shortened to what clients can take."""
    message = _shorten(error.message, _MAX_MESSAGE_BYTES)
    info = error_info(error)
    if info.ByteSize() > _MAX_METADATA_BYTES:
        for key in list(info.metadata):
            info.metadata[key] = _shorten(info.metadata[key], 100)
        while info.ByteSize() > _MAX_METADATA_BYTES:
            del info.metadata[max(info.metadata)]
    detail = AnyMessage()
    detail.Pack(info)
    status = status_pb2.Status(code=code_pb2.Code.Value(error.grpc_code), message=message, details=[detail])
    return (
        grpc.StatusCode[error.grpc_code],
        message,
        (("grpc-status-details-bin", status.SerializeToString()),),
    )


def _shorten(text: str, limit: int) -> str:
    """At most `limit` bytes when percent-encoded, with `...` where something was cut."""
    size = 0
    for index, char in enumerate(text):
        size += 1 if " " <= char <= "~" and char != "%" else 3 * len(char.encode(errors="replace"))
        if size > limit:
            return text[: max(0, index - 3)] + "..."
    return text
