"""Metrics: batches are taken whole or not at all, once, and come back in order."""

from __future__ import annotations

from typing import Any

import pytest
from tests.services.harness import EXPERIMENT, Emulated

from localaml.domain.models import RunKey
from localaml.errors import InvalidArgument, NotFound
from localaml_proto.v1 import metric_pb2, resources_pb2

M = metric_pb2
RUN = f"{EXPERIMENT}/runs/r"


def _series(name: str = "loss", values: Any = ("1", "2.5"), **changes: Any) -> M.MetricSeries:
    base: dict[str, Any] = {"type": M.METRIC_TYPE_SCALAR, "times_micros": range(1, len(values) + 1)}
    return M.MetricSeries(name=name, values_json=values, **{**base, **changes})


@pytest.fixture
async def logging(emulator: Emulated) -> Emulated:
    """An emulator with the run `r`."""
    await emulator.create_run("r")
    return emulator


async def _log(emulator: Emulated, *series: M.MetricSeries, writer: str = "w", batch: int = 1) -> int:
    request = M.LogMetricsRequest(parent=RUN, series=series, writer_id=writer, batch_number=batch)
    return int((await emulator.call("MetricService/LogMetrics", request)).accepted_count)


async def _list(emulator: Emulated, name: str = "", size: int = 0) -> list[M.MetricSeries]:
    found: list[M.MetricSeries] = []
    token = ""
    while True:
        page = resources_pb2.PageRequest(page_size=size, page_token=token)
        request = M.ListMetricsRequest(parent=RUN, metric_name=name, page=page)
        answer = await emulator.call("MetricService/ListMetrics", request)
        assert answer.ByteSize() < 4_000_000
        found += answer.series
        token = answer.next_page_token
        if not token:
            return found


async def test_what_was_logged_comes_back_in_order(logging: Emulated) -> None:
    first = _series(steps=[10, 11])
    table = _series("t", ['{"a":[1,2]}'], type=M.METRIC_TYPE_TABLE, description="d")
    odd = _series("odd", ["NaN", "-Infinity", "true", '"1"', "1", "1.0", "null"])
    assert await _log(logging, first, table, odd) == 10
    assert await _log(logging, first, table, odd) == 0
    assert await _log(logging, _series("odd", ["3"]), batch=2) == 1
    assert await _list(logging) == [
        first,
        table,
        _series("odd", [*odd.values_json, "3"], times_micros=[*range(1, 8), 1]),
    ]
    assert await _list(logging, "t") == [table]
    assert await _list(logging, "none") == []


async def test_series_end_where_something_changes(logging: Emulated) -> None:
    batch = [
        _series("a", ["1"]),
        _series("a", ["2"]),
        _series("b", ["3"]),
        _series("a", ["4"]),
        _series("a", ["5"], steps=[1]),
        _series("a", ["6"], type=M.METRIC_TYPE_LIST),
        _series("a", ["7"], type=M.METRIC_TYPE_LIST, description="d"),
    ]
    await _log(logging, *batch)
    found = await _list(logging)
    assert [list(series.values_json) for series in found] == [["1", "2"], ["3"], ["4"], ["5"], ["6"], ["7"]]
    assert [list(series.steps) for series in found] == [[], [], [], [1], [], []]
    by_one = await _list(logging, size=1)
    assert [list(series.values_json) for series in by_one] == [[str(n)] for n in range(1, 8)]


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        ("METRIC_NAME_INVALID", _series("")),
        ("METRIC_NAME_INVALID", _series("x" * 256)),
        ("METRIC_NAME_INVALID", _series("a\nb")),
        ("METRIC_TYPE_UNKNOWN", _series(type=M.METRIC_TYPE_UNSPECIFIED)),
        ("METRIC_TYPE_UNKNOWN", _series(type=77)),
        ("METRIC_SERIES_UNEVEN", _series(times_micros=[1])),
        ("METRIC_SERIES_UNEVEN", _series(steps=[1])),
        ("METRIC_VALUE_INVALID", _series(values=["oops"])),
        ("METRIC_VALUE_INVALID", _series(values=[""])),
        ("METRIC_VALUE_INVALID", _series(values=["[" * 100_000])),
        ("METRIC_VALUE_TOO_LARGE", _series(values=['"' + "x" * 1024 * 1024 + '"'])),
        ("METRIC_DESCRIPTION_TOO_LONG", _series(description="x" * 5000)),
        ("METRIC_BATCH_TOO_LARGE", _series(values=["1"] * 100_001)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_batch_with_one_bad_record_is_not_taken_at_all(
    logging: Emulated, reason: str, bad: M.MetricSeries
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await _log(logging, _series(), bad)
    assert caught.value.reason == reason
    assert await _list(logging) == []
    assert await _log(logging, _series()) == 2, "the number of the refused batch is free"


async def test_the_largest_batch(logging: Emulated) -> None:
    assert await _log(logging, _series(values=["0.123456789"] * 100_000)) == 100_000
    found = await _list(logging, size=10_000)
    assert sum(len(series.values_json) for series in found) == 100_000


async def test_large_values_come_in_pages_that_fit(logging: Emulated) -> None:
    value = '"' + "ü" * 400_000 + '"'
    for batch in range(1, 11):
        await _log(logging, _series(values=[value]), batch=batch)
    found = await _list(logging)
    assert len(found) > 1
    assert [text for series in found for text in series.values_json] == [value] * 10


async def test_runs_that_are_not_there(logging: Emulated) -> None:
    request = M.LogMetricsRequest(parent=f"{EXPERIMENT}/runs/nope", series=[_series()])
    with pytest.raises(NotFound):
        await logging.call("MetricService/LogMetrics", request)
    for bad in ({"batch_number": -1}, {"writer_id": "x" * 300}):
        with pytest.raises(InvalidArgument):
            await logging.call("MetricService/LogMetrics", M.LogMetricsRequest(parent=RUN, **bad))
    assert logging.store.metrics.list(RunKey(await logging.workspace_id(), "r")) == []
