"""Long calls of the engine that end when their caller is cancelled.

A thread that waits for the engine's next word cannot be cancelled; but it wakes up when its connection is shut down,
and the engine in turn ends a pull or a build whose client is gone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from docker import DockerClient
    from requests import Response

    from localaml.compute.docker.engine import Engine

_T = TypeVar("_T")


class Interrupted(Exception):
    """The caller of a long call is gone. Nobody gets to see it."""


class Interruption:
    """Tells a thread that its work is not wanted any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._responses: list[Response] = []

    def check(self) -> None:
        """Raises Interrupted when it is so."""
        if self._stopped:
            raise Interrupted

    @contextmanager
    def reading(self, response: Response) -> Iterator[None]:
        """While the thread reads this answer, it can be woken up. The answer is closed at the end."""
        with self._lock:
            self._responses.append(response)
        try:
            self.check()
            yield
            self.check()
        except Interrupted:
            raise
        except Exception:
            # What a connection says that was shut down on purpose means nothing.
            self.check()
            raise
        finally:
            with self._lock:
                self._responses.remove(response)
            response.close()

    def stop(self) -> None:
        """Wakes up the thread."""
        from docker.types import CancellableStream

        with self._lock:
            self._stopped = True
            for response in self._responses:
                # It may have come to its end in this moment.
                with suppress(Exception):
                    CancellableStream(iter(()), response).close()


async def interruptible(engine: Engine, work: Callable[[DockerClient, Interruption], _T], *, wait: bool = True) -> _T:
    """As `Engine.call`, for work that takes long.

    Args:
        wait: a cancelled call waits until `work` has ended; else it leaves it to end by itself. For work that has
            something to put away.
    """
    interruption = Interruption()
    task = asyncio.ensure_future(engine.call(lambda client: work(client, interruption)))
    # Also when nobody is there any more to look at it.
    task.add_done_callback(_looked_at)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        interruption.stop()
        while wait and not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


def post(client: DockerClient, path: str, params: Mapping[str, Any], **arguments: Any) -> Response:
    """A request whose answer is read as it comes, without a limit of time.

    Raises:
        docker.errors.APIError: the engine refuses.
    """
    from docker.errors import create_api_error_from_http_exception
    from requests.exceptions import HTTPError

    api = client.api
    address = f"{api.base_url}/v{api.api_version}{path}"
    response = api.post(address, params=dict(params), stream=True, timeout=None, **arguments)
    try:
        response.raise_for_status()
    except HTTPError as error:
        create_api_error_from_http_exception(error)
    return response


def _looked_at(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
