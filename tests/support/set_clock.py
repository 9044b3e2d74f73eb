"""A clock whose time of day somebody sets, as a person or NTP sets a machine's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from localaml.control.clock import VirtualClock


class SetClock(VirtualClock):
    """Monotonic time and timers are a virtual clock's; the time of day can be put back or forward beside them."""

    def __init__(self, start: datetime, note: Callable[[datetime], None] | None = None) -> None:
        super().__init__(start, note)
        self._shift = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self._shift

    def set_by(self, **span: float) -> None:
        """Puts the time of day forward (or back, by negative values); takes what `timedelta` takes."""
        self._shift += timedelta(**span)
