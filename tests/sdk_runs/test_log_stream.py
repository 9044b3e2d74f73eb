"""Following a run: which log is shown, switching, and going on after a lost connection."""

from __future__ import annotations

import base64
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.waiting import wait_until

from azureml._localaml.errors import ConnectionFailed
from azureml._run_impl.log_stream import OutputStreamer, primary_log, worth_showing

LOGS = "azureml-logs/"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([], None),
        (["logs/mine.txt", "outputs/70_x.txt", LOGS + "azureml.log"], None),
        ([LOGS + "20_image_build_log.txt"], "20_image_build_log.txt"),
        ([LOGS + "60_control_log.txt", LOGS + "80_driver_log.txt"], "80_driver_log.txt"),
        ([LOGS + f"80_driver_log_rank_{n}.txt" for n in (10, 2, 0, 1)], "80_driver_log_rank_0.txt"),
        ([LOGS + f"80_driver_log_rank_{n}.txt" for n in (10, 2)], "80_driver_log_rank_2.txt"),
        ([LOGS + "80_driver_log_ps_0.txt", LOGS + "80_driver_log_worker_0.txt"], "80_driver_log_worker_0.txt"),
        ([LOGS + "60_control_log_rank_0.txt", LOGS + "70_driver_log_rank_1.txt"], "70_driver_log_rank_1.txt"),
    ],
)
def test_primary_log(names: list[str], chosen: str | None) -> None:
    assert primary_log(names) == (None if chosen is None else LOGS + chosen)


def test_empty_logs_are_left_out_but_for_the_scripts_own() -> None:
    sizes = {"20_image_build_log.txt": "12", "56_batchai_stderr.txt": "0", "80_driver_log_worker_0.txt": "0"}
    logs: list[dict[str, Any]] = [{"path": LOGS + name, "sizeBytes": size} for name, size in sizes.items()]
    logs.append({"path": LOGS + "60_control_log.txt"})  # of unknown size
    assert worth_showing(logs) == [
        LOGS + name for name in ("20_image_build_log.txt", "80_driver_log_worker_0.txt", "60_control_log.txt")
    ]


class FakeStream:
    """Answers that a test puts in; an exception among them is raised, None ends it."""

    def __init__(self) -> None:
        self.answers: queue.Queue[Any] = queue.Queue()
        self.closed = False

    def __iter__(self) -> Iterator[Any]:
        return iter(self.answers.get, None)

    def __enter__(self) -> FakeStream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True
        self.answers.put(None)


class BreakingStream(FakeStream):
    def __iter__(self) -> Iterator[Any]:
        for answer in iter(self.answers.get, None):
            if isinstance(answer, Exception):
                raise answer
            yield answer


