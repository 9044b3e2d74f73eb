"""Exceptions: names, bases and texts as Azure's."""

from __future__ import annotations

import json
import pickle

import pytest

from azureml import exceptions
from azureml._common.exceptions import AzureMLException
from azureml._localaml.errors import ServiceError, parse_error_info, parse_status_details, sdk_exception


def test_the_text_has_azures_form() -> None:
    error = exceptions.UserErrorException("boom")
    head, _, body = str(error).partition("\tErrorResponse \n")
    assert head == "UserErrorException:\n\tMessage: boom\n\tInnerException None\n"
    assert json.loads(body) == {"error": {"code": "UserError", "message": "boom"}}
    assert error.message == "boom"
    assert repr(error) == str(error)


def test_all_are_azureml_exceptions() -> None:
    for name in exceptions.__all__:
        assert issubclass(getattr(exceptions, name), AzureMLException)


def test_a_failed_run_carries_its_error() -> None:
    error = exceptions.ActivityFailedException(error_details='{"error": {"code": "UserError"}}')
    assert error.message == 'Activity Failed:\n{"error": {"code": "UserError"}}'


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        ("NOT_FOUND", "WORKSPACE_NOT_FOUND", exceptions.WorkspaceException),
        ("ALREADY_EXISTS", "WORKSPACE_EXISTS", exceptions.WorkspaceException),
        ("NOT_FOUND", "COMPUTE_TARGET_NOT_FOUND", exceptions.ComputeTargetException),
        ("FAILED_PRECONDITION", "COMPUTE_TARGET_DELETING", exceptions.ComputeTargetException),
        ("NOT_FOUND", "SNAPSHOT_NOT_FOUND", exceptions.SnapshotException),
        ("NOT_FOUND", "RUN_NOT_FOUND", exceptions.UserErrorException),
        ("INVALID_ARGUMENT", "INVALID_NAME", exceptions.UserErrorException),
        ("UNAUTHENTICATED", "TOKEN_INVALID", exceptions.AuthenticationException),
        ("INTERNAL", "INTERNAL_ERROR", AzureMLException),
        ("DEADLINE_EXCEEDED", "", AzureMLException),
    ],
)
def test_the_reason_decides_the_class(code: str, reason: str, kind: type[AzureMLException]) -> None:
    error = sdk_exception(ServiceError(code, "text", reason, {"a": "b"}))
    assert type(error) is kind
    assert (error.message, error.reason, error.grpc_code, error.metadata) == ("text", reason, code, {"a": "b"})


def test_details_are_read_as_protobuf_writes_them() -> None:
    error_details = pytest.importorskip("google.rpc.error_details_pb2")
    status_pb2 = pytest.importorskip("google.rpc.status_pb2")
    info = error_details.ErrorInfo(reason="R_X", domain="localaml.dev", metadata={"name": "x" * 300, "ü": "é"})
    assert parse_error_info(info.SerializeToString()) == ("R_X", {"name": "x" * 300, "ü": "é"})
    status = status_pb2.Status(code=5, message="m")
    status.details.add().Pack(error_details.RetryInfo())
    status.details.add().Pack(info)
    assert parse_status_details(status.SerializeToString())[0] == "R_X"
    assert parse_status_details(b"") == ("", {})


def test_exceptions_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(exceptions.ComputeTargetException("gone")))
    assert type(error) is exceptions.ComputeTargetException
    assert error.message == "gone"
