"""Where an S3 is, and who we are there. The only file that makes boto3 clients."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from localaml.errors import FailedPrecondition
from localaml.storage.endpoints import has_secrets, without_secrets

if TYPE_CHECKING:
    from types import ModuleType

# What mock clouds take from everybody.
TEST_KEY = "test"
_CONNECT_SECONDS = 5
_READ_SECONDS = 60
_CONNECTIONS = 48


@dataclass(frozen=True, slots=True)
class S3Account:
    """An S3 endpoint.

    Attributes:
        endpoint: its URL; None: Amazon's own, for the region.
        access_key, secret_key: None: the usual chain (variables, profile, instance).
        read_seconds: how long the next bytes of an answer may take.
    """

    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    read_seconds: float = _READ_SECONDS

    def client(self) -> Any:
        """A boto3 client. Raises FailedPrecondition ``EXTRA_MISSING``, ``S3_ENDPOINT_INVALID``."""
        if has_secrets(self.endpoint or ""):
            raise FailedPrecondition(
                "S3_ENDPOINT_INVALID",
                f"The endpoint {without_secrets(self.endpoint or '')!r} was given with a user, a password or a query: "
                "leave them out; credentials come from the usual AWS chain.",
            )
        boto3 = import_boto3()
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "max_attempts": 3},
            # Bucket names with dots fit no certificate, and a mock cloud has no names for its buckets.
            s3={"addressing_style": "path" if self.endpoint else "auto"},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=self.read_seconds,
            max_pool_connections=_CONNECTIONS,
            request_checksum_calculation="when_supported",
            response_checksum_validation="when_supported",
            user_agent_extra="localaml",
            # What is on this machine is not asked for through a proxy.
            proxies={} if is_loopback(self.endpoint) else None,
        )
        try:
            return boto3.session.Session().client(
                "s3",
                endpoint_url=self.endpoint,
                region_name=self.region,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                config=config,
            )
        except ValueError as error:
            raise FailedPrecondition("S3_ENDPOINT_INVALID", f"{self.endpoint!r} is no endpoint: {error}.") from None


def import_boto3() -> ModuleType:
    """boto3, which is an extra. Raises FailedPrecondition ``EXTRA_MISSING``."""
    try:
        import boto3
    except ImportError:
        raise FailedPrecondition(
            "EXTRA_MISSING", "Object stores on S3 need boto3: install it with pip install 'localaml[s3]'."
        ) from None
    return boto3  # type: ignore[no-any-return]


def is_loopback(endpoint: str | None) -> bool:
    """Whether an endpoint is this machine."""
    host = urlsplit(endpoint or "").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
