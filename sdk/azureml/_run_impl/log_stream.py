"""Following a run and its logs until it has ended.

Two streams of the emulator feed one queue: the run's changes (`WatchRun`), and the bytes of the log that is shown
(`ReadRunLog`). The log shown is the one with the highest two-digit number, rank 0 or worker 0 first; when a higher one
appears it takes over. Both streams are opened again where they stopped when the emulator was restarted.
"""

import base64
import codecs
import queue
import re
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from azureml._localaml.errors import ConnectionFailed
from azureml._run_impl.absence import Absence
from azureml._run_impl.screen import Screen
from azureml._run_impl.states import TERMINAL, state_of
from azureml._run_impl.transient import may_pass

if TYPE_CHECKING:
    from azureml._localaml.client import Client
    from azureml._localaml.transport import Stream

_NUMBERED = re.compile(r"azureml-logs/(\d\d).+\.txt$")
_PRIMARY = re.compile(r"_(?:rank|worker)_0\.txt$")
_SECONDARY = re.compile(r"_(?:rank|worker|ps)_(\d+)\.txt$")
# What a sweep tells of itself; its only log.
_SWEEP_LOG = "azureml-logs/hyperdrive.txt"
_DRIVER_LOGS = 70  # from this number on nothing higher is to come
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 1.0
# Seconds without any answer after which following is given up, and between attempts.
_GIVE_UP_SECONDS = 120.0
_RETRY_SECONDS = 0.25
# Seconds that the rest of a log may take after the run has ended.
_REST_SECONDS = 60.0
_MOST_REST_BYTES = 16384


def watch_run(
    client: "Client", run_name: str, note: "Optional[Callable[[Stream], None]]" = None
) -> Iterator[Dict[str, Any]]:
    """The run's record now and after each change, the last one in a terminal state. `note` gets each stream that is
    opened, so that another thread can close it.

    Raises:
        AzureMLException: the emulator refused, or did not answer for two minutes.
    """
    from azureml.exceptions import AzureMLException

    silent_since: Optional[float] = None
    absence = Absence(run_name, _GIVE_UP_SECONDS)
    while True:
        try:
            with client.stream("RunService", "WatchRun", {"name": run_name}) as stream:
                if note is not None:
                    note(stream)
                for run in stream:
                    silent_since = None
                    absence.answered()
                    yield run
                    if state_of(run) in TERMINAL:
                        return
            failure: Exception = ConnectionFailed("the emulator ended the stream")
        except ConnectionFailed as error:
            failure = error
        except AzureMLException as error:
            if not may_pass(error):
                raise
            failure = error
        absence.failed(failure)
        now = time.monotonic()
        silent_since = now if silent_since is None else silent_since
        if now - silent_since > _GIVE_UP_SECONDS:
            raise AzureMLException("The run cannot be followed: {}".format(failure)) from failure
        time.sleep(_RETRY_SECONDS)
        client.look_again()


def worth_showing(logs: Iterable[Mapping[str, Any]]) -> List[str]:
    """The names of logs that have, or will have, something to say: what the service writes beside the script's output
    (56_batchai_stderr.txt) is often empty for good."""
    names = []
    for entry in logs:
        name = entry.get("path", "")
        empty = str(entry.get("sizeBytes", "")) == "0"  # an emulator of before tells no sizes
        if not empty or _number(name) >= _DRIVER_LOGS:
            names.append(name)
    return names


def primary_log(names: Iterable[str]) -> Optional[str]:
    """The log to show: the highest two-digit number; of several processes' logs the first rank's or worker's."""
    best: Optional[Tuple[int, int, int]] = None
    chosen: Optional[str] = None
    for name in sorted(names):
        if name == _SWEEP_LOG:
            return name
        match = _NUMBERED.match(name)
        if not match:
            continue
        process = _SECONDARY.search(name)
        rank = (
            int(match.group(1)),
            1 if not process or _PRIMARY.search(name) else 0,
            -int(process.group(1)) if process else 0,
        )
        if best is None or rank > best:
            best, chosen = rank, name
    return chosen


