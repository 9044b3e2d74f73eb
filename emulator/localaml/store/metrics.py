"""Metric records: appended in batches, read in the order of acceptance."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from localaml.domain.models import MetricRecord, MetricsOf, RunKey
from localaml.store.database import Database, missing_parent

_COLUMNS = "id, name, metric_type, value_json, time_micros, step, description"
_INSERT = f"INSERT INTO metrics ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
_SELECT = f"SELECT {_COLUMNS} FROM metrics WHERE id > ? AND id < ?"
_RUN_BITS = 32


class Metrics:
    """Records of a run are numbered from 1."""

    def __init__(self, database: Database, run_seq: Callable[[RunKey], int]) -> None:
        self._db = database
        self._run_seq = run_seq

    def append(self, run: RunKey, records: Sequence[MetricRecord], writer_id: str, batch_number: int) -> int:
        """Takes all records or none; returns how many: 0 when this batch of this writer was taken before. With an empty
        `writer_id` nothing is recognised as a repeat.

        Raises:
            NotFound: ``RUN_NOT_FOUND``.
            ResourceExhausted: ``DISK_FULL``.
        """
        run_seq = self._run_seq(run)
        with self._db.transaction():
            if writer_id:
                try:
                    self._db.execute("INSERT INTO metric_batches VALUES (?, ?, ?)", (run_seq, writer_id, batch_number))
                except sqlite3.IntegrityError as error:
                    if "FOREIGN KEY" in str(error):
                        raise missing_parent("A metric") from error
                    return 0
            first, end = _range(run_seq)
            last = self._db.one("SELECT max(id) FROM metrics WHERE id >= ? AND id < ?", (first, end))
            after = first if last is None or last[0] is None else last[0]
            self._db.execute_many(
                _INSERT,
                (
                    (key, r.name, r.metric_type, r.value_json, r.time_micros, r.step, r.description)
                    for key, r in enumerate(records, after + 1)
                ),
            )
            self._db.publish(MetricsOf(*run))
        return len(records)

    def scan(self, run: RunKey, name: str | None = None, after: int = 0) -> Iterator[tuple[int, MetricRecord]]:
        """Records with their numbers, in the order of acceptance, those after number `after`.

        Read one by one, as asked for: do not await while going through them. Raises NotFound ``RUN_NOT_FOUND``.
        """
        first, end = _range(self._run_seq(run))
        if name is None:
            rows = self._db.each(f"{_SELECT} ORDER BY id", (first + after, end))
        else:
            rows = self._db.each(f"{_SELECT} AND name = ? ORDER BY id", (first + after, end, name))
        for row in rows:
            yield row[0] - first, MetricRecord(*row[1:])

    def list(
        self, run: RunKey, name: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, MetricRecord]]:
        """The first `limit` of `scan`."""
        return list(islice(self.scan(run, name, after), limit))


def _range(run_seq: int) -> tuple[int, int]:
    """The ids that records of a run can have: from and without."""
    return run_seq << _RUN_BITS, (run_seq + 1) << _RUN_BITS
