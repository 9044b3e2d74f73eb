"""Following a cluster: its changes as they happen, and what is printed of them."""

import threading
import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, Optional

from azureml._localaml.errors import ConnectionFailed

if TYPE_CHECKING:
    from azureml._localaml.client import Client


def cluster_changes(client: "Client", name: str, limit: Optional[float]) -> Iterator[Dict[str, Any]]:
    """The cluster now and after each change, as the emulator tells; ends after `limit` seconds.

    Raises:
        ComputeTargetException: reason ``COMPUTE_TARGET_NOT_FOUND``, once it is deleted.
    """
    deadline = None if limit is None else time.monotonic() + limit
    request = {"name": name}
    while True:
        stream = client.stream("ComputeService", "WatchComputeTarget", request)
        timer: Optional[threading.Timer] = None
        if deadline is not None:
            timer = threading.Timer(max(0.0, deadline - time.monotonic()), stream.close)
            timer.daemon = True
            timer.start()
        try:
            yield from stream
        except ConnectionFailed:
            pass  # asked again below, which waits for the emulator to come back
        finally:
            if timer is not None:
                timer.cancel()
            stream.close()
        if deadline is not None and time.monotonic() >= deadline:
            return
        # The stream ends by itself when the cluster is deleted: then this raises.
        yield client.call("ComputeService", "GetComputeTarget", request)


class StatePrinter:
    """Prints a cluster's states the way Azure's SDK does."""

    def __init__(self, show: bool) -> None:
        self._show = show
        self._state = ""
        self._nodes = -1
        self._line_open = False

    def state(self, state: str) -> None:
        if state == self._state:
            self._print(".", False)
        else:
            self._end_line()
            self._state = state
            self._print(state, False)

    def nodes(self, ready: int, wanted: int) -> None:
        if ready and ready != self._nodes:
            self._nodes = ready
            self._end_line()
            self._print("Waiting for cluster to scale. {} out of {} nodes ready.".format(ready, wanted), True)

    def finish(self, text: str) -> None:
        self._end_line()
        if text:
            self._print("AmlCompute wait for completion finished\n\n" + text, True)

    def _end_line(self) -> None:
        if self._line_open:
            self._print("", True)

    def _print(self, text: str, ends_line: bool) -> None:
        if self._show:
            print(text, end="\n" if ends_line else "", flush=True)
        self._line_open = not ends_line
