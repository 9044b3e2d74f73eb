"""An orchestrator over a runtime without processes, for tests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.support.fake_runtime import FakeEnvironments, FakeRuntime

from localaml.clock import Clock, RealClock
from localaml.domain.job import JobSpec, Launch, PythonEnvironmentSpec
from localaml.domain.models import Cluster, ClusterKey, Run, RunKey, ScaleSettings, Snapshot, Workspace
from localaml.domain.names import ChildName, RunName, WorkspaceName
from localaml.domain.states import ProvisioningState, RunState
from localaml.jobs.disk_reserve import DiskReserve
from localaml.jobs.hooks import JobHooks
from localaml.jobs.identifiers import Identifiers
from localaml.jobs.job_tools import JobTools
from localaml.jobs.job_variables import Connection
from localaml.jobs.orchestrator import Orchestrator
from localaml.jobs.run_book import RunBook
from localaml.paths import StatePaths
from localaml.services.sealing import SecretSealer
from localaml.services.sweep_definition import StoredSweeps
from localaml.settings import LatencySettings, Settings
from localaml.storage.memory import MemoryStore
from localaml.store import Store

NAME = WorkspaceName("s", "g", "w")
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
S = RunState


class World:
    """An orchestrator over fakes, which can be stopped and started again."""

    def __init__(self, folder: Path, clock: Clock | None = None, hooks: JobHooks | None = None) -> None:
        self.paths = StatePaths(folder)
        self.clock = clock or RealClock()
        self.hooks = hooks or JobHooks()
        self.identifiers = Identifiers(random.Random(1))
        self.latency = LatencySettings()
        self.objects = MemoryStore()
        self.store = Store.open(self.paths.metadata)
        self.runtime = FakeRuntime()
        self.environments = FakeEnvironments()
        self.specs: dict[str, JobSpec] = {}
        self.orchestrator = self._orchestrator()
        self.store.workspaces.insert(Workspace(NAME, "wid", NOW))
        self.store.snapshots.put(Snapshot("wid", "snap", NOW, ()))

    def _orchestrator(self) -> Orchestrator:
        clock = self.clock
        tools = JobTools(
            store=self.store,
            book=RunBook(self.store, clock),
            objects=self.objects,
            runtime=self.runtime,
            environments=self.environments,
            settings=Settings(
                self.paths.root, self.paths.root / "cache", cancel_grace_seconds=0.1, latency=self.latency
            ),
            clock=clock,
            connection=lambda key: Connection("http://127.0.0.1:1", self.paths.endpoint, f"token-{key.run_id}"),
            job_sdk=Path("/sdk"),
            reserve=DiskReserve(self.paths.disk_reserve),
            base_environment={"HOME": "/root", "LANG": "of the machine", "SECRET": "x"},
            hooks=self.hooks,
        )
        return Orchestrator(
            tools,
            self.paths,
            self.identifiers,
            lambda run: self.specs[run.run_id if run.run_id in self.specs else run.parent_run_id or ""],
            StoredSweeps(SecretSealer(b"key"), clock.now),
            local_host_name="here",
            local_slots=2,
        )

    async def restart(self, *, closed: bool = False) -> None:
        if not closed:
            await self.orchestrator.close()
        self.runtime = FakeRuntime(self.runtime)
        self.orchestrator = self._orchestrator()
        await self.orchestrator.start()

    def cluster(
        self, low: int = 0, high: int = 2, idle: int = 60, name: str = "cpu", priority: str = "dedicated"
    ) -> ClusterKey:
        cluster = Cluster(
            ChildName(NAME, "computes", name),
            "wid",
            "Standard_D2_v2",
            priority,
            ScaleSettings(low, high, idle),
            ProvisioningState.SUCCEEDED,
            NOW,
            NOW,
            NOW,
            NOW,
        )
        return self.orchestrator.create_cluster(cluster).key

    def submit(self, run_id: str, nodes: int = 1, target: str = "cpu", vm_size: str = "", **spec: Any) -> Run:
        launch = Launch.MPI if nodes > 1 else Launch.SINGLE
        self.specs[run_id] = JobSpec(
            **{
                "script": "train.py",
                "command": (),
                "arguments": (),
                "launch": launch,
                "node_count": nodes,
                "processes_per_node": 1,
                "environment": PythonEnvironmentSpec(),
                "environment_variables": {},
                "data_references": (),
                **spec,
            }
        )
        run = Run(
            RunName(NAME, "e", run_id),
            "wid",
            0,
            "azureml.scriptrun",
            S.NOT_STARTED,
            NOW,
            True,
            target=target,
            snapshot_id="snap",
        )
        return self.orchestrator.submit_run(run, self.specs[run_id], vm_size=vm_size)

    def run(self, run_id: str) -> Run:
        return self.store.runs.get(self.key(run_id))

    def key(self, run_id: str) -> RunKey:
        return RunKey("wid", run_id)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)
        assert condition(), what

    async def state(self, run_id: str, state: RunState) -> Run:
        await self.until(lambda: self.run(run_id).state is state, f"{run_id} {state}")
        return self.run(run_id)

    def states(self, run_id: str) -> list[RunState]:
        return [change.state for change in self.run(run_id).state_changes]
