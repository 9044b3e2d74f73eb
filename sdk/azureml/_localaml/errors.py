"""From an error of the emulator to the exception class that Azure's SDK raises.

    ServiceError        the emulator answered with an error: gRPC code, stable reason, message, facts
    ConnectionFailed    no answer: nothing listens, or the connection was lost (the caller may repeat the call)

`Client.call` turns the first into an exception of `azureml.exceptions` (`sdk_exception`), which keeps the facts as the
attributes `reason`, `grpc_code` and `metadata`.
"""

import json
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

if TYPE_CHECKING:
    from azureml.exceptions import AzureMLException

# Statuses of transfers that may be over the next time. (429 only when the answer says when.)
_PASSING = frozenset((500, 502, 503, 504))
_HTTP_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ALREADY_EXISTS",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}


class ServiceError(Exception):
    """The emulator refused a call.

    Attributes:
        grpc_code: canonical code in upper case, e.g. ``NOT_FOUND``.
        reason: stable UPPER_SNAKE_CASE word, e.g. ``RUN_NOT_FOUND``; empty when the emulator sent none.
        message: a sentence for people.
        metadata: further facts as strings.
        retry_after: seconds after which the emulator wants to be asked again; None when it said nothing of that.
        may_repeat: whether the same request may work when it is simply sent again.
    """

    def __init__(
        self,
        grpc_code: str,
        message: str,
        reason: str = "",
        metadata: Optional[Mapping[str, str]] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.grpc_code = grpc_code
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        told = _seconds(self.metadata.get("retry_after"))
        self.retry_after = retry_after if told is None else told
        self.may_repeat = grpc_code == "UNAVAILABLE" or self.retry_after is not None


class ConnectionFailed(Exception):
    """The emulator could not be reached, or went away in the middle of a call.

    Attributes:
        progressed: whether this attempt got further than the one before (part of a file): its patience begins anew.
    """

    progressed = False


def transfer_error(status: int, body: bytes, retry_after: Optional[str] = None) -> "ServiceError":
    """As `connect_error`, for a transfer of bytes: one whose status may pass can simply be made again."""
    error = connect_error(status, body, retry_after)
    error.may_repeat = error.may_repeat or status in _PASSING
    return error


def _seconds(text: Optional[str]) -> Optional[float]:
    try:
        seconds = float(text) if text else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None


def connect_error(status: int, body: bytes, retry_after: Optional[str] = None) -> "ServiceError":
    """Reads the Connect protocol's JSON error (https://connectrpc.com/docs/protocol#error-end-stream).

    Args:
        retry_after: the header of that name, which counts where the error itself says nothing; only seconds are
            understood.
    """
    error = _connect_error(status, body)
    seconds = _seconds(retry_after)
    if error.retry_after is None and seconds is not None:
        error.retry_after = seconds
        error.may_repeat = True
    return error


def _connect_error(status: int, body: bytes) -> "ServiceError":
    code = _HTTP_CODES.get(status, "INTERNAL" if status >= 500 else "UNKNOWN")
    try:
        answer = json.loads(body.decode("utf-8"))
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return connect_error_object(answer, code)
    text = body[:300].decode("utf-8", "replace").strip()
    return ServiceError(code, "The emulator answered with HTTP status {}. {}".format(status, text).strip())


def connect_error_object(answer: Mapping[str, Any], default_code: str = "UNKNOWN") -> "ServiceError":
    """Reads an error that is decoded already: of a unary answer or of the end of a stream."""
    code = str(answer.get("code") or default_code).upper()
    if code == "CANCELED":
        code = "CANCELLED"
    message = str(answer.get("message") or "The emulator gave no reason.")
    for detail in answer.get("details") or ():
        if detail.get("type") != "google.rpc.ErrorInfo":
            continue
        debug = detail.get("debug")
        if isinstance(debug, dict) and debug.get("reason"):
            return ServiceError(code, message, str(debug["reason"]), debug.get("metadata"))
        value = str(detail.get("value", ""))
        reason, metadata = parse_error_info(a2b_base64(value + "=" * (-len(value) % 4)))
        return ServiceError(code, message, reason, metadata)
    return ServiceError(code, message)


def parse_error_info(data: bytes) -> Tuple[str, Dict[str, str]]:
    """Reads a serialised `google.rpc.ErrorInfo` without protobuf: reason and metadata."""
    reason = ""
    metadata: Dict[str, str] = {}
    for number, value in _fields(data):
        if number == 1:
            reason = value.decode("utf-8", "replace")
        elif number == 3:
            entry = dict(_fields(value))
            metadata[entry.get(1, b"").decode("utf-8", "replace")] = entry.get(2, b"").decode("utf-8", "replace")
    return reason, metadata


def parse_status_details(data: bytes) -> Tuple[str, Dict[str, str]]:
    """Reads reason and metadata out of a serialised `google.rpc.Status` (gRPC's `grpc-status-details-bin`)."""
    for number, value in _fields(data):
        if number == 3:  # details: Any
            entry = dict(_fields(value))
            if entry.get(1, b"").endswith(b"/google.rpc.ErrorInfo"):
                return parse_error_info(entry.get(2, b""))
    return "", {}


def _fields(data: bytes) -> Any:
    """The length-delimited fields of a protobuf message as (number, bytes); others are passed over."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        kind = key & 7
        if kind == 2:
            length, position = _varint(data, position)
            yield key >> 3, data[position : position + length]
            position += length
        elif kind == 0:
            _, position = _varint(data, position)
        elif kind == 1:
            position += 8
        elif kind == 5:
            position += 4
        else:
            return


def _varint(data: bytes, position: int) -> Tuple[int, int]:
    result = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        result |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
    return result, position


# By the start of the reason. What is not named here follows from the gRPC code.
_BY_REASON = (
    ("COMPUTE_TARGET_", "ComputeTargetException"),
    ("WORKSPACE_", "WorkspaceException"),
    ("SNAPSHOT_", "SnapshotException"),
    ("MODEL_NOT_FOUND", "ModelNotFoundException"),
    ("MODEL_PATH_", "ModelPathNotFoundException"),
)
# The caller did nothing wrong; all other codes say that the request or the state of things does not allow it.
_SERVICE_CODES = ("INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "DATA_LOSS")


def sdk_exception(error: "ServiceError") -> "AzureMLException":
    """The exception of `azureml.exceptions` that stands for an error of the emulator."""
    import azureml.exceptions as exceptions

    for start, known in _BY_REASON:
        if error.reason.startswith(start):
            name = known
            break
    else:
        if error.grpc_code == "UNAUTHENTICATED":
            name = "AuthenticationException"
        elif error.grpc_code in _SERVICE_CODES:
            name = "AzureMLException"
        else:
            name = "UserErrorException"
    exception: AzureMLException = getattr(exceptions, name)(error.message)
    return annotate(exception, error)


def annotate(exception: "AzureMLException", error: "ServiceError") -> "AzureMLException":
    """Keeps the facts of the emulator's error on the SDK's exception."""
    exception.reason = error.reason
    exception.grpc_code = error.grpc_code
    exception.metadata = error.metadata
    return exception
