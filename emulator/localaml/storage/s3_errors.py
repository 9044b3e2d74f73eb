"""What botocore's errors mean."""

from __future__ import annotations

from localaml.errors import FailedPrecondition, LocalAmlError, PermissionDenied, disk_full

# Status 500 and above is transient, but for: not implemented, no room.
_FOR_GOOD = (501, 505, 507)
_TRANSIENT_CODES = ("SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests", "BadDigest")
_MISSING_CODES = ("NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NotFound", "404")
# What LocalStack says when it has no licence for something (and 55 is the exit code of a container without a token).
_LICENCE_WORDS = ("license", "auth token", "auth_token")


def code_of(error: Exception) -> str:
    """S3's word for an error; empty when it is not S3's."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def status_of(error: Exception) -> int:
    """The HTTP status; 0 without an answer."""
    response = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: Exception) -> bool:
    """Whether there is no such object or bucket."""
    return code_of(error) in _MISSING_CODES


def is_transient(error: Exception) -> bool:
    """Whether it may work later."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        status = status_of(error)
        if is_licence(error) or status in _FOR_GOOD:
            return False
        return status >= 500 or status == 429 or code_of(error) in _TRANSIENT_CODES
    # No connection, a lost one, none in time; a body that broke off or does not fit to its checksum.
    return isinstance(
        error,
        (
            exceptions.ConnectionError,
            exceptions.HTTPClientError,
            exceptions.IncompleteReadError,
            exceptions.ResponseStreamingError,
            exceptions.ReadTimeoutError,
            exceptions.FlexibleChecksumError,
        ),
    )


def is_licence(error: Exception) -> bool:
    """Whether LocalStack wants a token."""
    text = str(error).lower()
    return any(word in text for word in _LICENCE_WORDS)


def refused(error: Exception, what: str) -> LocalAmlError:
    """Our error for a request that was refused for good."""
    if isinstance(error, LocalAmlError):
        return error
    if is_licence(error):
        return FailedPrecondition(
            "LOCALSTACK_TOKEN_MISSING",
            f"LocalStack wants a token: start it with LOCALSTACK_AUTH_TOKEN, or use another version of it or another "
            f"cloud (--cloud moto). It said: {str(error)[:300]}",
        )
    if status_of(error) == 507:
        return disk_full()
    if status_of(error) in (401, 403):
        return PermissionDenied(
            "OBJECT_STORE_DENIED", f"The object store does not let LocalAML {what}: {code_of(error)} {error}."
        )
    return FailedPrecondition("OBJECT_STORE_REFUSED", f"The object store did not {what}: {str(error)[:500]}")
