"""The clouds that speak S3: moto in this process, LocalStack, and any endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from localaml.errors import FailedPrecondition, LocalAmlError
from localaml.storage.clouds import Cloud
from localaml.storage.s3 import S3Store
from localaml.storage.s3_client import TEST_KEY, S3Account
from localaml.storage.s3_errors import code_of, is_licence, is_transient, refused, status_of

if TYPE_CHECKING:
    from localaml.settings import StorageSettings

_LOCALSTACK_HINT = (
    "Start it, and say where it is with LOCALSTACK_HOST=host:port (default localhost:4566). A container of it that "
    "ends at once with exit code 55 wants a token: give it LOCALSTACK_AUTH_TOKEN, or take --cloud moto."
)


def open_s3_cloud(settings: StorageSettings, kept: Mapping[str, str]) -> Cloud:
    """Opens a cloud. Raises FailedPrecondition as `clouds.open_cloud`."""
    if settings.cloud == "moto":
        return _moto(settings, kept)
    if settings.cloud == "localstack":
        endpoint = localstack_endpoint()
        account = S3Account(endpoint, settings.s3_region, TEST_KEY, TEST_KEY)
        hint = _LOCALSTACK_HINT
        variables = _test_variables(account)
    else:
        account = S3Account(settings.s3_endpoint, settings.s3_region)
        hint = "Look at --s3-endpoint, and whether it serves."
        # Never the credentials of whoever runs the emulator: a job that needs some gets them from its own definition.
        variables = {"AWS_DEFAULT_REGION": account.region}
        if account.endpoint:
            variables["AWS_ENDPOINT_URL_S3"] = account.endpoint
    check_reachable(account, hint)
    store = S3Store(account, patience_seconds=settings.store_patience_seconds)
    record = {"cloud": settings.cloud, "endpoint": account.endpoint or f"AWS {account.region}"}
    return Cloud(store, record, variables, store.close)


def _moto(settings: StorageSettings, kept: Mapping[str, str]) -> Cloud:
    from localaml.storage.moto_cloud import MotoCloud

    # The port of last time, so that jobs which go on find it; else any.
    last = int(kept.get("port", "0")) if kept.get("port", "0").isdigit() else 0
    try:
        server = MotoCloud(settings.moto_port or last, settings.moto_limit_bytes)
    except FailedPrecondition as error:
        if error.reason != "PORT_IN_USE" or settings.moto_port:
            raise
        server = MotoCloud(0, settings.moto_limit_bytes)
    account = S3Account(server.endpoint, settings.s3_region, TEST_KEY, TEST_KEY)
    try:
        store = S3Store(account, patience_seconds=settings.store_patience_seconds)
    except BaseException:
        server.close()
        raise

    def close() -> None:
        store.close()
        server.close()

    record = {"cloud": "moto", "endpoint": account.endpoint or "", "port": str(server.port)}
    return Cloud(store, record, _test_variables(account), close)


def localstack_endpoint() -> str:
    """Where LocalStack's S3 is, by the conventions of its client. Raises FailedPrecondition."""
    try:
        from localstack_client import config
    except ImportError:
        raise FailedPrecondition(
            "EXTRA_MISSING",
            "--cloud localstack needs localstack-client: install it with pip install 'localaml[localstack]'.",
        ) from None
    try:
        return str(config.get_service_endpoint("s3"))
    except RuntimeError as error:
        raise FailedPrecondition("CLOUD_NOT_REACHABLE", f"LOCALSTACK_HOST: {error}. {_LOCALSTACK_HINT}") from None


def check_reachable(account: S3Account, hint: str) -> None:
    """Asks once, so that what is wrong is told at the start.

    Raises FailedPrecondition ``CLOUD_NOT_REACHABLE``, ``LOCALSTACK_TOKEN_MISSING``, ``S3_CREDENTIALS_MISSING``,
    PermissionDenied ``OBJECT_STORE_DENIED``.
    """
    client = account.client()
    try:
        client.list_buckets(MaxBuckets=1)
    except LocalAmlError:
        raise
    except Exception as error:
        if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
            raise FailedPrecondition(
                "S3_CREDENTIALS_MISSING",
                "There are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile.",
            ) from None
        if is_licence(error):
            raise refused(error, "list buckets") from error
        if is_transient(error):
            raise FailedPrecondition(
                "CLOUD_NOT_REACHABLE",
                f"No S3 answers properly at {account.endpoint or 'AWS'} ({str(error)[:300]}). {hint}",
            ) from None
        # Whoever may use a bucket need not be allowed to list all of them.
        if status_of(error) != 403 or code_of(error) in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
            raise refused(error, "list buckets") from error
    finally:
        client.close()


def _test_variables(account: S3Account) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_S3": account.endpoint or "",
        "AWS_ACCESS_KEY_ID": TEST_KEY,
        "AWS_SECRET_ACCESS_KEY": TEST_KEY,
        "AWS_DEFAULT_REGION": account.region,
    }
