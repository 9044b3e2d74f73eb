"""All servicers over a real store, a real orchestrator and a runtime without processes."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tests.support.fake_runtime import FakeEnvironments, FakeRuntime

from localaml.clock import RealClock
from localaml.domain.models import RunKey
from localaml.jobs.disk_reserve import DiskReserve
from localaml.jobs.identifiers import Identifiers
from localaml.jobs.job_tools import JobTools
from localaml.jobs.job_variables import Connection
from localaml.jobs.orchestrator import Orchestrator
from localaml.jobs.run_book import RunBook
from localaml.paths import StatePaths, content_key
from localaml.services import build_services
from localaml.services.context import EmulatorInfo, ServiceContext
from localaml.services.definition import stored_job_spec
from localaml.services.rpc import Caller, snake_case
from localaml.services.sealing import SecretSealer
from localaml.services.sweep_definition import StoredSweeps
from localaml.services.tokens import UrlSigner
from localaml.settings import EnvironmentSettings, Settings
from localaml.storage.memory import MemoryStore
from localaml.store import Store
from localaml_proto.v1 import compute_pb2, run_definition_pb2, run_pb2, snapshot_pb2, workspace_pb2

OWNER = Caller(is_owner=True)
GROUP = "subscriptions/sub/resourceGroups/group"
WORKSPACE = f"{GROUP}/workspaces/ws"
EXPERIMENT = f"{WORKSPACE}/experiments/exp"
SCRIPT = b"print('hello')\n"


class Emulated:
    """An emulator without transports. `call` and `stream` are the rpcs."""

    def __init__(self, folder: Path, environments: EnvironmentSettings | None = None) -> None:
        self.paths = StatePaths(folder)
        self.store = Store.open(self.paths.metadata)
        self.objects = MemoryStore()
        self.runtime = FakeRuntime()
        self.environments = FakeEnvironments()
        self.settings = Settings(
            folder,
            folder / "cache",
            cancel_grace_seconds=0.1,
            snapshot_file_limit=20,
            environments=environments or EnvironmentSettings(),
        )
        clock = RealClock()
        tools = JobTools(
            store=self.store,
            book=RunBook(self.store, clock),
            objects=self.objects,
            runtime=self.runtime,
            environments=self.environments,
            settings=self.settings,
            clock=clock,
            connection=lambda key: Connection("http://127.0.0.1:1", self.paths.endpoint, f"token-{key.run_id}"),
            job_sdk=Path("/sdk"),
            reserve=DiskReserve(self.paths.disk_reserve),
            base_environment={},
        )
        identifiers = Identifiers(random.Random(1))
        sealer = SecretSealer(b"key")
        self.orchestrator = Orchestrator(
            tools,
            self.paths,
            identifiers,
            lambda run: stored_job_spec(run, sealer),
            StoredSweeps(sealer, clock.now),
            local_host_name="here",
            local_slots=2,
        )
        self.shutdowns = 0
        self.context = ServiceContext(
            store=self.store,
            orchestrator=self.orchestrator,
            runtime=self.runtime,
            objects=self.objects,
            environments=self.environments,
            sealer=sealer,
            urls=UrlSigner(b"key", lambda: "http://127.0.0.1:1", clock, 60),
            clock=clock,
            settings=self.settings,
            info=lambda: EmulatorInfo(
                "0.1.0", folder, 7, "127.0.0.1:1", "http://127.0.0.1:2", _START, self.runtime.name, False
            ),
            shutdown=self._shut_down,
            identifiers=identifiers,
        )
        self._services = {service.SERVICE: service for service in build_services(self.context)}  # type: ignore[attr-defined]

    def _shut_down(self) -> None:
        self.shutdowns += 1

    async def call(self, method: str, request: Any, caller: Caller = OWNER) -> Any:
        """An unary rpc, `RunService/GetRun`."""
        return await self._method(method)(request, caller)

    def stream(self, method: str, request: Any, caller: Caller = OWNER) -> AsyncGenerator[Any, None]:
        """A streaming rpc."""
        answers: AsyncGenerator[Any, None] = self._method(method)(request, caller)
        return answers

    def _method(self, method: str) -> Any:
        service, _, name = method.partition("/")
        admin = ("AdminService", "EventService", "FaultService", "StateService")
        package = "localaml.admin.v1" if service in admin else "localaml.v1"
        return getattr(self._services[f"{package}.{service}"], snake_case(name))

    # -- what many tests begin with -----------------------------------------------------------------------------------

    async def workspace(self, name: str = "ws") -> workspace_pb2.Workspace:
        request = workspace_pb2.CreateWorkspaceRequest(parent=GROUP, workspace_name=name, allow_existing=True)
        made: workspace_pb2.Workspace = await self.call("WorkspaceService/CreateWorkspace", request)
        return made

    async def workspace_id(self) -> str:
        return (await self.workspace()).workspace_id

    async def cluster(self, name: str = "cpu", **scale: int) -> compute_pb2.ComputeTarget:
        settings = {"max_node_count": 4, "idle_seconds_before_scaledown": 60, **scale}
        request = compute_pb2.CreateComputeTargetRequest(
            parent=WORKSPACE,
            compute_target_name=name,
            compute_target=compute_pb2.ComputeTarget(
                vm_size="STANDARD_D2_V2", scale_settings=compute_pb2.ScaleSettings(**settings)
            ),
        )
        made: compute_pb2.ComputeTarget = await self.call("ComputeService/CreateComputeTarget", request)
        return made

    async def snapshot(self, *paths: str) -> str:
        """The id of a snapshot of files with the same content."""
        sha256 = hashlib.sha256(SCRIPT).hexdigest()
        await self.put(content_key(await self.workspace_id(), sha256), SCRIPT)
        entries = [
            snapshot_pb2.SnapshotEntry(path=path, sha256=sha256, size_bytes=len(SCRIPT))
            for path in paths or ("train.py",)
        ]
        request = snapshot_pb2.CreateSnapshotRequest(parent=WORKSPACE, entries=entries)
        answer = await self.call("SnapshotService/CreateSnapshot", request)
        return str(answer.snapshot.snapshot_id)

    async def put(self, key: str, data: bytes) -> None:
        writer = await self.objects.open_writer(key)
        await writer.write(data)
        await writer.commit()

    async def submit(
        self,
        definition: Mapping[str, Any] | None = None,
        parent: str = EXPERIMENT,
        caller: Caller = OWNER,
        **request: Any,
    ) -> run_pb2.Run:
        """A run of train.py on `local`, unless `definition` (proto3 JSON) says otherwise."""
        values = {"script": "train.py", "nodeCount": 1, "target": "local", **(definition or {})}
        message = run_pb2.SubmitRunRequest(
            parent=parent,
            definition=json_format.ParseDict(values, run_definition_pb2.RunDefinition()),
            snapshot_id=await self.snapshot(),
            **request,
        )
        run: run_pb2.Run = await self.call("RunService/SubmitRun", message, caller)
        return run

    async def create_run(
        self, run_id: str, parent: str = EXPERIMENT, caller: Caller = OWNER, **request: Any
    ) -> run_pb2.Run:
        """A run that its caller performs."""
        message = run_pb2.CreateRunRequest(parent=parent, run_id=run_id, **request)
        run: run_pb2.Run = await self.call("RunService/CreateRun", message, caller)
        return run

    async def key(self, run: run_pb2.Run) -> RunKey:
        return RunKey(await self.workspace_id(), run.run_id)

    async def until(self, run: run_pb2.Run, state: run_pb2.RunState, seconds: float = 10) -> run_pb2.Run:
        """The run once it is in this state."""

        async def watch() -> run_pb2.Run:
            async for seen in self.stream("RunService/WatchRun", run_pb2.WatchRunRequest(name=run.name)):
                if seen.state == state:
                    return seen  # type: ignore[no-any-return]  # `stream` is about all messages
            raise AssertionError(f"the run ended without being in state {state}")

        return await asyncio.wait_for(watch(), seconds)


_START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@asynccontextmanager
async def emulated(folder: Path, environments: EnvironmentSettings | None = None) -> AsyncGenerator[Emulated, None]:
    """A started one, with the workspace of `WORKSPACE`."""
    emulator = Emulated(folder, environments)
    await emulator.orchestrator.start()
    await emulator.workspace()
    try:
        yield emulator
    finally:
        await emulator.orchestrator.close()
        assert emulator.store.changes.subscription_count == 0, "a stream left its subscription behind"
        emulator.store.close()
