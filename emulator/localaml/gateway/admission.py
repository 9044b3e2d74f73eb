"""Which connections the HTTP port has, and which of them go or wait when there are too many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from localaml.descriptors import connection_shares
from localaml.errors import Unavailable
from localaml.settings import Settings

# A body has to make progress by so much within `stall_seconds`.
PROGRESS_BYTES = 4096


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one client may cost the others.

    Attributes:
        head_seconds: until the head of a request is complete, counted from its first byte (of a connection's first
            request: from the connection).
        stall_seconds: a body that did not go on by `PROGRESS_BYTES` for so long is given up, in both directions.
        connections: at a time.
        of_others: how many of these may be busy with requests that are not the owner's.
    """

    head_seconds: float = 20.0
    stall_seconds: float = 120.0
    connections: int = 1024
    of_others: int = 896


def http_limits(settings: Settings) -> HttpLimits:
    """Limits by the descriptors that this process may have."""
    shares = connection_shares()
    return HttpLimits(settings.request_head_seconds, settings.request_stall_seconds, shares.http, shares.http_of_others)


class Guest(Protocol):
    """A connection, as far as admission knows it."""

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered, nor complete enough to be."""
        ...

    @property
    def has_asked(self) -> bool:
        """Whether it ever had a request answered."""
        ...

    def abort(self) -> None: ...


class Room:
    """All connections, the oldest first.

    Args:
        is_owner: whether the value of an `authorization` header is the owner's.
    """

    def __init__(self, limits: HttpLimits, is_owner: Callable[[str | None], bool]) -> None:
        self.limits = limits
        self._is_owner = is_owner
        self._guests: dict[Guest, None] = {}
        self._busy_others = 0

    def __len__(self) -> int:
        return len(self._guests)

    def __iter__(self) -> Iterator[Guest]:
        return iter(list(self._guests))

    def add(self, guest: Guest) -> None:
        self._guests[guest] = None

    def discard(self, guest: Guest) -> None:
        self._guests.pop(guest, None)

    def make(self) -> bool:
        """Ends the connection that has waited longest without a complete request, first one that never had any; False
        when all are busy."""
        waiting = [guest for guest in self._guests if guest.is_waiting]
        chosen = next((guest for guest in waiting if not guest.has_asked), waiting[0] if waiting else None)
        if chosen is None:
            return False
        self.discard(chosen)
        chosen.abort()
        return True

    def enter(self, authorization: str | None) -> Callable[[], None]:
        """A request begins to be answered; returns what to call at its end.

        Raises:
            Unavailable: ``TOO_MANY_CONNECTIONS``: what is left is the owner's.
        """
        if self._is_owner(authorization):
            return lambda: None
        if self._busy_others >= self.limits.of_others:
            raise too_many()
        self._busy_others += 1
        return self._leave

    def _leave(self) -> None:
        self._busy_others -= 1


def too_many() -> Unavailable:
    """What is told to who has to wait."""
    return Unavailable(
        "TOO_MANY_CONNECTIONS",
        "The emulator has as many connections as it can. Try again in a moment, or let it have more open files "
        "(ulimit -n) and start it anew.",
        {"retry_after": "1"},
    )
