"""Logs and artifacts: live ones, kept ones, and the moment when one becomes the other."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from tests.services.harness import Emulated

from localaml.domain.models import Artifact
from localaml.errors import AlreadyExists, InvalidArgument, NotFound
from localaml.paths import artifact_key
from localaml_proto.v1 import artifact_pb2, resources_pb2, run_pb2

LOG = "azureml-logs/80_driver_log.txt"
R = run_pb2


async def _running(emulator: Emulated) -> tuple[run_pb2.Run, Path]:
    """A running run and the path of its driver log."""
    run = await emulator.submit()
    await emulator.until(run, R.RUN_STATE_RUNNING)
    return run, emulator.paths.run(await emulator.key(run)).logs / "80_driver_log.txt"


async def _read(emulator: Emulated, run: run_pb2.Run, offset: int = 0, follow: bool = False, log: str = LOG) -> bytes:
    request = R.ReadRunLogRequest(name=run.name, log_name=log, offset=offset, follow=follow)
    data = b""
    async for chunk in emulator.stream("RunService/ReadRunLog", request):
        assert chunk.offset == offset + len(data), "no gap and nothing twice"
        assert 0 < len(chunk.data) <= 256 * 1024
        data += chunk.data
    return data


async def _artifacts(emulator: Emulated, run: run_pb2.Run, **values: Any) -> list[str]:
    request = artifact_pb2.ListArtifactsRequest(parent=run.name, **values)
    return [each.path for each in (await emulator.call("ArtifactService/ListArtifacts", request)).artifacts]


async def _keep(emulator: Emulated, run: run_pb2.Run, path: str, data: bytes = b"kept") -> None:
    """Makes an artifact as the byte plane does."""
    key = await emulator.key(run)
    object_key = artifact_key(key, path)
    await emulator.put(object_key, data)
    emulator.store.artifacts.put(Artifact(key, path, len(data), emulator.context.clock.now(), object_key))


async def test_a_live_log_is_shown_read_and_followed_into_the_artifact(emulator: Emulated) -> None:
    run, path = await _running(emulator)
    path.write_bytes(b"one\n")
    assert LOG in await _artifacts(emulator, run)
    logs = (await emulator.call("RunService/ListRunLogs", R.ListRunLogsRequest(name=run.name))).logs
    (url,) = [log.url for log in logs if log.path == LOG]
    assert "/bytes/log/" in url
    assert await _read(emulator, run) == b"one\n"
    assert await _read(emulator, run, offset=2) == b"e\n"
    assert await _read(emulator, run, offset=99) == b""

    follower = asyncio.ensure_future(_read(emulator, run, follow=True))
    late = asyncio.ensure_future(_read(emulator, run, offset=4, follow=True))
    with path.open("ab") as file:
        for number in range(50):
            file.write(f"{number}\n".encode())
            file.flush()
            await asyncio.sleep(0)
    emulator.runtime.jobs[run.run_id].end()
    whole = await asyncio.wait_for(follower, 10)
    assert whole == b"one\n" + b"".join(f"{number}\n".encode() for number in range(50))
    assert await asyncio.wait_for(late, 10) == whole[4:]

    await emulator.until(run, R.RUN_STATE_COMPLETED)
    logs = (await emulator.call("RunService/ListRunLogs", R.ListRunLogsRequest(name=run.name))).logs
    (url,) = [log.url for log in logs if log.path == LOG]
    assert "/bytes/artifact/" in url
    assert await _read(emulator, run) == await _read(emulator, run, follow=True) == whole
    assert await _read(emulator, run, offset=len(whole)) == b""


async def test_following_begins_before_the_log_is_there(emulator: Emulated) -> None:
    emulator.environments.hold = asyncio.Event()
    run = await emulator.submit()
    follower = asyncio.ensure_future(_read(emulator, run, follow=True))
    await emulator.until(run, R.RUN_STATE_PREPARING)
    emulator.environments.hold.set()
    await emulator.until(run, R.RUN_STATE_RUNNING)
    (emulator.paths.run(await emulator.key(run)).logs / "80_driver_log.txt").write_bytes(b"late\n")
    emulator.runtime.jobs[run.run_id].end()
    assert await asyncio.wait_for(follower, 10) == b"late\n"


async def test_logs_that_never_come(emulator: Emulated) -> None:
    run, _ = await _running(emulator)
    with pytest.raises(NotFound, match="goes on") as caught:
        await _read(emulator, run)
    assert caught.value.reason == "ARTIFACT_NOT_FOUND"
    follower = asyncio.ensure_future(_read(emulator, run, follow=True))
    await asyncio.sleep(0)
    emulator.runtime.jobs[run.run_id].end()
    with pytest.raises(NotFound, match="60_control_log"):
        await asyncio.wait_for(follower, 10)
    own = await emulator.create_run("own")
    with pytest.raises(NotFound):
        await _read(emulator, own, follow=True)


async def test_a_follower_that_goes_away_leaves_nothing(emulator: Emulated) -> None:
    run, path = await _running(emulator)
    path.write_bytes(b"one\n")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir())) if descriptors.exists() else 0
    for _ in range(3):
        request = R.ReadRunLogRequest(name=run.name, log_name=LOG, follow=True)
        stream = emulator.stream("RunService/ReadRunLog", request)
        assert (await anext(stream)).data == b"one\n"
        await stream.aclose()
    if before:
        assert len(list(descriptors.iterdir())) == before
    assert emulator.store.changes.subscription_count == 0


async def test_a_large_log_comes_in_chunks(emulator: Emulated) -> None:
    run, path = await _running(emulator)
    data = os.urandom(3_000_000)
    path.write_bytes(data)
    assert await _read(emulator, run) == data
    emulator.runtime.jobs[run.run_id].end()
    await emulator.until(run, R.RUN_STATE_COMPLETED)
    assert await _read(emulator, run, offset=1_000_000) == data[1_000_000:]


@pytest.mark.parametrize("log", ["../../secret", "/etc/passwd", "", "azureml-logs/../../x"])
async def test_bad_log_names(emulator: Emulated, log: str) -> None:
    run, _ = await _running(emulator)
    with pytest.raises(InvalidArgument):
        await _read(emulator, run, log=log)
    with pytest.raises(InvalidArgument):
        await _read(emulator, run, offset=-1)


async def test_artifacts_by_page_with_the_live_logs_among_them(emulator: Emulated) -> None:
    run, path = await _running(emulator)
    path.write_bytes(b"live")
    for name in ("a.txt", "outputs/model.pkl", "z.txt"):
        await _keep(emulator, run, name)
    control = "azureml-logs/60_control_log.txt"
    names = ["a.txt", "azureml-logs/20_image_build_log.txt", control, LOG, "outputs/model.pkl", "z.txt"]
    assert await _artifacts(emulator, run) == names
    seen: list[str] = []
    token = ""
    while True:
        request = artifact_pb2.ListArtifactsRequest(
            parent=run.name, page=resources_pb2.PageRequest(page_size=2, page_token=token)
        )
        answer = await emulator.call("ArtifactService/ListArtifacts", request)
        seen += [each.path for each in answer.artifacts]
        token = answer.next_page_token
        if not token:
            break
    assert seen == names
    assert await _artifacts(emulator, run, prefix="./azureml-logs/8") == [LOG]
    assert await _artifacts(emulator, run, prefix="outputs/") == ["outputs/model.pkl"]


async def test_download_urls(emulator: Emulated) -> None:
    run, path = await _running(emulator)
    path.write_bytes(b"live")
    await _keep(emulator, run, "outputs/model.pkl")

    async def urls(*paths: str) -> list[str]:
        request = artifact_pb2.CreateArtifactDownloadUrlsRequest(parent=run.name, paths=paths)
        answer = await emulator.call("ArtifactService/CreateArtifactDownloadUrls", request)
        return [url.url for url in answer.urls]

    live, kept = await urls(LOG, "./outputs/model.pkl")
    assert "/bytes/log/" in live and "/bytes/artifact/" in kept and "access=read" in kept
    with pytest.raises(NotFound, match=r"'outputs/nope'.*outputs/model.pkl") as caught:
        await urls("outputs/model.pkl", "outputs/nope")
    assert caught.value.reason == "ARTIFACT_NOT_FOUND"
    with pytest.raises(InvalidArgument):
        await urls("../x")
    with pytest.raises(InvalidArgument) as many:
        await urls(*["x"] * 1001)
    assert many.value.reason == "TOO_MANY_PATHS"


async def test_upload_urls(emulator: Emulated) -> None:
    run, path = await _running(emulator)
    path.write_bytes(b"live")
    await _keep(emulator, run, "outputs/model.pkl")

    async def urls(*paths: str, overwrite: bool = False) -> list[str]:
        request = artifact_pb2.CreateArtifactUploadUrlsRequest(parent=run.name, paths=paths, overwrite=overwrite)
        answer = await emulator.call("ArtifactService/CreateArtifactUploadUrls", request)
        return [url.url for url in answer.urls]

    (url,) = await urls("./outputs//new.txt")
    assert "/outputs/new.txt?access=write" in url and "overwrite" not in url
    assert "overwrite=1" in (await urls("outputs/model.pkl", overwrite=True))[0]
    for taken in ("outputs/model.pkl", "outputs", "outputs/model.pkl/below", LOG):
        with pytest.raises(AlreadyExists) as caught:
            await urls("fine", taken)
        assert caught.value.reason == "ARTIFACT_EXISTS"
    for taken in ("outputs", "outputs/model.pkl/below", LOG):
        with pytest.raises(AlreadyExists):
            await urls(taken, overwrite=True)
    with pytest.raises(InvalidArgument):
        await urls("a/../../b")
