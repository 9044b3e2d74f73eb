"""Answers for metrics."""

from __future__ import annotations

import json

from localaml.domain.models import MetricRecord
from localaml.errors import InvalidArgument, LocalAmlError, unreadable_record
from localaml.services.context import ServiceContext
from localaml.services.messages import metric_series
from localaml.services.paging import MAX_PAGE_BYTES, decode_number, encode_token, page_size
from localaml.services.rpc import Caller
from localaml.store.stored import printable
from localaml_proto.v1 import metric_pb2, resources_pb2

_MAX_RECORDS = 100_000
_MAX_NAME = 255
_MAX_VALUE = 1024 * 1024
_MAX_TEXT = 4096
# Beside the text of a value: its time, its step, and what the wire needs around them.
_RECORD_OVERHEAD = 32


class MetricService:
    """`localaml.v1.MetricService`."""

    SERVICE = "localaml.v1.MetricService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def log_metrics(self, request: metric_pb2.LogMetricsRequest, caller: Caller) -> metric_pb2.LogMetricsResponse:
        run = self._context.run(request.parent)
        if len(request.writer_id) > _MAX_NAME or request.batch_number < 0:
            raise _invalid("METRIC_BATCH_INVALID", "writer_id is too long, or batch_number is negative")
        count = sum(len(series.values_json) for series in request.series)
        if count > _MAX_RECORDS:
            raise _invalid(
                "METRIC_BATCH_TOO_LARGE", f"a batch has at most {_MAX_RECORDS} records; this one has {count}"
            )
        records = [record for series in request.series for record in _records(series)]
        accepted = self._context.store.metrics.append(run.key, records, request.writer_id, request.batch_number)
        return metric_pb2.LogMetricsResponse(accepted_count=accepted)

    async def list_metrics(
        self, request: metric_pb2.ListMetricsRequest, caller: Caller
    ) -> metric_pb2.ListMetricsResponse:
        run = self._context.run(request.parent)
        size, after = page_size(request.page), decode_number(request.page)
        records: list[MetricRecord] = []
        broken: list[resources_pb2.UnreadableRecord] = []
        total = 0
        more = False
        # Read as far as the page goes, and no further: values can be large.
        for number, record in self._context.store.metrics.scan(run.key, request.metric_name or None, after):
            if not _is_whole(record):
                why = unreadable_record("a value of it is of another kind", f"Record {number} of the run's metrics")
                detail = resources_pb2.ErrorDetail(code=why.reason, message=why.message)
                broken.append(resources_pb2.UnreadableRecord(id=str(number), error=detail))
                after = number
                continue
            total += len(record.value_json.encode()) + len(record.name) + len(record.description) + _RECORD_OVERHEAD
            if records and (len(records) == size or total > MAX_PAGE_BYTES):
                more = True
                break
            records.append(record)
            after = number
        return metric_pb2.ListMetricsResponse(
            series=metric_series(records), unreadable=broken, next_page_token=encode_token(str(after)) if more else ""
        )


def _is_whole(record: MetricRecord) -> bool:
    """Whether a stored record can be sent: each value is what its field takes."""
    texts = (record.name, record.value_json, record.description)
    return (
        all(isinstance(text, str) and (text.isascii() or printable(text) == text) for text in texts)
        and record.metric_type in metric_pb2.MetricType.values()
        and isinstance(record.time_micros, int)
        and (record.step is None or isinstance(record.step, int))
    )


def _records(series: metric_pb2.MetricSeries) -> list[MetricRecord]:
    """The records of a series. Raises InvalidArgument; the message names the metric."""
    name = series.name
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise _invalid(
            "METRIC_NAME_INVALID", f"a metric's name has 1 to {_MAX_NAME} printable characters; {name[:64]!r} has not"
        )
    if series.type not in metric_pb2.MetricType.values() or series.type == metric_pb2.METRIC_TYPE_UNSPECIFIED:
        raise _invalid("METRIC_TYPE_UNKNOWN", f"metric {name!r} has the unknown type {int(series.type)}")
    if len(series.description) > _MAX_TEXT:
        raise _invalid("METRIC_DESCRIPTION_TOO_LONG", f"the description of metric {name!r} is longer than {_MAX_TEXT}")
    count = len(series.values_json)
    if len(series.times_micros) != count or len(series.steps) not in (0, count):
        raise _invalid(
            "METRIC_SERIES_UNEVEN",
            f"metric {name!r} has {count} values, {len(series.times_micros)} times and {len(series.steps)} steps",
        )
    for value in series.values_json:
        if len(value) > _MAX_VALUE:
            raise _invalid(
                "METRIC_VALUE_TOO_LARGE",
                f"a value of metric {name!r} has {len(value)} characters; at most {_MAX_VALUE} are kept. "
                "Upload it as a file",
            )
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            raise _invalid("METRIC_VALUE_INVALID", f"a value of metric {name!r} is not JSON: {value[:64]!r}") from None
    steps = series.steps or [None] * count
    kind, description = int(series.type), series.description
    return [
        MetricRecord(name, kind, value, time, step, description)
        for value, time, step in zip(series.values_json, series.times_micros, steps, strict=True)
    ]


def _invalid(reason: str, why: str) -> LocalAmlError:
    return InvalidArgument(reason, f"The metrics cannot be taken, none of this batch was: {why}.")
