"""The Docker engine's API: blocking calls of docker-py made in threads, its errors turned into ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from localaml.errors import FailedPrecondition, Internal, LocalAmlError, NotFound, Unavailable

if TYPE_CHECKING:
    from docker import DockerClient

_T = TypeVar("_T")
# Pulls and builds hold a thread for minutes; everything else for milliseconds.
_THREADS = 32
# Longest silence of the engine in one answer. A stop of a container answers after its grace.
_ANSWER_SECONDS = 120


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine says of itself: memory in bytes."""

    version: str
    storage_driver: str
    cgroup_version: str
    operating_system: str
    cpus: int
    memory_bytes: int
    has_nvidia_runtime: bool


class Engine:
    """A Docker engine. Nothing is connected, or imported, before the first call.

    Args:
        host: its address (``unix:///var/run/docker.sock``); empty for what the environment says (``DOCKER_HOST``).
    """

    def __init__(self, host: str = "") -> None:
        self._host = host
        self._client: DockerClient | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def call(self, work: Callable[[DockerClient], _T]) -> _T:
        """The result of `work`, done in a thread. A cancelled caller does not stop it.

        Raises:
            Unavailable: ``DOCKER_ENGINE_UNAVAILABLE``: nothing answers, or what answers breaks off.
            NotFound: ``DOCKER_NOT_FOUND``: what `work` asked for is not there.
            FailedPrecondition: ``DOCKER_ERROR`` with the engine's reason; ``DOCKER_PACKAGE_MISSING``.
        """
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.call_here, work)

    def call_here(self, work: Callable[[DockerClient], _T]) -> _T:
        """As `call`, in this thread."""
        client = self._connected()
        try:
            return work(client)
        except LocalAmlError:
            raise
        except Exception as error:
            translated = _translated(error)
            if translated is None:
                raise
            raise translated from error

    async def facts(self, timeout_seconds: float) -> EngineFacts:
        """What the engine says of itself. Raises as `call` does, also when no answer comes in time."""
        try:
            return await asyncio.wait_for(self.call(_facts), timeout_seconds)
        except asyncio.TimeoutError:
            raise _unavailable(f"it did not answer within {timeout_seconds:g} seconds") from None

    def close(self) -> None:
        """Lets go of connections and threads; calls that go on end by themselves."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> DockerClient:
        client = self._client
        if client is None:
            try:
                import docker
            except ImportError as error:
                raise FailedPrecondition(
                    "DOCKER_PACKAGE_MISSING",
                    "Nodes as containers need the Python package `docker`: pip install 'localaml[docker]'.",
                ) from error
            arguments: dict[str, Any] = {"timeout": _ANSWER_SECONDS, "max_pool_size": _THREADS}
            try:
                if self._host:
                    client = docker.DockerClient(base_url=self._host, **arguments)
                else:
                    client = docker.from_env(**arguments)
            except Exception as error:
                raise _translated(error) or _unavailable(str(error)) from error
            self._client = client
        return client


def _facts(client: DockerClient) -> EngineFacts:
    info = client.info()
    return EngineFacts(
        version=str(info.get("ServerVersion", "")),
        storage_driver=str(info.get("Driver", "")),
        cgroup_version=str(info.get("CgroupVersion", "")),
        operating_system=str(info.get("OperatingSystem", "")),
        cpus=int(info.get("NCPU", 1)),
        memory_bytes=int(info.get("MemTotal", 0)),
        has_nvidia_runtime="nvidia" in (info.get("Runtimes") or {}),
    )


def _translated(error: Exception) -> LocalAmlError | None:
    import docker.errors
    import requests.exceptions
    import urllib3.exceptions

    if isinstance(error, docker.errors.NotFound):
        return NotFound("DOCKER_NOT_FOUND", _explanation(error))
    if isinstance(error, docker.errors.APIError):
        return FailedPrecondition("DOCKER_ERROR", f"The Docker engine refused: {_explanation(error)}")
    lost = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)
    if isinstance(error, lost):
        return _unavailable(_innermost(error))
    if isinstance(error, docker.errors.DockerException):
        # The first call finds out whether anything answers, and wraps what it met.
        return _unavailable(_innermost(error)) if error.__context__ else Internal("DOCKER_ERROR", str(error))
    return None


def _explanation(error: Any) -> str:
    return str(error.explanation or error).strip().rstrip(".") + "."


def _innermost(error: BaseException) -> str:
    """The cause at the bottom, without the layers that each library wraps around it."""
    while error.__context__ is not None:
        error = error.__context__
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _unavailable(why: str) -> Unavailable:
    return Unavailable(
        "DOCKER_ENGINE_UNAVAILABLE",
        f"The Docker engine cannot be reached ({why}). Is it installed and running, and may this user talk to it? "
        "`docker info` tells; DOCKER_HOST names another engine.",
    )
