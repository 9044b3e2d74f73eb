"""A node runtime without processes: its jobs and nodes do what the test says, when it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from localaml.compute.runtime import ContainerPlan, LaunchPlan, LaunchResult, NodeSpec, RankExit
from localaml.domain.job import ContainerSpec, PythonEnvironmentSpec
from localaml.errors import FailedPrecondition, LocalAmlError
from localaml.jobs.environments.contract import PreparedEnvironment


class FakeJob:
    """Ends when the test calls `end`, or when it is terminated."""

    def __init__(self, plan: LaunchPlan) -> None:
        self.plan = plan
        self.handle: Mapping[str, Any] = {"fake": plan.label}
        self.terminated = False
        self.lost: list[str] = []
        self.exit_code: int | None = None
        # What it does at SIGTERM: nothing, or end with this code.
        self.deaf = False
        self.exit_code_at_term = 143
        self._result: asyncio.Future[LaunchResult] = asyncio.get_running_loop().create_future()

    def end(self, exit_code: int = 0) -> None:
        count = self.plan.process_count
        ranks = tuple(RankExit(rank, exit_code) for rank in range(count))
        reason = "USER_SCRIPT_FAILED" if exit_code else ""
        if not self._result.done():
            self.exit_code = exit_code
            self._result.set_result(
                LaunchResult(exit_code, ranks, count, f"exit {exit_code}" if exit_code else "", reason)
            )

    async def wait(self) -> LaunchResult:
        result = await asyncio.shield(self._result)
        for _ in range(5):  # as with real processes, it takes a moment to be found out
            await asyncio.sleep(0)
        return result

    async def terminate(self, grace_seconds: float) -> None:
        self.terminated = True
        if not self.deaf:
            self.end(self.exit_code_at_term)
        await self.wait()

    async def lose_node(self, node_id: str) -> None:
        self.lost.append(node_id)
        self.end(205)


class FakeRuntime:
    """Remembers what it was asked for.

    Args:
        earlier: the runtime of the emulator before this one: what is on the machine is there still.
    """

    name = "fake"

    def __init__(self, earlier: FakeRuntime | None = None) -> None:
        self._earlier = earlier.jobs if earlier is not None else {}
        self.nodes: dict[str, NodeSpec] = dict(earlier.nodes) if earlier is not None else {}
        self.jobs: dict[str, FakeJob] = {}
        self.launched: list[str] = []
        self.adopted: list[str] = []
        self.kept_labels: frozenset[str] = frozenset()
        self.broken = earlier.broken if earlier is not None else False
        self.hold_nodes: asyncio.Event | None = None
        # What `stop_node` fails with, as long as it is set.
        self.stop_error: LocalAmlError | None = None
        self.note = ""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def runs_in_containers(self, node: NodeSpec) -> bool:
        return node.runtime == "docker"

    def free_addresses(self, nodes: Sequence[NodeSpec]) -> list[str]:
        return [f"127.0.0.1:{12000 + place}" for place, _ in enumerate(nodes)]

    def network_interface(self, nodes: Sequence[NodeSpec]) -> str:
        return "lo"

    def watch_nodes(self, lost: Callable[[str, str], None], recovered: Callable[[], None] | None = None) -> None:
        self.lost, self.recovered = lost, recovered

    def lacks_gpus(self, node: NodeSpec) -> str:
        return ""

    def node_note(self, node: NodeSpec) -> str:
        return self.note

    async def start_node(self, node: NodeSpec) -> None:
        if self.hold_nodes is not None:
            await self.hold_nodes.wait()
        if self.broken:
            raise FailedPrecondition("NO_MORE_NODES", "The pretended cloud has no more nodes.")
        self.nodes[node.node_id] = node

    async def cut_off(self, node: NodeSpec) -> None:
        raise FailedPrecondition("NODES_SHARE_NETWORK", "They have none.")

    async def stop_node(self, node: NodeSpec) -> None:
        if self.stop_error is not None:
            raise self.stop_error
        self.nodes.pop(node.node_id, None)

    async def launch(self, plan: LaunchPlan) -> FakeJob:
        assert all(node.node_id in self.nodes for node in plan.nodes)
        self.launched.append(plan.label)
        return self._job(plan)

    async def adopt(self, plan: LaunchPlan, handle: Mapping[str, Any]) -> FakeJob:
        self.adopted.append(plan.label)
        job = self._job(plan)
        before = self._earlier.get(plan.label.rpartition("/")[2])
        if before is not None and before.exit_code is not None:
            job.end(before.exit_code)
        return job

    def _job(self, plan: LaunchPlan) -> FakeJob:
        job = FakeJob(plan)
        self.jobs[plan.label.rpartition("/")[2]] = job
        return job

    async def end_leftovers(self, keep_labels: frozenset[str]) -> int:
        self.kept_labels = keep_labels
        return 0


class FakeEnvironments:
    """Environments that are ready at once, or when the test says so."""

    def __init__(self) -> None:
        self.hold: asyncio.Event | None = None
        self.error: Exception | None = None
        self.containers: list[ContainerSpec | None] = []

    async def prepare(
        self,
        spec: PythonEnvironmentSpec,
        *,
        mpi: bool,
        log: Callable[[str], None],
        container: ContainerSpec | None = None,
    ) -> PreparedEnvironment:
        log("preparing")
        self.containers.append(container)
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        plan = None
        if container is not None:
            plan = ContainerPlan("sha256:1", "/usr/bin/python3", environment={"PATH": "/image/bin", "OF_IMAGE": "1"})
        return PreparedEnvironment(Path("/usr/bin/python3"), (3, 11), Path("/usr/bin"), container=plan)
