"""An emulator's time, seen from a test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from localaml.cli.client import Client
from localaml_proto.admin.v1 import admin_pb2

# What is due may take real work: processes end, environments are built.
_ADVANCE_SECONDS = 600.0


class EmulatorClock:
    """The clock of an emulator.

    Args:
        client: gives the connection to it, which may be another one after a restart.
    """

    def __init__(self, client: Callable[[], Client]) -> None:
        self._client = client

    @property
    def kind(self) -> str:
        """``real``, ``virtual`` or ``scaled``."""
        return str(self._facts().kind)

    @property
    def now(self) -> datetime:
        """What time it is for runs, nodes and URLs (UTC)."""
        return _datetime(self._facts())

    def advance(self, seconds: float = 0.0, *, minutes: float = 0.0, hours: float = 0.0, days: float = 0.0) -> datetime:
        """Lets time pass on a virtual clock; returns the time then.

        What is due meanwhile (idle nodes go, limits of runs are hit, machines arrive) is done one after the other in
        the order of its time, and has been done when this returns. Without arguments it only waits for what the
        emulator is doing. Processes of jobs do not notice: they live in real time.

        Raises:
            CliError: the emulator's clock is not virtual, or the span is negative or longer than 366 days.
        """
        span = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days).total_seconds()
        client = self._client()
        request = admin_pb2.AdvanceClockRequest(seconds=span)
        return _datetime(client.call(client.admin.AdvanceClock, request, timeout=_ADVANCE_SECONDS).clock)

    def settle(self) -> datetime:
        """Waits, on a virtual clock, until the emulator does nothing but wait for jobs or for time to pass."""
        return self.advance(0)

    def _facts(self) -> admin_pb2.Clock:
        client = self._client()
        clock: admin_pb2.Clock = client.call(client.admin.GetClock, admin_pb2.GetClockRequest())
        return clock


def _datetime(clock: admin_pb2.Clock) -> datetime:
    moment: datetime = clock.time.ToDatetime(tzinfo=timezone.utc)
    return moment
