"""Every error that LocalAML reports to a caller, in one place.

A `LocalAmlError` is raised anywhere below the services; the transports turn it into a gRPC status with a
`google.rpc.ErrorInfo`, or into the Connect protocol's JSON error. The SDK picks the exception class from `reason`.

    LocalAmlError
        InvalidArgument      INVALID_ARGUMENT      the request can never work: change it
        NotFound             NOT_FOUND             a named thing does not exist
        AlreadyExists        ALREADY_EXISTS        the name is taken, with other settings
        FailedPrecondition   FAILED_PRECONDITION   not in this state of things
        PermissionDenied     PERMISSION_DENIED     the token is good, but not for this
        Unauthenticated      UNAUTHENTICATED       no token, or a bad one
        ResourceExhausted    RESOURCE_EXHAUSTED    over a limit, or the disk is full
        Unavailable          UNAVAILABLE           try again later
        Unimplemented        UNIMPLEMENTED         LocalAML does not support it; the message names it
        Internal             INTERNAL              a defect of LocalAML

`reason` is UPPER_SNAKE_CASE and stable; clients may rely on it. `message` says what was wrong and what to do.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping


class LocalAmlError(Exception):
    """Base of all errors with a meaning for the caller.

    Args:
        reason: stable UPPER_SNAKE_CASE word, e.g. ``RUN_NOT_FOUND``.
        message: for people: what was wrong and what to do.
        metadata: further facts as strings (names, limits), never secrets.
    """

    grpc_code = "INTERNAL"
    http_status = 500

    def __init__(self, reason: str, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})

    def __str__(self) -> str:
        return self.message


class InvalidArgument(LocalAmlError):
    grpc_code, http_status = "INVALID_ARGUMENT", 400


class NotFound(LocalAmlError):
    grpc_code, http_status = "NOT_FOUND", 404


class AlreadyExists(LocalAmlError):
    grpc_code, http_status = "ALREADY_EXISTS", 409


class FailedPrecondition(LocalAmlError):
    grpc_code, http_status = "FAILED_PRECONDITION", 400


class PermissionDenied(LocalAmlError):
    grpc_code, http_status = "PERMISSION_DENIED", 403


class Unauthenticated(LocalAmlError):
    grpc_code, http_status = "UNAUTHENTICATED", 401


class ResourceExhausted(LocalAmlError):
    grpc_code, http_status = "RESOURCE_EXHAUSTED", 429


class Unavailable(LocalAmlError):
    grpc_code, http_status = "UNAVAILABLE", 503


class Unimplemented(LocalAmlError):
    grpc_code, http_status = "UNIMPLEMENTED", 501


class Internal(LocalAmlError):
    grpc_code, http_status = "INTERNAL", 500


def disk_full() -> ResourceExhausted:
    """The error for a full disk (or an exhausted quota): reason ``DISK_FULL``."""
    return ResourceExhausted(
        "DISK_FULL", "There is no room left on the disk of the emulator. Free some space, then try again."
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether the operating system says that there is no room."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def artifact_changed(run_id: str, path: str) -> FailedPrecondition:
    """The error for an artifact whose bytes are not those that were stored: reason ``ARTIFACT_CHANGED``."""
    return FailedPrecondition(
        "ARTIFACT_CHANGED",
        f"The file {path!r} of run {run_id} is not what was stored any more: its bytes do not have the SHA-256 of its "
        "record. A job may have written to it through a mounted datastore. Its bytes are in the datastore, below "
        f"azureml/ExperimentRun/dcid.{run_id}; 'localaml storage fsck' names all such files.",
        {"run_id": run_id, "path": path},
    )


def unreadable(name: str, error: OSError) -> FailedPrecondition:
    """The error for bytes that the operating system does not give out: reason ``OBJECT_UNREADABLE``."""
    return FailedPrecondition(
        "OBJECT_UNREADABLE",
        f"{name!r} cannot be read: {error.strerror or type(error).__name__}. Look after the emulator's disk, or the "
        "rights of this file, then try again.",
    )


def unreadable_record(why: str, what: str = "The record") -> FailedPrecondition:
    """The error for a record that the store holds and this version cannot make sense of: ``RECORD_UNREADABLE``."""
    return FailedPrecondition(
        "RECORD_UNREADABLE",
        f"{what} is damaged, or was written by another version of LocalAML: {why[:500]}. Nothing else depends on it: "
        "delete it, or bring back an older copy of the state.",
    )
