"""Metrics: which values are taken, how they travel, and what `get_metrics` makes of them."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from tests.support.waiting import wait_until

from azureml._localaml.endpoint import Endpoint
from azureml._run_impl import metric_values, metrics_writer
from azureml._run_impl.metrics_writer import MetricsWriter
from azureml.core.run import Run
from azureml.exceptions import AzureMLException, UserErrorException


class FakeClient:
    """Takes metric batches as the emulator does; `behave` may raise or wait first."""

    endpoint = Endpoint("http://127.0.0.1:1", "", "", "")

    def __init__(self, behave: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.batches: list[dict[str, Any]] = []
        self.seen: set[tuple[str, str]] = set()
        self._behave = behave

    def call(self, service: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
        assert (service, method) == ("MetricService", "LogMetrics")
        # What cannot be sent as JSON cannot be sent.
        request = json.loads(json.dumps(request))
        if self._behave is not None:
            self._behave(request)
        key = (request["writerId"], request["batchNumber"])
        if key not in self.seen:
            self.seen.add(key)
            self.batches.append(request)
        return {}

    def pages(self, service: str, method: str, request: dict[str, Any], items: str) -> list[dict[str, Any]]:
        wanted = request.get("metricName")
        series = [one for batch in self.batches for one in batch["series"]]
        return [one for one in series if wanted in (None, one["name"])]

    @property
    def records(self) -> list[tuple[str, Any]]:
        return [
            (series["name"], json.loads(text))
            for batch in self.batches
            for series in batch["series"]
            for text in series["valuesJson"]
        ]


class FakeExperiment:
    _resource_name = "subscriptions/s/resourceGroups/g/workspaces/w/experiments/e"
    _is_scope = False
    name = "e"

    def __init__(self, client: FakeClient) -> None:
        self._client = client


def refusal(code: str) -> AzureMLException:
    error = UserErrorException("refused")
    error.grpc_code = code
    return error


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def run(client: FakeClient) -> Run:
    return make_run(client)


def make_run(client: FakeClient) -> Run:
    return Run(FakeExperiment(client), "e_1_abcdef01", _fetch=False)  # type: ignore[arg-type]  # all that is needed


class TestShapes:
    def test_one_scalar_is_the_value_and_several_are_a_list(self, run: Run) -> None:
        run.log("once", 1.5)
        for value in (3, 2.0, "three"):
            run.log("often", value)
        assert run.get_metrics() == {"once": 1.5, "often": [3, 2.0, "three"]}
        assert isinstance(run.get_metrics()["often"][0], int)
        assert isinstance(run.get_metrics()["often"][1], float)
        assert run.get_metrics("once") == {"once": 1.5}

    def test_lists_follow_one_another(self, run: Run) -> None:
        run.log_list("fib", [1, 1, 2])
        run.log_list("fib", (3, 5))
        run.log_list("single", [7])
        run.log_list("range", range(3))
        assert run.get_metrics() == {"fib": [1, 1, 2, 3, 5], "single": [7], "range": [0, 1, 2]}

    def test_rows_become_columns(self, run: Run) -> None:
        run.log_row("one", x=1, y=0.5)
        run.log_row("many", x=1, y=0.5)
        run.log_row("many", x=2, y=0.25)
        run.log_table("table", {"a": [1, 2], "b": (3, 4), "c": 5})
        assert run.get_metrics() == {
            "one": {"x": 1, "y": 0.5},
            "many": {"x": [1, 2], "y": [0.5, 0.25]},
            "table": {"a": [1, 2], "b": [3, 4], "c": 5},
        }

    def test_nan_and_infinity(self, run: Run) -> None:
        for value in (math.nan, math.inf, -math.inf):
            run.log("odd", value)
        first, *rest = run.get_metrics()["odd"]
        assert math.isnan(first)
        assert rest == [math.inf, -math.inf]

    def test_documents(self, run: Run) -> None:
        matrix = {"schema_type": "confusion_matrix", "data": {"matrix": [[1, 0], [0, 1]]}}
        run.log_confusion_matrix("dict", matrix)
        run.log_residuals("text", json.dumps(matrix))
        assert run.get_metrics() == {"dict": matrix, "text": matrix}

    def test_numpy(self, run: Run) -> None:
        numpy = pytest.importorskip("numpy")
        run.log("f", numpy.float32(0.5))
        run.log("i", numpy.int64(3))
        run.log("b", numpy.bool_(True))
        run.log("d", numpy.float64(0.25))
        run.log_list("l", numpy.array([1, 2]))
        run.log_table("t", {"c": numpy.array([0.5])})
        assert run.get_metrics() == {"f": 0.5, "i": 3, "b": True, "d": 0.25, "l": [1, 2], "t": {"c": [0.5]}}

    def test_anything_with_one_item(self, run: Run) -> None:
        class Tensor:
            def item(self) -> float:
                return 2.5

        run.log("tensor", Tensor())
        assert run.get_metrics() == {"tensor": 2.5}

    def test_anything_with_a_number_in_it(self, run: Run) -> None:
        class EagerScalar:
            """As a scalar of TensorFlow: no `item`, a length that raises, and a numpy scalar inside."""

            def __init__(self, value: float) -> None:
                self._value = value

            def numpy(self) -> Any:
                return Item(self._value)

            def __float__(self) -> float:
                return float(self._value)

            def __len__(self) -> int:
                raise TypeError("Scalar tensor has no `len()`")

            def __iter__(self) -> Any:
                raise TypeError("Cannot iterate over a scalar tensor.")

        class Item:
            def __init__(self, value: Any) -> None:
                self._value = value

            def item(self) -> Any:
                return self._value

        class Vector(list):  # type: ignore[type-arg]  # as a tensor: `item` raises what the library likes
            def item(self) -> Any:
                raise RuntimeError("more than one element")

        class Index:
            def __index__(self) -> int:
                return 7

        for name, value in (
            ("eager", EagerScalar(0.5)),
            ("whole", EagerScalar(3)),
            ("decimal", Decimal("0.25")),
            ("fraction", Fraction(1, 4)),
            ("index", Index()),
            ("object in an array", Item(Decimal(2))),
        ):
            run.log(name, value, step=Index())  # type: ignore[arg-type]  # more than the signature says
        run.log_list("list", (EagerScalar(1), Decimal("0.5"), Item(True)))
        run.log_row("row", a=EagerScalar(1), b=Fraction(1, 2))
        run.log_table("table", {"a": [EagerScalar(1), Index()], "b": EagerScalar(2.5), "c": iter([Decimal(1)])})
        run.log_confusion_matrix("matrix", {"data": [Decimal("0.5"), Item(1)]})
        metrics = run.get_metrics()
        assert metrics == {
            "eager": 0.5,
            "whole": 3,
            "decimal": 0.25,
            "fraction": 0.25,
            "index": 7,
            "object in an array": 2.0,
            "list": [1, 0.5, True],
            "row": {"a": 1, "b": 0.5},
            "table": {"a": [1, 7], "b": 2.5, "c": [1.0]},
            "matrix": {"data": [0.5, 1]},
        }
        assert (type(metrics["whole"]), type(metrics["list"][2])) == (int, bool)
        for wrong in (Vector([1, 2]), Item(None), Item([1]), int, 1j, Fraction(10**400, 3)):
            with pytest.raises(UserErrorException, match="must be one number"):
                run.log("wrong", wrong)
        with pytest.raises(UserErrorException, match="must be a list"):
            run.log_list("wrong", EagerScalar(1))

    def test_scalars_of_libraries(self, run: Run) -> None:
        numpy = pytest.importorskip("numpy")
        run.log("0-d", numpy.array(3))
        run.log("one", numpy.array([[0.5]]))
        run.log("objects", numpy.array(Decimal("0.25"), dtype=object))
        run.log_list("list", numpy.array([Decimal(1), Fraction(1, 2)], dtype=object))
        run.log_table("table", {"a": numpy.array(1), "b": numpy.array([1])})
        assert run.get_metrics() == {
            "0-d": 3,
            "one": 0.5,
            "objects": 0.25,
            "list": [1.0, 0.5],
            "table": {"a": 1, "b": [1]},
        }
        with pytest.raises(UserErrorException, match="must be one number"):
            run.log("wrong", numpy.array([1, 2]))

    def test_steps_and_descriptions_travel(self, run: Run, client: FakeClient) -> None:
        run.log("loss", 1.0, "how wrong", step=10)
        run.log("loss", 0.5, "how wrong", step=20)
        run.flush()
        series = [one for batch in client.batches for one in batch["series"]]
        assert [step for one in series for step in one["steps"]] == [10, 20]
        assert {one["description"] for one in series} == {"how wrong"}
        now = time.time() * 1e6
        assert all(abs(now - micros) < 60e6 for one in series for micros in one["timesMicros"])


class TestBadInput:
    @pytest.mark.parametrize("value", [None, [1], {"a": 1}, object(), 2**70, b"x"])
    def test_log_takes_one_value(self, run: Run, value: Any) -> None:
        with pytest.raises(UserErrorException, match="metric 'bad'"):
            run.log("bad", value)

    @pytest.mark.parametrize("name", ["", " ", None, 5, "x" * 256, "a\nb", ["a"]])
    def test_names(self, run: Run, name: Any) -> None:
        with pytest.raises(UserErrorException, match="metric's name"):
            run.log(name, 1)

    def test_others(self, run: Run) -> None:
        for call, said in (
            (lambda: run.log_list("l", 5), "must be a list"),
            (lambda: run.log_list("l", "text"), "must be a list"),
            (lambda: run.log_list("l", [[1]]), "each value"),
            (lambda: run.log_row("r"), "at least one column"),
            (lambda: run.log_row("r", x=[1]), "column 'x'"),
            (lambda: run.log_table("t", [1]), "dict of column"),
            (lambda: run.log_table("t", {"a": [None]}), "column 'a'"),
            (lambda: run.log_confusion_matrix("c", "not json"), "JSON"),
            (lambda: run.log("s", 1, step="x"), "step"),
            (lambda: run.log("s", 1, description="x" * 5000), "4096"),
            (lambda: run.log("s", "x" * (metric_values.MAX_VALUE_BYTES + 1)), "upload_file"),
            (lambda: run.log_list("l", [0.123456789] * 200000), "upload_file"),
            (lambda: run.log_image("i"), "either path or plot"),
            (lambda: run.log_image("i", path="/does/not/exist.png"), "no image file"),
        ):
            with pytest.raises(UserErrorException, match=said):
                call()  # type: ignore[no-untyped-call]
        assert run.get_metrics() == {}


class TestWriter:
    def test_sends_without_being_asked(self, run: Run, client: FakeClient) -> None:
        run.log("loss", 1)
        wait_until(lambda: client.records == [("loss", 1)], 2, "the record to be sent")

    def test_sends_again_after_idling(self, run: Run, client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(metrics_writer, "_IDLE_SECONDS", 0.01)
        run.log("loss", 1)
        writer = metrics_writer.metrics_writer(client, run._name)
        wait_until(lambda: writer._thread is None, 5, "the thread to end")
        run.log("loss", 2)
        wait_until(lambda: len(client.records) == 2, 2, "the second record to be sent")

    def test_many_threads_lose_nothing_and_keep_their_order(self, run: Run, client: FakeClient) -> None:
        def log_some(number: int) -> None:
            for value in range(5000):
                run.log(f"m{number}", value)

        threads = [threading.Thread(target=log_some, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert run.get_metrics() == {f"m{number}": list(range(5000)) for number in range(4)}
        assert max(len(one["valuesJson"]) for batch in client.batches for one in batch["series"]) > 100

    def test_one_run_has_one_writer(self, client: FakeClient) -> None:
        first, second = make_run(client), make_run(client)
        first.log("a", 1)
        second.log("a", 2)
        first.flush()
        assert len({batch["writerId"] for batch in client.batches}) == 1
        assert client.records == [("a", 1), ("a", 2)]

    def test_a_batch_is_sent_again_under_its_number(self) -> None:
        failures = iter([True, True])

        def fail_after_taking(request: dict[str, Any]) -> None:
            client.seen.add((request["writerId"], request["batchNumber"]))
            client.batches.append(request)
            if next(failures, False):
                raise refusal("UNAVAILABLE")

        client = FakeClient(fail_after_taking)
        run = make_run(client)
        run.log("loss", 1)
        wait_until(lambda: len(client.batches) == 3, 5, "the batch to be sent three times")
        run.flush()
        assert len({batch["batchNumber"] for batch in client.batches}) == 1

    def test_records_are_kept_while_the_emulator_is_away(self, capsys: pytest.CaptureFixture[str]) -> None:
        away = threading.Event()
        away.set()

        def not_reached(request: dict[str, Any]) -> None:
            if away.is_set():
                raise UserErrorException("The emulator does not answer.")

        client = FakeClient(not_reached)
        run = make_run(client)
        run.log("loss", 1)
        with pytest.raises(UserErrorException, match="does not answer"):
            run.flush()
        away.clear()
        wait_until(lambda: client.records == [("loss", 1)], 10, "the record to be sent after all")

    def test_flush_says_what_was_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        def refuse(request: dict[str, Any]) -> None:
            raise refusal("FAILED_PRECONDITION")

        run = make_run(FakeClient(refuse))
        run.log("loss", 1)
        with pytest.raises(UserErrorException, match="refused"):
            run.flush()
        assert "refused" in capsys.readouterr().err
        run.flush()

    def test_one_bad_record_costs_only_itself(self) -> None:
        def refuse_bad(request: dict[str, Any]) -> None:
            if any(series["name"] == "bad" for series in request["series"]):
                raise refusal("INVALID_ARGUMENT")

        gate = threading.Event()

        def hold_the_first(request: dict[str, Any]) -> None:
            gate.wait(10)
            refuse_bad(request)

        client = FakeClient(hold_the_first)
        run = make_run(client)
        run.log("first", 0)
        for name in ("a", "bad", "b", "a"):
            run.log(name, 1)
        gate.set()
        with pytest.raises(UserErrorException, match="refused"):
            run.flush()
        assert sorted(client.records) == [("a", 1), ("a", 1), ("b", 1), ("first", 0)]

    def test_flush_gives_up_in_time(self) -> None:
        gate = threading.Event()
        run = make_run(FakeClient(lambda request: gate.wait(30) and None))  # type: ignore[func-returns-value]
        run.log("loss", 1)
        begin = time.monotonic()
        with pytest.raises(AzureMLException, match=r"not sent within 0\.2 seconds"):
            run.flush(0.2)
        assert time.monotonic() - begin < 5
        gate.set()
        run.flush()

    def test_memory_is_bounded_by_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(metrics_writer, "MAX_RECORDS", 100)
        gate = threading.Event()
        client = FakeClient(lambda request: gate.wait(30) and None)  # type: ignore[func-returns-value]
        run = make_run(client)

        def log_many() -> None:
            for value in range(1000):
                run.log("loss", value)

        logger = threading.Thread(target=log_many, daemon=True)
        logger.start()
        writer = metrics_writer.metrics_writer(client, run._name)
        wait_until(lambda: len(writer._records) >= 100, 5, "the buffer to be full")
        assert logger.is_alive()
        assert len(writer._records) <= 101
        gate.set()
        logger.join(10)
        run.flush()
        assert [value for _, value in client.records] == list(range(1000))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_a_forked_child_does_not_send_what_the_parent_logged(self) -> None:
        gate = threading.Event()
        client = FakeClient(lambda request: gate.wait(30) and None)  # type: ignore[func-returns-value]
        writer = MetricsWriter(client, "run")
        child = MetricsWriter(client, "run")
        for number in range(3):
            writer.append((metric_values.SCALAR, "m", "", number, 0.0, None))
        parent_id, child._writer_id = writer._writer_id, writer._writer_id
        child.after_fork()
        assert child._writer_id != parent_id
        assert not child._records
        gate.set()
        writer.flush(10)
        assert len(client.records) == 3

    def test_close_says_what_is_lost(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fail(request: dict[str, Any]) -> None:
            raise refusal("UNAVAILABLE")

        writer = MetricsWriter(FakeClient(fail), "runs/gone")
        writer.append((metric_values.SCALAR, "m", "", 1, 0.0, None))
        writer.close(0.5)
        assert "metrics of run gone: 1 records are lost" in capsys.readouterr().err

    def test_a_child_of_multiprocessing_waits_for_its_records_but_not_for_an_emulator_that_is_away(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(metrics_writer, "_in_multiprocessing_child", lambda: True)
        monkeypatch.setattr(metrics_writer, "_close_with_child", lambda writer: None)
        away = threading.Event()

        def behave(request: dict[str, Any]) -> None:
            if away.is_set():
                raise refusal("UNAVAILABLE")

        client = FakeClient(behave)
        writer = MetricsWriter(client, "runs/child")

        def log(value: int) -> int:
            writer.append((metric_values.SCALAR, "m", "", value, 0.0, None))
            return len(client.records)

        assert [log(value) for value in range(200)] == list(range(1, 201)), "each is there when `append` returns"
        monkeypatch.setattr(metrics_writer, "_THROUGH_SECONDS", 0.01)
        away.set()
        assert log(200) == 200
        monkeypatch.setattr(metrics_writer, "_THROUGH_SECONDS", 3600.0)
        assert log(201) == 200, "the next one is not waited for"
        away.clear()
        wait_until(lambda: len(client.records) == 202, 20, "the rest to be sent")
        wait_until(lambda: writer._through, 5, "records to be waited for again")
        assert log(202) == 203
