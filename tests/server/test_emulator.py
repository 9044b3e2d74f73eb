"""The emulator as an object and as a process: it starts, answers on both planes, stops, and leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.gateway.http_client import open_files
from tests.support.emulator_process import EmulatorProcess, processes_of
from tests.support.fake_runtime import FakeEnvironments, FakeRuntime
from tests.support.waiting import wait_until

from localaml.errors import FailedPrecondition
from localaml.server import Emulator
from localaml.settings import Settings
from localaml_proto.admin.v1 import admin_pb2, admin_pb2_grpc
from localaml_proto.v1 import workspace_pb2, workspace_pb2_grpc

MakeEmulator = Callable[..., Emulator]
GROUP = "subscriptions/s/resourceGroups/g"


@pytest.fixture
def make(tmp_path: Path) -> MakeEmulator:
    def make(name: str = "state", **settings: Any) -> Emulator:
        return Emulator(
            Settings(state_dir=tmp_path / name, cache_dir=tmp_path / "cache", **settings),
            runtime=FakeRuntime(),
            environments=FakeEnvironments(),
        )

    return make


def metadata(emulator: Emulator) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {emulator.token}"),)


async def create_workspace(emulator: Emulator, name: str = "ws") -> workspace_pb2.Workspace:
    async with grpc.aio.insecure_channel(emulator.grpc_address) as channel:
        stub: Any = workspace_pb2_grpc.WorkspaceServiceStub(channel)
        request = workspace_pb2.CreateWorkspaceRequest(parent=GROUP, workspace_name=name)
        return await stub.CreateWorkspace(request, metadata=metadata(emulator))


async def list_workspaces(emulator: Emulator) -> list[str]:
    """Over HTTP."""
    request = urllib.request.Request(
        f"{emulator.http_address}/localaml.v1.WorkspaceService/ListWorkspaces",
        b"{}",
        {"Content-Type": "application/json", "Authorization": f"Bearer {emulator.token}"},
    )
    answer = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).read()))
    return [workspace["name"] for workspace in answer.get("workspaces", [])]


async def health(emulator: Emulator) -> str:
    def ask() -> str:
        with urllib.request.urlopen(f"{emulator.http_address}/healthz", timeout=10) as answer:
            return answer.read().decode()

    return await asyncio.to_thread(ask)


async def test_serves_both_planes_and_finds_everything_again(make: MakeEmulator) -> None:
    async with make() as emulator:
        workspace = await create_workspace(emulator)
        assert await list_workspaces(emulator) == [workspace.name]
        assert await health(emulator) == "ok"
        endpoint = json.loads(emulator.paths.endpoint.read_text())
        assert endpoint["http_address"] == emulator.http_address
        assert endpoint["grpc_address"] == emulator.grpc_address
        assert endpoint["process_id"] == os.getpid()
        assert Path(endpoint["token_file"]).read_text() == emulator.token
        addresses = (emulator.http_address, emulator.grpc_address, emulator.token)
    assert not emulator.paths.endpoint.exists()
    async with make() as again:
        assert (again.http_address, again.grpc_address, again.token) == addresses
        assert await list_workspaces(again) == [workspace.name]


async def test_health_and_reflection(make: MakeEmulator) -> None:
    async with make() as emulator, grpc.aio.insecure_channel(emulator.grpc_address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for service in ("", "localaml.v1.RunService", "localaml.admin.v1.AdminService"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for answer in reflection.ServerReflectionInfo(iter([request])):
            names = {service.name for service in answer.list_services_response.service}
            assert {"localaml.v1.RunService", "localaml.v1.WorkspaceService", "grpc.health.v1.Health"} <= names


async def test_two_in_one_process_know_nothing_of_each_other(make: MakeEmulator) -> None:
    async with make("one") as one, make("two") as two:
        await create_workspace(one, "first")
        await create_workspace(two, "second")
        assert [name.rpartition("/")[2] for name in await list_workspaces(one)] == ["first"]
        assert [name.rpartition("/")[2] for name in await list_workspaces(two)] == ["second"]
        one.token, token = two.token, one.token
        with pytest.raises(urllib.error.HTTPError) as caught:
            await list_workspaces(one)
        assert caught.value.code == 401
        caught.value.close()
        one.token = token
    async with make("two") as two:
        assert len(await list_workspaces(two)) == 1


async def test_second_emulator_on_a_state_dir(make: MakeEmulator) -> None:
    async with make() as emulator:
        with pytest.raises(FailedPrecondition) as caught:
            await make().start()
        assert caught.value.reason == "STATE_DIR_IN_USE"
        assert await health(emulator) == "ok"
        assert emulator.paths.endpoint.exists()


async def test_start_that_fails_leaves_nothing(make: MakeEmulator) -> None:
    async with make("one") as one:
        port = int(one.http_address.rpartition(":")[2])
        for settings in ({"http_port": port}, {"port": port}, {"host": "0.0.0.0"}):
            with pytest.raises(FailedPrecondition):
                await make("two", **settings).start()
        with pytest.raises(FailedPrecondition):
            await make("three", http_port=port, ephemeral=True).start()
        assert not (one.paths.root.parent / "three").exists()
    async with make("two") as two:
        assert await health(two) == "ok"


async def test_shutdown_is_answered_first(make: MakeEmulator) -> None:
    emulator = make()
    await emulator.start()
    async with grpc.aio.insecure_channel(emulator.grpc_address) as channel:
        stub: Any = admin_pb2_grpc.AdminServiceStub(channel)
        info = await stub.GetInfo(admin_pb2.GetInfoRequest(), metadata=metadata(emulator))
        assert (info.grpc_address, info.compute_runtime, info.process_id) == (
            emulator.grpc_address,
            "fake",
            os.getpid(),
        )
        await stub.Shutdown(admin_pb2.ShutdownRequest(), metadata=metadata(emulator))
    await asyncio.wait_for(emulator.wait_closed(), 10)
    assert not emulator.paths.endpoint.exists()
    await emulator.close()
    with pytest.raises(urllib.error.URLError):
        await health(emulator)


async def test_followers_do_not_hold_the_stop_up(make: MakeEmulator) -> None:
    emulator = make()
    await emulator.start()
    await create_workspace(emulator)
    async with grpc.aio.insecure_channel(emulator.grpc_address) as channel:
        stub: Any = _compute_stub(channel)
        name = f"{GROUP}/workspaces/ws/computes/cpu"
        await stub.CreateComputeTarget(_cluster_request(), metadata=metadata(emulator))
        watch = stub.WatchComputeTarget(_watch_request(name), metadata=metadata(emulator))
        assert (await watch.read()).name == name
        loop = asyncio.get_running_loop()
        started = loop.time()
        await emulator.close()
        assert loop.time() - started < 1.5
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await watch.read() is not grpc.aio.EOF:
                pass
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "stops" in str(caught.value.details())


def _compute_stub(channel: grpc.aio.Channel) -> Any:
    from localaml_proto.v1 import compute_pb2_grpc

    return compute_pb2_grpc.ComputeServiceStub(channel)


def _cluster_request() -> Any:
    from localaml_proto.v1 import compute_pb2

    return compute_pb2.CreateComputeTargetRequest(
        parent=f"{GROUP}/workspaces/ws",
        compute_target_name="cpu",
        compute_target=compute_pb2.ComputeTarget(
            vm_size="STANDARD_D2_V2", scale_settings=compute_pb2.ScaleSettings(max_node_count=2)
        ),
    )


def _watch_request(name: str) -> Any:
    from localaml_proto.v1 import compute_pb2

    return compute_pb2.WatchComputeTargetRequest(name=name)


async def test_without_token_requirement(make: MakeEmulator) -> None:
    async with make(require_token=False) as emulator:
        emulator.token = "anything"
        assert await list_workspaces(emulator) == []


async def test_nothing_is_left_of_it_in_the_process(make: MakeEmulator) -> None:
    async with make() as emulator:
        await list_workspaces(emulator)
    gc.collect()
    # The loop's pool of threads may grow to its size; those of the emulator must go.
    files, threads = open_files(), {thread.name for thread in threading.enumerate()}
    for _ in range(3):
        async with make() as emulator:
            await create_workspace(emulator, "again") if not await list_workspaces(emulator) else None
    gc.collect()
    wait_until(lambda: not any("bytes" in thread.name for thread in threading.enumerate()), 5, "threads to end")
    assert open_files() <= files
    assert {
        name for name in {thread.name for thread in threading.enumerate()} - threads if "asyncio" not in name
    } == set()


async def test_ephemeral_is_gone_after_the_stop(make: MakeEmulator, tmp_path: Path) -> None:
    async with make("e", ephemeral=True) as emulator:
        await create_workspace(emulator)
        assert (tmp_path / "e/metadata.sqlite3").exists()
    assert not (tmp_path / "e").exists()
    runtime = emulator._runtime
    assert isinstance(runtime, FakeRuntime)
    assert runtime.kept_labels == frozenset()


@pytest.fixture
async def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A folder of temporary files of our own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield folder
    monkeypatch.undo()
    monkeypatch.setattr("tempfile.tempdir", None)


async def test_what_a_killed_ephemeral_emulator_left_is_removed_by_the_next(
    make: MakeEmulator, temporary: Path, tmp_path: Path
) -> None:
    state_dir = temporary / "localaml-x"
    killed = EmulatorProcess(state_dir, tmp_path / "cache", ephemeral=True).start()
    marker = {**os.environ, "LOCALAML_STATE_DIR": str(state_dir), "LOCALAML_RUN_LABEL": "w/r"}
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=marker, start_new_session=True
    ) as job:
        try:
            wait_until(lambda: job.pid in processes_of(state_dir), 10, "the job to start")
            killed.kill()
            assert state_dir.exists()
            async with make():
                await asyncio.to_thread(wait_until, lambda: not state_dir.exists(), 20, "the folder to go")
                assert await asyncio.to_thread(job.wait, 10) == -signal.SIGKILL
        finally:
            job.kill()


def test_process_stops_at_a_signal(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        process = EmulatorProcess(tmp_path / "state", tmp_path / "cache").start()
        assert process._process is not None
        process._process.send_signal(number)
        assert process._process.wait(timeout=20) == 0
        assert not (tmp_path / "state/endpoint.json").exists()


def test_process_that_was_killed_is_found_at_the_same_address(tmp_path: Path) -> None:
    process = EmulatorProcess(tmp_path / "state", tmp_path / "cache").start()
    before = process.endpoint
    process.kill()
    with process as again:
        for name in ("http_address", "grpc_address"):
            assert again.endpoint[name] == before[name]
        assert again.endpoint["process_id"] != before["process_id"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{", "not JSON"),
        ('{"state_dir": "/proc/x", "cache_dir": "/tmp"}', "/proc/x"),
        ('{"state_dir": "/tmp", "cache_dir": "/tmp", "colour": 1}', "colour"),
        ('{"state_dir": "/nowhere", "cache_dir": "/tmp", "host": "0.0.0.0"}', "allow_remote"),
    ],
)
def test_process_that_cannot_start_says_why(settings: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "localaml.server", "--settings-json", "-"],
        input=settings,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
