"""The processes of one run, wherever they are: on this machine, or in containers."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Mapping
from typing import Protocol

from localaml.clock import Clock
from localaml.compute.launch.exits import reap, wait_for_exit, wait_for_exits
from localaml.compute.launch.table import ProcessTable


class Processes(Protocol):
    """Looks processes up, signals them, waits for them. Ids are numbers that are unique among a run's nodes."""

    async def find(self, variables: Mapping[str, str], *, session: int = 0, below: int = 0) -> list[int]:
        """Ids of living processes that have all these variables, or are in the session (0: of none), or descend from
        the process `below` (0: from none; only where launchers have guards)."""
        ...

    async def environments(self, process_ids: Collection[int]) -> dict[int, Mapping[str, str]]:
        """The environment that each was started with; empty when it cannot be read."""
        ...

    async def send(self, process_ids: Collection[int], signal_number: signal.Signals) -> None:
        """Sends a signal; processes that have gone are fine."""
        ...

    async def mortal(self, process_ids: Collection[int], signal_number: signal.Signals) -> list[int]:
        """Those that neither catch nor ignore nor block the signal, as far as that is known."""
        ...

    async def wait_for_exit(self, process_id: int, start_time: str) -> None:
        """Returns when the process that had this id and start time has ended."""
        ...

    async def wait_for_exits(self, process_ids: Collection[int]) -> None:
        """Returns when all these processes, which live now, have ended."""
        ...

    async def reap(self, process_id: int) -> None:
        """Takes a dead child's corpse away."""
        ...

    async def end_group(self, leader: int) -> None:
        """Ends a process group in one step, where that is needed: a process whose place is always taken by another is
        gone whenever it is looked for."""
        ...

    async def give_up(self, process_ids: Collection[int]) -> None:
        """They were killed, and are said to be there for far too long: where somebody may tell lies about them, nothing
        more is heard of them."""
        ...


class LocalProcesses:
    """`Processes` of this machine."""

    def __init__(self, table: ProcessTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def find(self, variables: Mapping[str, str], *, session: int = 0, below: int = 0) -> list[int]:
        return self._table.find(variables, session=session, below=below)

    async def environments(self, process_ids: Collection[int]) -> dict[int, Mapping[str, str]]:
        return {process_id: self._table.environment(process_id) for process_id in process_ids}

    async def send(self, process_ids: Collection[int], signal_number: signal.Signals) -> None:
        self._table.send(tuple(process_ids), signal_number)

    async def mortal(self, process_ids: Collection[int], signal_number: signal.Signals) -> list[int]:
        return [process_id for process_id in process_ids if self._table.dies_of(process_id, signal_number)]

    async def wait_for_exit(self, process_id: int, start_time: str) -> None:
        await wait_for_exit(process_id, start_time, self._table, self._clock)

    async def wait_for_exits(self, process_ids: Collection[int]) -> None:
        await wait_for_exits(process_ids, self._table, self._clock)

    async def reap(self, process_id: int) -> None:
        reap(process_id)

    async def end_group(self, leader: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)

    async def give_up(self, process_ids: Collection[int]) -> None:
        """The kernel tells no lies: they end when what they wait for in it comes to its end."""
