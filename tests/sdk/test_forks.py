"""Processes that fork while another thread of theirs is in the middle of a call: the child has none of the threads, but
a copy of everything that they hold."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.sdk.fake_server import FakeServer, Refusal
from tests.support.old_pythons import need_python

import azureml.core

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

SDK = Path(azureml.core.__file__).parents[2]
LOG_METRICS = "/localaml.v1.MetricService/LogMetrics"
GET_RUN = "/localaml.v1.RunService/GetRun"
WATCH_RUN = "/localaml.v1.RunService/WatchRun"
# Far longer than any of them takes, far shorter than a test may: a child that waits for a lock does so for ever.
SECONDS = 30

# `reading` is set when a thread has begun to wait for what the server answers: its frames, and the locks of what it
# reads with, are as they are in the middle of a call.
PRELUDE = """
import multiprocessing, os, subprocess, sys, threading
from azureml.core import Run
reading, waits, needed = threading.Event(), [], 1
def notice(frame, event, argument):
    if event == "c_call" and getattr(argument, "__name__", "") in ("recv", "recv_into"):
        waits.append(1)
        if len(waits) == needed:
            reading.set()
threading.setprofile(notice)
run = Run.get_context()
"""
LOG_AND_WAIT = """
run.log("parent", 1)
assert reading.wait(20)
threading.setprofile(None)
"""
FORKS = {
    "multiprocessing": """
child = multiprocessing.get_context("fork").Process(target=run.log, args=("child", 2))
child.start()
child.join()
assert child.exitcode == 0
""",
    "a fork that ends by _exit": """
child = os.fork()
if child == 0:
    run.log("child", 2)
    run.flush(20)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
""",
    "a fork that ends as programs do": """
child = os.fork()
if child == 0:
    run.log("child", 2)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
""",
    "a fork of a fork": """
child = os.fork()
if child == 0:
    run.log("child", 1.5)
    grandchild = os.fork()
    if grandchild == 0:
        run.log("child", 2)
        sys.exit(0)
    assert os.waitpid(grandchild, 0)[1] == 0
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
""",
    "a fork of which nothing is logged": """
child = os.fork()
if child == 0:
    del run
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
""",
    "preexec_fn": """
def prepare():
    run.log("child", 2)
    run.flush(20)
assert subprocess.call([sys.executable, "-c", "pass"], preexec_fn=prepare) == 0
""",
}


class Metrics:
    """What was logged. The first batch is answered when the job has said that its child has ended."""

    def __init__(self, server: FakeServer) -> None:
        self.values: dict[str, list[str]] = {}
        self.child_has_ended = threading.Event()
        self._is_first = True
        self._lock = threading.Lock()
        server.unary[LOG_METRICS] = self._take

    def _take(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            is_first, self._is_first = self._is_first, False
        if is_first:
            self.child_has_ended.wait(SECONDS)
        with self._lock:
            for series in request["series"]:
                self.values.setdefault(series["name"], []).extend(series["valuesJson"])
        return {}


@pytest.fixture
def metrics(server: FakeServer) -> Iterator[Metrics]:
    made = Metrics(server)
    yield made
    made.child_has_ended.set()


def job(
    server: FakeServer, script: str, python: str = sys.executable, address: str | None = None
) -> subprocess.Popen[str]:
    """Starts a script as a job of a run; what it prints can be read."""
    names = {"RUN_ID": "r", "RUN_TOKEN": "t", "EXPERIMENT_NAME": "e", "ARM_SUBSCRIPTION": "s"}
    names |= {"ARM_RESOURCEGROUP": "g", "ARM_WORKSPACE_NAME": "w"}
    variables = {f"AZUREML_{name}": value for name, value in names.items()}
    variables |= {"LOCALAML_ENDPOINT": address or server.address, "PYTHONPATH": str(SDK), "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        [python, "-c", script],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What the job printed; fails when it, or a child of its, does not come to its end, or not to a good one."""
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        pytest.fail(f"hangs; it had printed: {process.communicate()[0]}")
    assert process.returncode == 0, output
    return output


def first_line(process: subprocess.Popen[str]) -> str:
    """The first line that the job prints, while it goes on; it is killed when it hangs."""
    assert process.stdout is not None
    hangs = threading.Timer(SECONDS, os.killpg, (process.pid, 9))
    hangs.start()
    line = process.stdout.readline()
    hangs.cancel()
    return line or f"nothing: it hangs, or failed with {process.wait()}"


@pytest.mark.parametrize("version", ["this", "3.6", "3.7"])
@pytest.mark.parametrize("fork", FORKS)
def test_a_fork_in_the_middle_of_a_call(server: FakeServer, metrics: Metrics, fork: str, version: str) -> None:
    if version == "3.6" and "preexec_fn" in fork:
        pytest.skip("Python 3.6 tells nobody of the fork of a preexec_fn")
    python = sys.executable if version == "this" else need_python(version)
    process = job(server, PRELUDE + LOG_AND_WAIT + FORKS[fork] + "print('ended', flush=True)\n", python)
    line = first_line(process)
    metrics.child_has_ended.set()
    assert line == "ended\n"
    assert finish(process) == ""
    expected = {"parent": ["1"], "child": ["1.5", "2"] if "of a fork" in fork else ["2"]}
    if "nothing" in fork:
        del expected["child"]
    assert {name: sorted(values) for name, values in metrics.values.items()} == expected


class Call(NamedTuple):
    """What a thread does: an expression, what it prints as, and the wait for the server that it is to be found in."""

    expression: str
    result: str
    wait: int


