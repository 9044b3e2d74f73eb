"""Making things go wrong on purpose, in a test."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from localaml.cli.failure import CliError
from localaml.cli.fault_rules import rule
from localaml_proto.admin.v1 import fault_pb2

if TYPE_CHECKING:
    from localaml.testing.emulators import Emulator

# How often the emulator may crash again before its rules are cleared after a test.
_MOST_CRASHES = 10


@dataclass(frozen=True)
class Fault:
    """A rule as the emulator knows it.

    Attributes:
        struck: how often it has struck so far.
        seen: at how many occasions it could have.
        used_up: whether it will strike no more.
    """

    fault_id: str
    kind: str
    struck: int
    seen: int
    used_up: bool


class Faults:
    """The faults of an emulator. As a context manager it removes all of them at its end.

    faults.add("error", method="RunService/GetRun", code="UNAVAILABLE", count=2)
    faults.add("throttle", method="bytes/PUT/*", retry_after_seconds=0.1, count=1)
    faults.add("node-evicted", cluster="cpu")
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def __enter__(self) -> Faults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A restart does not forget rules. One that crashes the emulator strikes a limited number of times.
        for attempt in range(_MOST_CRASHES, -1, -1):
            try:
                self._emulator.ensure_running()
                self.clear()
            except CliError:
                if self._emulator.is_running or not attempt:
                    raise
            else:
                return

    def add(self, kind: str, **details: Any) -> Fault:
        """Adds a rule; what it does to nodes that are there has been done when this returns.

        Args:
            kind: see `localaml fault add --help`.
            details: of the target (method, cluster, node, run, store, vm_size), of when (count, skip, every,
                probability, seed, start_seconds, end_seconds) and of the effect (code, reason, message, delay_seconds,
                retry_after_seconds, after, notice_seconds, point).

        Raises:
            TypeError: there is no such detail.
            CliError: this rule cannot be, or the emulator cannot be reached.
        """
        client = self._emulator.client
        request = fault_pb2.AddFaultRequest(fault=rule(kind, details))
        return _fault(client.call(client.faults.AddFault, request))

    def list(self) -> builtins.list[Fault]:
        """All rules, in the order of their addition."""
        client = self._emulator.client
        return [
            _fault(message) for message in client.call(client.faults.ListFaults, fault_pb2.ListFaultsRequest()).faults
        ]

    def clear(self, *fault_ids: str) -> int:
        """Removes rules (none named: all); returns how many."""
        client = self._emulator.client
        request = fault_pb2.ClearFaultsRequest(fault_ids=fault_ids)
        return int(client.call(client.faults.ClearFaults, request).cleared_count)


def _fault(message: fault_pb2.Fault) -> Fault:
    return Fault(message.fault_id, message.kind, message.struck_count, message.seen_count, message.used_up)
