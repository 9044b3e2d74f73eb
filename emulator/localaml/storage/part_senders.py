"""Threads that send parts of large objects, for all writers of a store together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

# Each holds a part in memory. Where answers take long a few at a time are several times faster than one.
_AT_A_TIME = 6


class PartSenders:
    """Sends parts beside their writer while there is a thread for that, else in the writer's own.

    So memory is bounded whatever the number of writers, and none waits for another.
    """

    def __init__(self, at_a_time: int = _AT_A_TIME) -> None:
        self._free = threading.Semaphore(at_a_time)
        self._threads = ThreadPoolExecutor(at_a_time, thread_name_prefix="object-parts")

    def send(self, action: Callable[[], Any]) -> Future[Any]:
        """Begins one; where no thread is free it is over on return."""
        if not self._free.acquire(blocking=False):
            return _here(action)

        def send() -> Any:
            try:
                return action()
            finally:
                self._free.release()

        try:
            future = self._threads.submit(send)
        except BaseException:
            self._free.release()
            raise
        future.add_done_callback(self._unless_begun)
        return future

    def _unless_begun(self, future: Future[Any]) -> None:
        if future.cancelled():
            self._free.release()

    def close(self) -> None:
        """Waits for what is under way. Idempotent."""
        self._threads.shutdown(wait=True)


def _here(action: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(action())
    except BaseException as error:
        future.set_exception(error)
    return future
