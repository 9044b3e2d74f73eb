"""What the SDK needs of a connection for control calls. Two of them exist: `transport_grpc` and `transport_http`.

Requests and answers are proto3-JSON objects with lowerCamelCase keys: fields with default values may be absent, enum
values are names, int64 values and times are strings, bytes are base64. `azureml._localaml.wire` helps to read them.
"""

from abc import ABC, abstractmethod
from typing import Any, Dict, Iterator, Optional

JsonObject = Dict[str, Any]

# Seconds after which a call without an answer is given up, when the caller names no limit.
DEFAULT_TIMEOUT_SECONDS = 300.0


class Stream(ABC, Iterator[JsonObject]):
    """The answers of a server-streaming call, one by one. Close it when it is no longer needed."""

    @abstractmethod
    def close(self) -> None:
        """Ends the call. May be called from any thread and more than once; the iteration then stops."""

    def __iter__(self) -> "Stream":
        return self

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()


class Transport(ABC):
    """Calls of one emulator. Safe to use from several threads.

    Raises (all methods):
        ServiceError: the emulator answered with an error.
        ConnectionFailed: it could not be reached, or the connection was lost.
    """

    @abstractmethod
    def call(self, service: str, method: str, request: "JsonObject", timeout: Optional[float] = None) -> "JsonObject":
        """A unary call, e.g. ``call("RunService", "GetRun", {"name": ...})``.

        Args:
            service: short name of a service of `localaml.v1`, or a full name (`localaml.admin.v1.AdminService`).
            timeout: seconds until ServiceError ``DEADLINE_EXCEEDED``.
        """

    @abstractmethod
    def stream(self, service: str, method: str, request: "JsonObject") -> "Stream":
        """A server-streaming call; without a time limit."""

    @abstractmethod
    def close(self) -> None:
        """Gives up all connections."""


def full_service_name(service: str) -> str:
    """`RunService` -> `localaml.v1.RunService`; a name with a dot is full already."""
    return service if "." in service else "localaml.v1." + service
