"""Snapshots: ids follow from contents, only what is missing travels, nothing unsafe gets in."""

from __future__ import annotations

import hashlib
import random
import uuid
from typing import Any

import pytest
from tests.services.harness import WORKSPACE, Emulated

from localaml.errors import InvalidArgument, NotFound
from localaml.paths import content_key
from localaml_proto.v1 import snapshot_pb2

ONE, TWO = b"one", b"two!"


def _entry(path: str, data: bytes = ONE, **changes: Any) -> snapshot_pb2.SnapshotEntry:
    values = {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data), **changes}
    return snapshot_pb2.SnapshotEntry(**values)


async def _create(emulator: Emulated, *entries: snapshot_pb2.SnapshotEntry) -> snapshot_pb2.CreateSnapshotResponse:
    request = snapshot_pb2.CreateSnapshotRequest(parent=WORKSPACE, entries=entries)
    answer: snapshot_pb2.CreateSnapshotResponse = await emulator.call("SnapshotService/CreateSnapshot", request)
    return answer


async def _store(emulator: Emulated, data: bytes) -> None:
    await emulator.put(content_key(await emulator.workspace_id(), hashlib.sha256(data).hexdigest()), data)


async def test_only_what_is_missing_travels(emulator: Emulated) -> None:
    entries = [_entry("a/x.py"), _entry("b.py", TWO, executable=True), _entry("c.py")]
    answer = await _create(emulator, *entries)
    assert not answer.HasField("snapshot")
    assert {missing.path for missing in answer.missing} == {entries[0].sha256, entries[1].sha256}
    assert all("/bytes/content/" in missing.url and "access=write" in missing.url for missing in answer.missing)
    await _store(emulator, ONE)
    answer = await _create(emulator, *entries)
    assert [missing.path for missing in answer.missing] == [entries[1].sha256]
    await _store(emulator, TWO)
    snapshot = (await _create(emulator, *entries)).snapshot
    assert (snapshot.file_count, snapshot.size_bytes) == (3, 10)
    assert str(uuid.UUID(snapshot.snapshot_id)) == snapshot.snapshot_id

    random.Random(1).shuffle(entries)
    assert (await _create(emulator, *entries)).snapshot == snapshot
    entries[0].executable = not entries[0].executable
    assert (await _create(emulator, *entries)).snapshot.snapshot_id != snapshot.snapshot_id

    request = snapshot_pb2.GetSnapshotRequest(parent=WORKSPACE, snapshot_id=snapshot.snapshot_id)
    got = await emulator.call("SnapshotService/GetSnapshot", request)
    assert got.snapshot == snapshot
    assert [entry.path for entry in got.entries] == [url.path for url in got.urls] == ["a/x.py", "b.py", "c.py"]
    assert all("access=read" in url.url for url in got.urls)
    with pytest.raises(NotFound):
        await emulator.call(
            "SnapshotService/GetSnapshot", snapshot_pb2.GetSnapshotRequest(parent=WORKSPACE, snapshot_id="nope")
        )


async def test_an_empty_folder_is_a_snapshot(emulator: Emulated) -> None:
    assert (await _create(emulator)).snapshot.file_count == 0


@pytest.mark.parametrize(
    ("reason", "entries"),
    [
        ("INVALID_PATH", [_entry("../x")]),
        ("INVALID_PATH", [_entry("/etc/passwd")]),
        ("INVALID_PATH", [_entry("a\\b")]),
        ("INVALID_PATH", [_entry("a\nb")]),
        ("INVALID_PATH", [_entry("")]),
        ("INVALID_PATH", [_entry("x" * 300)]),
        ("SNAPSHOT_PATH_CONFLICT", [_entry("a"), _entry("./a", TWO)]),
        ("SNAPSHOT_PATH_CONFLICT", [_entry("a/b/c"), _entry("a")]),
        ("SNAPSHOT_PATH_CONFLICT", [_entry("a/b"), _entry("a/b/c/d")]),
        ("INVALID_HASH", [_entry("a", sha256="ABC")]),
        ("INVALID_HASH", [_entry("a", sha256="../" + "0" * 61)]),
        ("SNAPSHOT_SIZE_WRONG", [_entry("a", size_bytes=-1)]),
        ("SNAPSHOT_SIZE_WRONG", [_entry("a"), _entry("b", size_bytes=4)]),
        ("SNAPSHOT_SIZE_WRONG", [_entry("a", size_bytes=2)]),
        ("SNAPSHOT_TOO_LARGE", [_entry("a", size_bytes=100 * 1024**3 + 1)]),
        ("SNAPSHOT_TOO_LARGE", [_entry(f"f{n}") for n in range(21)]),
    ],
)
async def test_refusals(emulator: Emulated, reason: str, entries: list[snapshot_pb2.SnapshotEntry]) -> None:
    await _store(emulator, ONE)
    with pytest.raises(InvalidArgument) as caught:
        await _create(emulator, *entries)
    assert caught.value.reason == reason


async def test_the_error_about_size_gives_advice(emulator: Emulated) -> None:
    with pytest.raises(InvalidArgument, match=r"102400 MB.*datastore.*\.amlignore"):
        await _create(emulator, _entry("data.csv", size_bytes=2**40))


async def test_paths_are_normalised(emulator: Emulated) -> None:
    await _store(emulator, ONE)
    first = (await _create(emulator, _entry("./a//b.py"))).snapshot.snapshot_id
    assert (await _create(emulator, _entry("a/b.py"))).snapshot.snapshot_id == first