class FakeClient:
    """The run's changes and logs, as a test lets them happen."""

    def __init__(self) -> None:
        self.logs: list[str] = []
        self.watches: list[BreakingStream] = []
        self.reads: queue.Queue[tuple[dict[str, Any], BreakingStream]] = queue.Queue()
        self.first_watch = BreakingStream()
        self.rests: list[tuple[str, str]] = []

    def call(self, service: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
        assert method == "ListRunLogs"
        return {"logs": [{"path": LOGS + name, "url": "http://x"} for name in self.logs]}

    def stream(self, service: str, method: str, request: dict[str, Any]) -> BreakingStream:
        if method == "WatchRun":
            stream = self.first_watch if not self.watches else BreakingStream()
            self.watches.append(stream)
            return stream
        stream = BreakingStream()
        if not request.get("follow"):
            self.rests.append((request["logName"], request["offset"]))
            stream.answers.put(chunk("the rest\n", int(request["offset"])))
            return stream
        self.reads.put((request, stream))
        return stream

    def look_again(self) -> bool:
        return False


def state(name: str) -> dict[str, Any]:
    return {"state": "RUN_STATE_" + name, "runId": "r"}


def chunk(text: str, offset: int) -> dict[str, Any]:
    return {"data": base64.b64encode(text.encode()).decode(), "offset": str(offset)}


class Follower:
    """A streamer in a thread of its own."""

    def __init__(self, client: FakeClient) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self.text: queue.Queue[str] = queue.Queue()
        self._pool = ThreadPoolExecutor(1)
        self.result = self._pool.submit(OutputStreamer(client, "name", self.text.put).run)  # type: ignore[arg-type]

    def next_text(self) -> str:
        return self.text.get(timeout=10)


def heading(name: str) -> str:
    line = f"Streaming azureml-logs/{name}"
    return f"\n{line}\n{'=' * len(line)}\n\n"


def test_switches_to_a_higher_log_and_ends_with_the_run() -> None:
    client = FakeClient()
    follower = Follower(client)
    client.first_watch.answers.put(state("QUEUED"))
    client.logs = ["60_control_log_rank_0.txt", "60_control_log_rank_1.txt"]
    client.first_watch.answers.put(state("PREPARING"))
    assert follower.next_text() == heading("60_control_log_rank_0.txt")
    request, control = client.reads.get(timeout=10)
    assert (request["logName"], request["offset"], request["follow"]) == (LOGS + "60_control_log_rank_0.txt", "0", True)
    control.answers.put(chunk("This is an MPI job. Rank:0\n", 0))
    assert follower.next_text() == "This is an MPI job. Rank:0\n"
    # No change of the run tells that this log has come.
    client.logs += ["80_driver_log_rank_1.txt", "80_driver_log_rank_0.txt"]
    assert follower.next_text() == "the rest\n"
    assert client.rests == [(LOGS + "60_control_log_rank_0.txt", "27")]
    assert follower.next_text() == heading("80_driver_log_rank_0.txt")
    _, driver = client.reads.get(timeout=10)
    assert control.closed
    driver.answers.put(chunk("a\n", 0))
    assert follower.next_text() == "a\n"
    client.first_watch.answers.put(state("COMPLETED"))
    driver.answers.put(chunk("b\n", 2))
    assert follower.next_text() == "b\n"
    driver.answers.put(None)
    assert follower.result.result(timeout=10)["state"] == "RUN_STATE_COMPLETED"


def test_goes_on_after_a_lost_connection_without_gap_or_repeat() -> None:
    client = FakeClient()
    client.logs = ["80_driver_log.txt"]
    follower = Follower(client)
    client.first_watch.answers.put(state("RUNNING"))
    assert follower.next_text() == heading("80_driver_log.txt")
    _, first = client.reads.get(timeout=10)
    first.answers.put(chunk("one\n", 0))
    first.answers.put(ConnectionFailed("gone"))
    client.first_watch.answers.put(ConnectionFailed("gone"))
    assert follower.next_text() == "one\n"
    request, second = client.reads.get(timeout=10)
    assert request["offset"] == "4"
    second.answers.put(chunk("ne\ntwo\n", 1))  # begins before what is wanted
    assert follower.next_text() == "two\n"
    wait_until(lambda: len(client.watches) == 2, 10, "the run to be watched again")
    client.watches[1].answers.put(state("FAILED"))
    second.answers.put(None)
    assert follower.result.result(timeout=10)["state"] == "RUN_STATE_FAILED"


def test_a_character_may_come_in_two_chunks() -> None:
    client = FakeClient()
    client.logs = ["80_driver_log.txt"]
    follower = Follower(client)
    client.first_watch.answers.put(state("RUNNING"))
    follower.next_text()
    _, stream = client.reads.get(timeout=10)
    data = "ä\n".encode()
    stream.answers.put({"data": base64.b64encode(data[:1]).decode()})
    stream.answers.put({"data": base64.b64encode(data[1:]).decode(), "offset": "1"})
    stream.answers.put({"data": base64.b64encode(b"\xff!").decode(), "offset": "3"})
    assert follower.next_text() + follower.next_text() + follower.next_text() == "ä\n\N{REPLACEMENT CHARACTER}!"
    client.first_watch.answers.put(state("CANCELED"))
    stream.answers.put(None)
    follower.result.result(timeout=10)


def test_a_run_that_has_ended_already_is_shown_in_full() -> None:
    client = FakeClient()
    client.logs = ["60_control_log.txt", "80_driver_log.txt"]
    follower = Follower(client)
    client.first_watch.answers.put(state("COMPLETED"))
    assert follower.next_text() == heading("80_driver_log.txt")
    _, stream = client.reads.get(timeout=10)
    stream.answers.put(chunk("all of it\n", 0))
    stream.answers.put(None)
    assert follower.next_text() == "all of it\n"
    follower.result.result(timeout=10)


def test_a_run_without_logs() -> None:
    client = FakeClient()
    follower = Follower(client)
    client.first_watch.answers.put(state("FAILED"))
    assert follower.result.result(timeout=10)["state"] == "RUN_STATE_FAILED"


def test_a_refusal_ends_it() -> None:
    from azureml.exceptions import UserErrorException

    client = FakeClient()
    follower = Follower(client)
    error = UserErrorException("There is no run 'r'.")
    error.grpc_code = "NOT_FOUND"
    client.first_watch.answers.put(error)
    with pytest.raises(UserErrorException, match="no run 'r'"):
        follower.result.result(timeout=10)
