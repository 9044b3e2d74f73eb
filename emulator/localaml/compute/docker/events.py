"""What the engine tells of containers and networks, for as long as it is there."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from localaml.errors import LocalAmlError

if TYPE_CHECKING:
    from docker.types import CancellableStream

    from localaml.compute.docker.engine import Engine

_LOG = logging.getLogger(__name__)
# After the engine has gone, it is looked for this often, in seconds: first, and at last.
_FIRST_LOOK, _LAST_LOOK = 0.25, 5.0


class EngineEvents:
    """Listens in a thread of its own; all callbacks are called in the event loop.

    Args:
        happened: called with each event (Docker's own form: ``Type``, ``Action``, ``Actor``).
        connected: called each time that listening has begun: what happened before it has to be looked up.
    """

    def __init__(
        self, engine: Engine, happened: Callable[[Mapping[str, Any]], None], connected: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._happened = happened
        self._connected = connected
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self._stream: CancellableStream[Any] | None = None
        self._thread = threading.Thread(target=self._listen, name="docker-events", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Ends the thread."""
        self._stopped.set()
        if self._stream is not None:
            with suppress(Exception):
                self._stream.close()
        await asyncio.to_thread(self._thread.join)

    def _listen(self) -> None:
        pause = _FIRST_LOOK
        while not self._stopped.is_set():
            try:
                self._stream = self._engine.call_here(
                    lambda client: client.api.events(decode=True, filters={"type": ["container", "network"]})
                )
                pause = _FIRST_LOOK
                self._tell(self._connected)
                for event in self._stream:
                    self._tell(self._happened, event)
            except LocalAmlError as error:
                _LOG.debug("the engine's events: %s", error)
            except Exception as error:
                # The stream breaks off in many ways when the engine goes.
                _LOG.debug("the engine's events broke off: %s", error)
            self._stopped.wait(pause)
            pause = min(2 * pause, _LAST_LOOK)

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        # The loop may be closed by now: nobody listens any more then.
        with suppress(RuntimeError):
            if not self._stopped.is_set():
                self._loop.call_soon_threadsafe(callback, *arguments)
