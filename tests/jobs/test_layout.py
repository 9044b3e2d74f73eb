"""Snapshots become work folders."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest
from tests.jobs.conftest import NOW, RunFiles

from localaml.domain.models import Snapshot, SnapshotEntry
from localaml.errors import FailedPrecondition, InvalidArgument, NotFound
from localaml.jobs.layout import lay_out_snapshot
from localaml.storage.memory import MemoryStore


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_holds_the_files_with_their_bits_and_the_folders_that_jobs_write_to(files: RunFiles) -> None:
    content = {"train.py": b"print(1)\n", "lib/deep/er.py": b"", "run.sh": b"#!/bin/sh\n", "big": os.urandom(3_000_000)}
    snapshot = await files.snapshot(content, executable=("run.sh",))
    await lay_out_snapshot(files.store, files.objects, "wid", snapshot, files.paths.work)
    assert _tree(files.paths.work) == content
    assert (files.paths.work / "outputs").is_dir()
    assert (files.paths.work / "logs").is_dir()
    assert stat.S_IMODE((files.paths.work / "run.sh").stat().st_mode) & 0o100
    assert not stat.S_IMODE((files.paths.work / "train.py").stat().st_mode) & 0o111


async def test_a_second_layout_starts_from_nothing(files: RunFiles) -> None:
    snapshot = await files.snapshot({"train.py": b"new"})
    (files.paths.work / "train.py").write_bytes(b"half")
    (files.paths.work / "outputs" / "left.txt").write_bytes(b"of the first attempt")
    await lay_out_snapshot(files.store, files.objects, "wid", snapshot, files.paths.work)
    assert _tree(files.paths.work) == {"train.py": b"new"}


async def test_a_job_that_changes_its_files_leaves_the_snapshot_as_it_is(files: RunFiles) -> None:
    snapshot = await files.snapshot({"train.py": b"original"})
    for _ in range(2):
        await lay_out_snapshot(files.store, files.objects, "wid", snapshot, files.paths.work)
        assert (files.paths.work / "train.py").read_bytes() == b"original"
        (files.paths.work / "train.py").write_bytes(b"changed!")


async def test_a_work_folder_that_is_a_link_is_replaced_not_emptied(files: RunFiles, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"keep me")
    for name in ("outputs", "logs"):
        (files.paths.work / name).rmdir()
    files.paths.work.rmdir()
    files.paths.work.symlink_to(precious)
    await lay_out_snapshot(files.store, files.objects, "wid", await files.snapshot({"a": b"1"}), files.paths.work)
    assert _tree(precious) == {"file": b"keep me"}
    assert _tree(files.paths.work) == {"a": b"1"}


async def test_many_files(files: RunFiles) -> None:
    content = {f"d{n % 7}/f{n}": str(n).encode() for n in range(500)}
    await lay_out_snapshot(files.store, files.objects, "wid", await files.snapshot(content), files.paths.work)
    assert _tree(files.paths.work) == content


async def test_a_store_without_folders_serves_as_well(files: RunFiles) -> None:
    snapshot = await files.snapshot({"a/b.sh": b"1"}, executable=("a/b.sh",))
    memory = MemoryStore()
    for entry in files.store.snapshots.get("wid", snapshot).entries:
        memory.put(f"contents/wid/{entry.sha256[:2]}/{entry.sha256}", b"1")
    await lay_out_snapshot(files.store, memory, "wid", snapshot, files.paths.work)
    assert _tree(files.paths.work) == {"a/b.sh": b"1"}
    assert os.access(files.paths.work / "a/b.sh", os.X_OK)


async def test_no_snapshot_gives_empty_folders(files: RunFiles) -> None:
    await lay_out_snapshot(files.store, files.objects, "wid", "", files.paths.work)
    assert sorted(path.name for path in files.paths.work.iterdir()) == ["logs", "outputs"]


async def test_unknown_snapshots_and_lost_contents_are_told_by_name(files: RunFiles) -> None:
    with pytest.raises(NotFound) as unknown:
        await lay_out_snapshot(files.store, files.objects, "wid", "nothing", files.paths.work)
    assert unknown.value.reason == "SNAPSHOT_NOT_FOUND"
    files.store.snapshots.put(Snapshot("wid", "lost", NOW, (SnapshotEntry("train.py", "ab" * 32, 5),)))
    with pytest.raises(FailedPrecondition, match=r"train\.py") as lost:
        await lay_out_snapshot(files.store, files.objects, "wid", "lost", files.paths.work)
    assert lost.value.reason == "SNAPSHOT_CONTENT_MISSING"


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", "a//b", "./a"])
async def test_unsafe_paths_are_refused_before_anything_is_written(files: RunFiles, path: str) -> None:
    (files.paths.work / "marker").touch()
    files.store.snapshots.put(Snapshot("wid", "bad", NOW, (SnapshotEntry(path, "ab" * 32, 5),)))
    with pytest.raises(InvalidArgument):
        await lay_out_snapshot(files.store, files.objects, "wid", "bad", files.paths.work)
    assert (files.paths.work / "marker").exists()


async def test_a_file_cannot_be_a_folder_too(files: RunFiles) -> None:
    entries = (SnapshotEntry("a", "ab" * 32, 5), SnapshotEntry("a/b", "ab" * 32, 5))
    files.store.snapshots.put(Snapshot("wid", "bad", NOW, entries))
    with pytest.raises(InvalidArgument, match="a/b"):
        await lay_out_snapshot(files.store, files.objects, "wid", "bad", files.paths.work)


async def test_a_cancelled_layout_can_be_done_again(files: RunFiles) -> None:
    content = {f"f{n}": os.urandom(10_000) for n in range(300)}
    snapshot = await files.snapshot(content)
    task = asyncio.create_task(lay_out_snapshot(files.store, files.objects, "wid", snapshot, files.paths.work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await lay_out_snapshot(files.store, files.objects, "wid", snapshot, files.paths.work)
    assert _tree(files.paths.work) == content
