"""A run's processes in containers: `compute.launch.processes.Processes` by way of the nodes' agents.

A process has one number here: that in its container, plus a multiple of `_NODE` for the place of its node in the plan.
The launcher is on the first node, so its number is the same on both sides.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from localaml.compute.docker.agents import Agent, AgentGone, numbers_in
from localaml.errors import LocalAmlError

# Far above any process id (4,194,304 at most).
_NODE = 1 << 32
# An agent answers within milliseconds; a machine under load, or a container that was frozen, takes longer.
_ANSWER_SECONDS = 15.0
# While processes are waited for, their agent is asked so often whether it is still there ...
SILENCE_SECONDS = 15.0
# ... and is lost when it has not answered in so long: a machine that swaps is not to lose its nodes.
HELLO_SECONDS = 45.0


class ContainerProcesses:
    """See `Processes`. Nodes whose agent does not answer have no processes.

    Args:
        agents: of the run's nodes, in their order.
    """

    def __init__(self, agents: Sequence[Agent]) -> None:
        self._agents = tuple(agents)

    async def find(self, variables: Mapping[str, str], *, session: int = 0, below: int = 0) -> list[int]:
        """Launchers have no guards here: the agent ends all that a run leaves in its container."""

        async def one(place: int) -> list[int]:
            # The launcher's session is on its node alone.
            answer = await self._ask(place, "find", variables=dict(variables), session=0 if place else session)
            return [place * _NODE + number for number in numbers_in(answer, "found")]

        found = await asyncio.gather(*(one(place) for place in range(len(self._agents))))
        return [number for numbers in found for number in numbers]

    async def environments(self, process_ids: Collection[int]) -> dict[int, Mapping[str, str]]:
        environments: dict[int, Mapping[str, str]] = {process_id: {} for process_id in process_ids}

        async def one(place: int, numbers: list[int]) -> None:
            answer = await self._ask(place, "environments", process_ids=numbers)
            told = answer.get("environments")
            for number, environment in zip(numbers, told if isinstance(told, list) else (), strict=False):
                if isinstance(environment, dict):
                    environments[place * _NODE + number] = environment

        await self._each_node(process_ids, one)
        return environments

    async def send(self, process_ids: Collection[int], signal_number: signal.Signals) -> None:
        async def one(place: int, numbers: list[int]) -> None:
            await self._ask(place, "send", process_ids=numbers, signal_number=int(signal_number))

        await self._each_node(process_ids, one)

    async def mortal(self, process_ids: Collection[int], signal_number: signal.Signals) -> list[int]:
        mortal: list[int] = []

        async def one(place: int, numbers: list[int]) -> None:
            answer = await self._ask(place, "mortal", process_ids=numbers, signal_number=int(signal_number))
            mortal.extend(place * _NODE + number for number in numbers_in(answer, "mortal"))

        await self._each_node(process_ids, one)
        return mortal

    async def wait_for_exit(self, process_id: int, start_time: str) -> None:
        place, number = divmod(process_id, _NODE)
        if start_time:
            await self._wait(place, {str(number): start_time})

    async def wait_for_exits(self, process_ids: Collection[int]) -> None:
        async def one(place: int, numbers: list[int]) -> None:
            await self._wait(place, {str(number): "" for number in numbers})

        await self._each_node(process_ids, one)

    async def reap(self, process_id: int) -> None:
        """The agent has done it."""

    async def end_group(self, leader: int) -> None:
        # The launcher is on the first node. What is left on others goes with the agent's `clear`.
        await self._ask(0, "send", process_ids=[-leader], signal_number=int(signal.SIGKILL))

    async def give_up(self, process_ids: Collection[int]) -> None:
        """Their agents are not believed any more: to look around finds their nodes lost."""
        for process_id in process_ids:
            self._agents[process_id // _NODE].is_believed = False

    async def _wait(self, place: int, processes: Mapping[str, str]) -> None:
        """Returns when they have ended; also when the agent, which is to tell, does nothing any more."""
        waiting = asyncio.ensure_future(self._ask(place, "wait", timeout_seconds=None, processes=dict(processes)))
        try:
            while not (await asyncio.wait({waiting}, timeout=SILENCE_SECONDS))[0]:
                try:
                    await self._agents[place].ask("hello", timeout_seconds=HELLO_SECONDS)
                except (AgentGone, LocalAmlError):
                    self._agents[place].is_believed = False
                    return
        finally:
            waiting.cancel()

    async def _ask(
        self, place: int, verb: str, *, timeout_seconds: float | None = _ANSWER_SECONDS, **fields: Any
    ) -> dict[str, Any]:
        try:
            return await self._agents[place].ask(verb, timeout_seconds=timeout_seconds, **fields)
        except (AgentGone, LocalAmlError):
            return {}

    async def _each_node(self, process_ids: Iterable[int], work: Callable[[int, list[int]], Awaitable[None]]) -> None:
        by_node: dict[int, list[int]] = {}
        for process_id in process_ids:
            place, number = divmod(process_id, _NODE)
            by_node.setdefault(place, []).append(number)
        await asyncio.gather(*(work(place, numbers) for place, numbers in by_node.items()))