class _LogReader:
    """Reads one log into the queue in a thread of its own."""

    def __init__(self, client: "Client", run_name: str, log_name: str, events: "queue.Queue[Any]") -> None:
        self.log_name = log_name
        self._client = client
        self._run_name = run_name
        self._events = events
        self._stopped = threading.Event()
        self._stream: Optional[Stream] = None
        threading.Thread(target=self._run, name="azureml-log-reader", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def _run(self) -> None:
        offset = 0
        silent_since: Optional[float] = None
        while not self._stopped.is_set():
            try:
                request = {"name": self._run_name, "logName": self.log_name, "offset": str(offset), "follow": True}
                with self._client.stream("RunService", "ReadRunLog", request) as stream:
                    self._stream = stream
                    for message in stream:
                        silent_since = None
                        data = base64.b64decode(message.get("data") or "")
                        known = offset - int(message.get("offset") or 0)
                        if known > 0:
                            data = data[known:]
                        offset += len(data)
                        if data and not self._put("data", data):
                            return
                self._put("end", None)
                return
            except ConnectionFailed:
                pass
            except Exception as error:
                if not may_pass(error):
                    self._put("end", error)
                    return
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > _GIVE_UP_SECONDS:
                self._put("end", None)
                return
            self._stopped.wait(_RETRY_SECONDS)
            self._client.look_again()

    def _put(self, kind: str, value: Any) -> bool:
        while not self._stopped.is_set():
            try:
                self._events.put((kind, self, value), timeout=1.0)
                return True
            except queue.Full:
                continue
        return False


class OutputStreamer:
    """Shows a run's logs until it has ended.

    Args:
        write: gets the text; default: to `sys.stdout`, at once, on a terminal as harmless text.
    """

    def __init__(self, client: "Client", run_name: str, write: Optional[Callable[[str], None]] = None) -> None:
        self._client = client
        self._run_name = run_name
        self._write = write or Screen()
        self._events: queue.Queue[Any] = queue.Queue(64)
        self._watch_stream: Optional[Stream] = None
        self._reader: Optional[_LogReader] = None
        self._decoder = _new_decoder()
        self._shown = 0
        self._done = False

    def run(self) -> Dict[str, Any]:
        """Shows the logs; returns the run's last record."""
        threading.Thread(target=self._watch, name="azureml-run-watcher", daemon=True).start()
        try:
            return self._loop()
        finally:
            self._done = True
            for closable in (self._watch_stream, self._reader):
                if closable is not None:
                    (closable.stop if isinstance(closable, _LogReader) else closable.close)()

    def _loop(self) -> Dict[str, Any]:
        last: Optional[Dict[str, Any]] = None
        reading = False
        look = _FIRST_LOOK
        next_look: Optional[float] = None
        while True:
            ended = last is not None and state_of(last) in TERMINAL
            if ended and not reading:
                assert last is not None
                return last
            if ended:
                wait: Optional[float] = _REST_SECONDS
            else:
                wait = None if next_look is None else max(0.0, next_look - time.monotonic())
            try:
                kind, source, value = self._events.get(timeout=wait)
            except queue.Empty:
                if ended:
                    assert last is not None
                    return last
                reading = self._choose_log() or reading
                look = min(2 * look, _LONGEST_LOOK)
                next_look = self._next_look(last, look)
                continue
            if kind == "failed":
                raise value
            if kind == "run":
                last = value
                reading = self._choose_log() or reading
                look = _FIRST_LOOK
                next_look = self._next_look(last, look)
            elif source is self._reader:
                if kind == "data":
                    self._shown += len(value)
                    self._write(self._decoder.decode(value))
                else:
                    reading = False

    def _next_look(self, last: Optional[Dict[str, Any]], look: float) -> Optional[float]:
        """When to look for new logs again. A log appears moments after a change of state, and no later."""
        if last is None or state_of(last) in ("NotStarted", "Queued", "Paused") or state_of(last) in TERMINAL:
            return None
        if self._reader is not None and _number(self._reader.log_name) >= _DRIVER_LOGS:
            return None
        return time.monotonic() + look

    def _choose_log(self) -> bool:
        """Begins with a higher log when there is one; whether it did."""
        try:
            answer = self._client.call("RunService", "ListRunLogs", {"name": self._run_name})
        except Exception as error:
            if not may_pass(error):
                raise
            return False  # the next look, or the run's next change, tries again
        name = primary_log(worth_showing(answer.get("logs") or ()))
        current = self._reader.log_name if self._reader is not None else None
        if name is None or name == current or (current is not None and _number(name) <= _number(current)):
            return False
        if self._reader is not None:
            self._reader.stop()
            self._show_rest(self._reader.log_name)
        heading = "Streaming " + name
        self._write("\n{}\n{}\n\n".format(heading, "=" * len(heading)))
        self._decoder = _new_decoder()
        self._shown = 0
        self._reader = _LogReader(self._client, self._run_name, name, self._events)
        return True

    def _show_rest(self, log_name: str) -> None:
        """What a log that is left for a higher one has got until now; not more of it than a screen or two."""
        request = {"name": self._run_name, "logName": log_name, "offset": str(self._shown)}
        try:
            with self._client.stream("RunService", "ReadRunLog", request) as stream:
                for message in stream:
                    self._write(self._decoder.decode(base64.b64decode(message.get("data") or "")[:_MOST_REST_BYTES]))
                    return
        except Exception:  # the higher log matters more
            return

    def _watch(self) -> None:
        try:
            for run in watch_run(self._client, self._run_name, self._note):
                self._put(("run", None, run))
        except Exception as error:
            self._put(("failed", None, error))

    def _note(self, stream: "Stream") -> None:
        self._watch_stream = stream
        if self._done:
            stream.close()

    def _put(self, event: Any) -> None:
        while not self._done:
            try:
                self._events.put(event, timeout=1.0)
                return
            except queue.Full:
                continue


def _number(log_name: str) -> int:
    if log_name == _SWEEP_LOG:
        return 99
    match = _NUMBERED.match(log_name)
    return int(match.group(1)) if match else -1


def _new_decoder() -> Any:
    return codecs.getincrementaldecoder("utf-8")("replace")