CALLS = {
    "a call": Call('client.call("RunService", "GetRun", {})["n"]', "2", 1),
    # The first wait is the one for the head.
    "a transfer": Call('client.transfer.read(os.environ["LOCALAML_ENDPOINT"] + "/file").decode()', "two" * 9, 2),
    "a stream": Call('[message["n"] for message in stream]', "[1, 2]", 1),
}
IN_A_THREAD = """
from azureml._localaml.client import get_client
client, needed = get_client(), WAITS
stream = client.stream("RunService", "WatchRun", {})
got = []
thread = threading.Thread(target=lambda: got.append(CALL), daemon=True)
thread.start()
assert reading.wait(20)
threading.setprofile(None)
"""
FORK_AND_CLOSE = """
child = os.fork()
if child == 0:
    stream.close()
    client.close()
    del stream, client, run
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print("ended", flush=True)
thread.join()
print(got[0])
"""


def in_a_thread(name: str) -> str:
    """The part of a script that begins a call."""
    return IN_A_THREAD.replace("CALL", CALLS[name].expression).replace("WAITS", str(CALLS[name].wait))


@pytest.fixture
def go_on(server: FakeServer) -> Iterator[threading.Event]:
    """The server answers when it is set."""
    event = threading.Event()

    def get(request: dict[str, Any]) -> dict[str, Any]:
        event.wait(SECONDS)
        return {"n": 2}

    def watch(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"n": 1}
        event.wait(SECONDS)
        yield {"n": 2}

    server.unary[GET_RUN], server.streams[WATCH_RUN], server.files["/file"] = get, watch, b"two" * 9
    server.pause = lambda: event.wait(SECONDS)
    yield event
    event.set()


@pytest.mark.parametrize("version", ["this", "3.6", "3.7"])
@pytest.mark.parametrize("call", CALLS)
def test_what_a_child_closes_goes_on_in_its_parent(
    server: FakeServer, go_on: threading.Event, call: str, version: str
) -> None:
    python = sys.executable if version == "this" else need_python(version)
    process = job(server, PRELUDE + in_a_thread(call) + FORK_AND_CLOSE, python)
    assert first_line(process) == "ended\n"
    go_on.set()
    assert finish(process) == f"{CALLS[call].result}\n"


@pytest.mark.parametrize("version", ["this", "3.6", "3.7"])
@pytest.mark.parametrize("call", CALLS)
def test_a_process_may_end_while_a_thread_is_in_a_call(
    server: FakeServer, go_on: threading.Event, call: str, version: str
) -> None:
    python = sys.executable if version == "this" else need_python(version)
    script = PRELUDE + in_a_thread(call) + "print('ended')\n"
    assert finish(job(server, script, python)) == "ended\n"


ALL_LOCKS_HELD = """
import os, sys, threading
made = []
def remembered(make):
    def lock():
        frame, names = sys._getframe(1), []
        while frame is not None:
            names.append(frame.f_globals.get("__name__", ""))
            frame = frame.f_back
        result = make()
        # Not those of a thread itself, which the threading module sees to.
        if any(name.startswith("azureml.") for name in names[:3]) and names[:2] != ["threading"] * 2:
            made.append(result)
        return result
    return lock
threading.Lock, threading.RLock = remembered(threading.Lock), remembered(threading.RLock)
from azureml.core import Run
run = Run.get_context()
run.log("parent", 1)
run.flush(20)
client = run._client
client.transfer
is_held, may_end = threading.Event(), threading.Event()
def hold():
    for lock in made:
        assert lock.acquire(timeout=20)
    is_held.set()
    may_end.wait()
    for lock in made:
        lock.release()
holder = threading.Thread(target=hold)
holder.start()
assert is_held.wait(30)
child = os.fork()
if child == 0:
    from azureml._localaml.client import get_client
    get_client().call("RunService", "GetRun", {})
    client.transfer
    client.call("RunService", "GetRun", {})
    run.log("child", 2)
    run.flush(20)
    client.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
may_end.set()
holder.join()
run.log("parent", 2)
print(len(made))
"""


def test_a_fork_while_another_thread_holds_all_locks(server: FakeServer, metrics: Metrics) -> None:
    metrics.child_has_ended.set()
    server.unary[GET_RUN] = lambda request: {}
    assert int(finish(job(server, ALL_LOCKS_HELD))) >= 6
    assert metrics.values == {"parent": ["1", "2"], "child": ["2"]}


WHAT_THE_SENDER_LOADS = """
import sys, threading
loaded = []
def notice(event, arguments):
    if event == "import" and threading.current_thread().name == "azureml-metrics":
        loaded.append(arguments[0])
sys.addaudithook(notice)
from azureml.core import Run
run = Run.get_context()
for number in range(4):
    run.log("a", number)
    try:
        run.flush(20)
    except Exception as error:
        print(type(error).__name__)
print(loaded)
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_sending_thread_imports_nothing(server: FakeServer, host: str) -> None:
    """A fork in the middle of an import leaves the child with a module that nobody will ever have loaded."""
    batches: list[Any] = []
    lost = iter([False, True])
    server.drop = lambda: next(lost, False)

    def take(request: dict[str, Any]) -> dict[str, Any]:
        batches.append(request)
        if len(batches) == 3:
            raise Refusal(400, "invalid_argument", "no", "INVALID_ARGUMENT")
        if len(batches) == 4:
            raise Refusal(503, "unavailable", "not now")
        return {}

    server.unary[LOG_METRICS] = take
    process = job(server, WHAT_THE_SENDER_LOADS, address=server.address.replace("127.0.0.1", host))
    refused, loaded = finish(process).splitlines()[-2:]
    assert (refused, loaded) == ("UserErrorException", "[]")
    assert len(batches) == 5
