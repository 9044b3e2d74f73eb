"""Counts the calls that an emulator answers."""

from __future__ import annotations

from collections import Counter


class CallCounter:
    """How often each rpc was called since the emulator started, over gRPC and HTTP together, refused calls included."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def note(self, path: str) -> None:
        """One more call of a method, ``/localaml.v1.RunService/GetRun``."""
        self._counts[path.lstrip("/")] += 1

    def counts(self) -> dict[str, int]:
        """Calls by method, ``localaml.v1.RunService/GetRun``."""
        return dict(self._counts)
