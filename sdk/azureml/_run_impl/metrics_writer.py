"""Sends metrics in the background.

`append` only puts a record into a list in memory. A daemon thread takes what has come together and sends it in
columns: the first record after a pause at once, then at most one batch per `_PAUSE_SECONDS`. So a process that dies
without a word (SIGKILL, `os._exit`) loses only what was logged in the last moments. Batches carry a writer's id and
a number; one that is sent again counts once.

There is one writer per emulator and run in a process, however many Run objects there are, so that the records of one
metric keep their order. What is left is sent when the process exits.

A child of `multiprocessing` can be ended at any moment after it has given its result (`Pool.terminate`, the end of
`with Pool()`, a daemon's parent that exits). So there a record is at the emulator when `append` returns.
"""

import atexit
import importlib
import os
import sys
import threading
import time
from collections import deque
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Tuple

from azureml._localaml.forks import in_child_after_fork
from azureml._run_impl.metric_values import PLAIN_TYPES, encode_scalar
from azureml._run_impl.transient import may_pass

# (type, name, description, value or its JSON text, seconds since the epoch, step). Text stands for itself only in
# scalars.
Record = Tuple[str, str, str, Any, float, Optional[int]]

MAX_RECORDS = 500000  # about 100 MB; `append` waits when so many are unsent
_MAX_BATCH_RECORDS = 10000
_MAX_BATCH_BYTES = 2500000
_PAUSE_SECONDS = 0.05
_IDLE_SECONDS = 5.0
# For how long a process waits at its end for an emulator that does not answer. In a job the calls themselves are
# repeated for so long.
_EXIT_SECONDS = 10.0
_EXIT_SECONDS_IN_JOB = 125.0
# For how long a record of a multiprocessing child is waited for. Then the emulator is taken to be away, and nothing is
# waited for until it has taken something again.
_THROUGH_SECONDS = 2.0


class Encoded(NamedTuple):
    """A value that was written as JSON when it was logged, because it can change afterwards."""

    json: str


