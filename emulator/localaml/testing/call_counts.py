"""Counting the calls that an emulator gets while a test does something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from localaml.cli.client import Client, connect
from localaml_proto.admin.v1 import admin_pb2

# Made by the counting itself.
_COUNTING = ("localaml.admin.v1.AdminService/CountCalls", "localaml.admin.v1.AdminService/GetInfo")
# The emulator's process id, kept beside the counts.
_PROCESS = ""


class CallCounts(Mapping[str, int]):
    """Calls by method, ``RunService/GetRun``; 0 for a method that was not called.

    While they are being counted a look asks the emulator; afterwards they stay as they were. Calls of all its clients
    count, jobs among them, over gRPC and HTTP alike.
    """

    def __init__(self, client: Client) -> None:
        self._client: Client | None = client
        self._before = _ask(client)
        self._counts: dict[str, int] = {}

    def __getitem__(self, method: str) -> int:
        return self._now().get(method, 0)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._now()))

    def __len__(self) -> int:
        return len(self._now())

    def __repr__(self) -> str:
        return f"CallCounts({dict(self)})"

    def freeze(self) -> None:
        """Counts no further."""
        self._counts = self._now()
        self._client = None

    def _now(self) -> dict[str, int]:
        if self._client is None:
            return self._counts
        after = _ask(self._client)
        # An emulator that was started again has begun anew.
        before = self._before if after[_PROCESS] == self._before[_PROCESS] else {}
        return {
            path.rpartition(".")[2]: count - before.get(path, 0)
            for path, count in after.items()
            if path not in (_PROCESS, *_COUNTING) and count > before.get(path, 0)
        }


@contextmanager
def count_calls() -> Iterator[CallCounts]:
    """Counts the calls to the emulator that the environment names, by method, for the time of the block.

    with count_calls() as calls:
        experiment.submit(estimator)
    assert calls["RunService/SubmitRun"] == 1
    """
    with connect(None) as client:
        counts = CallCounts(client)
        yield counts
        counts.freeze()


def _ask(client: Client) -> dict[str, int]:
    process_id = client.call(client.admin.GetInfo, admin_pb2.GetInfoRequest()).process_id
    counts = client.call(client.admin.CountCalls, admin_pb2.CountCallsRequest()).counts
    return {**counts, _PROCESS: process_id}