class MetricsWriter:
    """The writer of one run. `append` may be called from any thread.

    Args:
        client: the emulator's client.
        run_name: the run's full resource name.
    """

    def __init__(self, client: Any, run_name: str) -> None:
        self._client = client
        self._run_name = run_name
        self._reset()

    def _reset(self) -> None:
        self._records: Deque[Record] = deque()
        self._writer_id = os.urandom(16).hex()
        self._batch_number = 0
        self._pending: Deque[Dict[str, Any]] = deque()
        self._wake = threading.Condition()
        self._room = threading.Condition()
        self._sending = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._sleeping = True
        self._refusal: Optional[BaseException] = None
        self._warned = False
        self._failed_at = 0.0
        # Whether records are waited for: in a multiprocessing child, while the emulator answers.
        self._through = False
        self._is_child = False

    def append(self, record: "Record") -> None:
        """Takes a record; it is on its way when this returns, in a multiprocessing child at the emulator. Else waits
        only when MAX_RECORDS are unsent."""
        records = self._records
        records.append(record)
        if self._sleeping:
            self._start()
        elif len(records) >= MAX_RECORDS:
            self._wait_for_room()
        if self._through:
            self._wait_for_delivery()

    def flush(self, timeout_seconds: float) -> None:
        """Returns when everything appended before is at the emulator.

        Raises:
            AzureMLException: it was refused, or the emulator did not answer in time.
        """
        if not self._drain(timeout_seconds):
            from azureml.exceptions import AzureMLException

            raise AzureMLException(
                "{} metric records were not sent within {:g} seconds.".format(self._unsent(), timeout_seconds)
            )
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal

    def close(self, timeout_seconds: float) -> None:
        """Sends what is left; says on stderr what could not be sent. For the end of the process."""
        if not (self._records or self._pending or self._sending.locked()):
            return
        why = "the emulator did not answer in time"
        try:
            if self._drain(timeout_seconds):
                return
        except Exception as error:
            why = _text(error)
        self._warned = False
        self._warn("{} records are lost: {}".format(self._unsent(), why))

    def after_fork(self) -> None:
        """In a forked child: what is in memory here is the parent's to send."""
        self._reset()

    def _unsent(self) -> int:
        pending = sum(len(series["valuesJson"]) for request in list(self._pending) for series in request["series"])
        return len(self._records) + pending

    def _start(self) -> None:
        with self._wake:
            if not self._sleeping:
                return
            self._sleeping = False
            if self._thread is not None:
                self._wake.notify()
                return
            thread = threading.Thread(target=self._run, name="azureml-metrics", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down: `close` sends
                self._sleeping = True
                return
            self._thread = thread
            if not self._is_child and _in_multiprocessing_child():
                self._is_child = self._through = True
                _close_with_child(self)

    def _run(self) -> None:
        pause = 0.1
        while True:
            try:
                with self._sending:
                    self._send(len(self._records))
                self._tell_waiting()
                pause = 0.1
            except Exception as error:  # kept and tried again: the emulator may come back
                self._warn("{} Trying again.".format(_text(error)))
                time.sleep(pause)
                pause = min(2 * pause, 5.0)
                continue
            if not self._through:
                time.sleep(_PAUSE_SECONDS)
            with self._wake:
                self._sleeping = True
                # A record that came before `_sleeping` was set is seen here; a later one finds `_sleeping` and wakes.
                if self._records:
                    self._sleeping = False
                elif self._wake.wait_for(self._is_awake, _IDLE_SECONDS):
                    pass
                else:
                    self._thread = None
                    return

    def _is_awake(self) -> bool:
        return not self._sleeping

    def _drain(self, timeout_seconds: float) -> bool:
        """Sends from this thread. Whether all is sent; an error of sending is raised and the records stay."""
        start = time.monotonic()
        if not self._sending.acquire(timeout=max(0.0, timeout_seconds)):
            return False
        try:
            if self._failed_at > start:
                return False  # tried, with all its repetitions, while this thread waited
            left = len(self._records)
            while (left > 0 and self._records) or self._pending:
                if time.monotonic() > start + timeout_seconds:
                    return False
                left -= self._send(min(left, _MAX_BATCH_RECORDS))
        finally:
            self._sending.release()
            self._tell_waiting()
        return True

    def _send(self, most: int) -> int:
        """Sends up to `most` records in batches; returns how many were taken off the queue. Holds `_sending`."""
        taken = 0
        while True:
            if not self._pending:
                if taken >= most:
                    return taken
                request, count = self._next_batch(min(most - taken, _MAX_BATCH_RECORDS))
                if not count:
                    return taken
                self._pending.append(request)
                taken += count
            self._deliver_first()
            with self._room:
                self._through = self._is_child
                self._room.notify_all()

    def _deliver_first(self) -> None:
        """Sends the first of `_pending`. It stays there when it is to be sent again: then the error is raised."""
        request = self._pending[0]
        try:
            self._client.call("MetricService", "LogMetrics", request)
        except Exception as error:
            if may_pass(error):
                self._failed_at = time.monotonic()
                raise
            if getattr(error, "grpc_code", "") == "INVALID_ARGUMENT" and len(request["series"]) > 1:
                # Batches are taken as a whole or not at all: one bad record must not cost the others.
                self._pending.popleft()
                parts = [dict(request, series=[one], batchNumber=self._next_number()) for one in request["series"]]
                self._pending.extendleft(reversed(parts))
                return
            # Sent again it would be refused again (the run has ended, the token is void): give it up, aloud.
            self._refusal = error
            self._warn(_text(error))
        self._pending.popleft()

    def _next_number(self) -> str:
        self._batch_number += 1
        return str(self._batch_number)

    def _next_batch(self, most: int) -> Tuple[Dict[str, Any], int]:
        records, size, count = self._records, 0, 0
        columns: Dict[Tuple[str, str, str, bool], Tuple[List[str], List[int], List[int]]] = {}
        while count < most and size < _MAX_BATCH_BYTES and records:
            kind, name, description, value, seconds, step = records.popleft()
            count += 1
            text = encode_scalar(value) if type(value) in PLAIN_TYPES else value.json
            size += len(text) + 48
            key = (name, kind, description, step is not None)
            column = columns.get(key)
            if column is None:
                column = columns[key] = ([], [], [])
            column[0].append(text)
            column[1].append(int(seconds * 1e6))
            if step is not None:
                column[2].append(step)
        series: List[Dict[str, Any]] = []
        for (name, kind, description, _), (values, times, steps) in columns.items():
            one: Dict[str, Any] = {"name": name, "type": kind, "valuesJson": values, "timesMicros": times}
            if steps:
                one["steps"] = steps
            if description:
                one["description"] = description
            series.append(one)
        request = {
            "parent": self._run_name,
            "series": series,
            "writerId": self._writer_id,
            "batchNumber": self._next_number() if count else "0",
        }
        return request, count

    def _wait_for_delivery(self) -> None:
        with self._room:
            if not self._room.wait_for(self._is_idle, _THROUGH_SECONDS):
                self._through = False

    def _is_idle(self) -> bool:
        # While a batch is put together it is in neither list, but the lock is held.
        return not (self._records or self._pending or self._sending.locked())

    def _tell_waiting(self) -> None:
        with self._room:
            self._room.notify_all()

    def _wait_for_room(self) -> None:
        with self._room:
            self._room.wait_for(lambda: len(self._records) < MAX_RECORDS, _EXIT_SECONDS_IN_JOB)
        dropped = 0
        while len(self._records) > MAX_RECORDS:
            self._records.popleft()
            dropped += 1
        if dropped:
            self._warn("{} old records were dropped".format(dropped))

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            print(
                "LocalAML: metrics of run {}: {}".format(self._run_name.split("/")[-1], why),
                file=sys.stderr,
            )


def _text(error: BaseException) -> str:
    return str(getattr(error, "message", "") or error)


def _in_multiprocessing_child() -> bool:
    multiprocessing = sys.modules.get("multiprocessing")
    return multiprocessing is not None and getattr(multiprocessing.current_process(), "_parent_pid", None) is not None


def _close_with_child(writer: "MetricsWriter") -> None:
    """A child that multiprocessing forked ends without atexit; it has a list of its own for what is to be done at
    the end."""
    from multiprocessing.util import Finalize

    Finalize(None, writer.close, args=(_EXIT_SECONDS,), exitpriority=0)


def _load_what_sending_needs(client: Any) -> None:
    """Here, in the caller's thread: a fork while another thread is importing leaves the child with half a module."""
    from azureml._localaml.transport_http import load_for

    load_for(client.endpoint.http_address)
    importlib.import_module("azureml.exceptions")


class _Writers:
    """All writers of this process: an exit and a fork happen to a process, not to a Run object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writers: Dict[Tuple[int, str], MetricsWriter] = {}

    def get(self, client: Any, run_name: str) -> "MetricsWriter":
        _load_what_sending_needs(client)
        key = (id(client), run_name)  # the writer keeps its client, so the id stays this client's
        writer = self._writers.get(key)
        if writer is None:
            with self._lock:
                writer = self._writers.get(key)
                if writer is None:
                    if not self._writers:
                        atexit.register(self.close)
                    writer = self._writers[key] = MetricsWriter(client, run_name)
        return writer

    def close(self) -> None:
        in_job = bool(os.environ.get("AZUREML_RUN_TOKEN"))
        deadline = time.monotonic() + (_EXIT_SECONDS_IN_JOB if in_job else _EXIT_SECONDS)
        for writer in list(self._writers.values()):
            writer.close(max(0.0, deadline - time.monotonic()))

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        for writer in self._writers.values():
            writer.after_fork()


_writers = _Writers()
in_child_after_fork(_writers.after_fork)


def metrics_writer(client: Any, run_name: str) -> "MetricsWriter":
    """The process's writer for a run."""
    return _writers.get(client, run_name)


def flush_if_any(client: Any, run_name: str, timeout_seconds: float) -> None:
    """Flushes the run's writer when there is one. Raises as `MetricsWriter.flush`."""
    writer = _writers._writers.get((id(client), run_name))
    if writer is not None:
        writer.flush(timeout_seconds)
