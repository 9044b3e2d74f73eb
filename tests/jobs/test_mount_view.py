"""A mount of a store that has no folders here: what a job may rely on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from tests.support.waiting import wait_until_async

from localaml.clock import RealClock
from localaml.errors import FailedPrecondition, LocalAmlError, PermissionDenied, Unavailable
from localaml.jobs import mount_view
from localaml.jobs.mount_view import MountView
from localaml.storage.memory import MemoryStore
from localaml.storage.object_store import ObjectInfo

PREFIX = "localaml/container/"


class FailingStore(MemoryStore):
    """A store that can be away.

    Attributes:
        error: what every write raises.
        puts: keys that were written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.error: LocalAmlError | None = None
        self.puts: list[str] = []

    async def put_file(self, key: str, source: Path, *, move: bool = False):  # type: ignore[no-untyped-def]
        if self.error is not None:
            raise self.error
        self.puts.append(key)
        return await super().put_file(key, source, move=move)


@pytest.fixture
def objects() -> FailingStore:
    return FailingStore()


@pytest.fixture
def make(objects: FailingStore, tmp_path: Path) -> Callable[[str], MountView]:
    def make(name: str = "view") -> MountView:
        return MountView(objects, PREFIX, tmp_path / name, tmp_path / f"{name}.json", RealClock())

    return make


async def content(objects: MemoryStore, path: str) -> bytes:
    return b"".join([chunk async for chunk in objects.read(PREFIX + path)])


async def paths(objects: MemoryStore) -> list[str]:
    return [info.key[len(PREFIX) :] for info in await objects.list(PREFIX)]


async def test_what_is_there_is_pulled_and_what_changes_is_pushed(
    objects: FailingStore, make: Callable[..., MountView]
) -> None:
    for path in ("data/a.txt", "data/sub/b.txt", "data.txt", "other/c.txt"):
        objects.put(PREFIX + path, path.encode())
    view = make()
    assert await view.pull("data") == []
    assert (view.folder / "data/a.txt").read_text() == "data/a.txt"
    assert (view.folder / "data/sub/b.txt").read_text() == "data/sub/b.txt"
    assert [path.name for path in view.folder.iterdir()] == ["data"]
    (view.folder / "data/a.txt").write_text("changed")
    (view.folder / "data/new").mkdir()
    (view.folder / "data/new/d.txt").write_text("new")
    (view.folder / "data/sub/b.txt").unlink()
    assert await view.finish() == []
    assert await paths(objects) == ["data.txt", "data/a.txt", "data/new/d.txt", "other/c.txt"]
    assert await content(objects, "data/a.txt") == b"changed"
    objects.puts.clear()
    assert await view.finish() == []
    assert objects.puts == []


async def test_what_a_job_did_not_touch_undoes_nobodys_work(
    objects: FailingStore, make: Callable[..., MountView]
) -> None:
    objects.put(PREFIX + "mine", b"old")
    objects.put(PREFIX + "theirs", b"old")
    objects.put(PREFIX + "gone", b"old")
    first, second = make("first"), make("second")
    for view in (first, second):
        await view.pull("")
    (first.folder / "mine").write_text("by the first")
    (second.folder / "theirs").write_text("by the second")
    (second.folder / "gone").unlink()
    (second.folder / "mine").write_text("by the second!")
    await second.finish()
    await first.finish()
    assert await paths(objects) == ["mine", "theirs"]
    # The last one to push an object wins, for this object alone.
    assert await content(objects, "mine") == b"by the first"
    assert await content(objects, "theirs") == b"by the second"


async def test_a_running_job_is_pushed_now_and_then(
    objects: FailingStore, make: Callable[..., MountView], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mount_view, "PUSH_SECONDS", 0.05)
    view = make()
    await view.pull("")
    view.start()
    view.start()
    (view.folder / "log.txt").write_text("one")

    async def is_there(text: bytes) -> bool:
        return await paths(objects) == ["log.txt"] and await content(objects, "log.txt") == text

    await wait_until_async(lambda: is_there(b"one"), 5, "the file")
    objects.error = Unavailable("OBJECT_STORE_UNAVAILABLE", "away")
    (view.folder / "log.txt").write_text("one two")
    await asyncio.sleep(0)
    objects.error = None
    await wait_until_async(lambda: is_there(b"one two"), 5, "the change, after the store was away")
    await view.close()


async def test_the_same_size_within_the_same_tick_is_seen(
    objects: FailingStore, make: Callable[..., MountView], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = make()
    await view.pull("")
    path = view.folder / "file"
    path.write_text("one")
    times = path.stat()
    await view._push(final=False)
    path.write_text("two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    await view.finish()
    assert await content(objects, "file") == b"two"


async def test_a_store_that_stays_away_is_an_error_and_what_was_written_stays(
    objects: FailingStore, make: Callable[..., MountView]
) -> None:
    view = make()
    await view.pull("")
    (view.folder / "file").write_text("kept")
    objects.error = Unavailable("OBJECT_STORE_UNAVAILABLE", "away")
    with pytest.raises(Unavailable):
        await view.finish()
    assert (view.folder / "file").read_text() == "kept"
    objects.error = None
    await view.finish()
    assert await content(objects, "file") == b"kept"


async def test_one_file_that_cannot_be_kept_does_not_hinder_the_others(
    objects: FailingStore, make: Callable[..., MountView]
) -> None:
    view = make()
    await view.pull("")
    objects.put(PREFIX + "folder/by-another-run", b"x")
    (view.folder / "folder").write_text("a file where another run has a folder")
    (view.folder / "good").write_text("good")
    notes = await view.finish()
    assert len(notes) == 1 and notes[0].startswith("folder: could not be written")
    assert await paths(objects) == ["folder/by-another-run", "good"]


async def test_links_lead_nowhere(objects: FailingStore, make: Callable[..., MountView], tmp_path: Path) -> None:
    objects.put(PREFIX + "was-a-file", b"x")
    view = make()
    await view.pull("")
    (tmp_path / "secret").write_text("secret")
    (view.folder / "link").symlink_to(tmp_path / "secret")
    (view.folder / "folder").symlink_to(tmp_path)
    (view.folder / "was-a-file").unlink()
    (view.folder / "was-a-file").symlink_to(tmp_path / "secret")
    notes = await view.finish()
    assert len(notes) == 3 and all("link" in note for note in notes)
    assert await paths(objects) == ["was-a-file"]
    assert await content(objects, "was-a-file") == b"x"


async def test_the_next_emulator_goes_on(objects: FailingStore, make: Callable[..., MountView]) -> None:
    objects.put(PREFIX + "kept", b"x")
    objects.put(PREFIX + "removed", b"x")
    await make().pull("")
    view = make()
    view.adopt()
    (view.folder / "removed").unlink()
    (view.folder / "added").write_text("x")
    await view.finish()
    assert await paths(objects) == ["added", "kept"]
    assert objects.puts == [PREFIX + "added"]
    for damage in ("", "[]", '{"a": 1}'):
        (view.folder.parent / "view.json").write_text(damage)
        again = make()
        again.adopt()
        await again.finish()
        assert await paths(objects) == ["added", "kept"]


async def test_many_files(objects: FailingStore, make: Callable[..., MountView]) -> None:
    for number in range(1200):
        objects.put(f"{PREFIX}many/{number:04}", b"x")
    view = make()
    await view.pull("many")
    assert len(list((view.folder / "many").iterdir())) == 1200


@pytest.mark.parametrize("year", [1, 1890, 2500, 9999])
async def test_files_that_no_job_touched_are_not_pushed_whatever_time_the_store_tells(
    objects: FailingStore, make: Callable[..., MountView], monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    """File systems know fewer years than clocks that are wrong."""
    objects.put(PREFIX + "a.txt", b"a")
    listed = objects.list

    async def wrong(*arguments: Any, **more: Any) -> list[ObjectInfo]:
        told = datetime(year, 1, 1, tzinfo=timezone.utc)
        return [replace(info, modified_at=told) for info in await listed(*arguments, **more)]

    monkeypatch.setattr(objects, "list", wrong)
    view = make()
    assert await view.pull("") == []
    assert await view.finish() == []
    assert objects.puts == []


@pytest.mark.parametrize(
    "error",
    [PermissionDenied("OBJECT_STORE_DENIED", "no more"), FailedPrecondition("OBJECT_STORE_REFUSED", "expired token")],
)
async def test_a_store_that_takes_nothing_any_more_is_an_error_and_no_note(
    objects: FailingStore, make: Callable[..., MountView], error: LocalAmlError
) -> None:
    """Credentials end while a job runs: what it wrote would be lost, and its run would have succeeded."""
    view = make()
    await view.pull("")
    (view.folder / "result.bin").write_bytes(b"precious")
    objects.error = error
    with pytest.raises(type(error)):
        await view.finish()
    objects.error = None
    assert await view.finish() == []
    assert await content(objects, "result.bin") == b"precious"


async def test_an_object_that_is_replaced_while_it_is_pulled_is_read_again(
    objects: FailingStore, make: Callable[..., MountView], monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put(PREFIX + "a.txt", b"a")
    get = objects.get_file
    replacements = [b"b", b"c"]

    async def replaced(key: str, target: Path) -> None:
        if replacements:
            objects.put(key, replacements.pop(0))
            raise FailedPrecondition("OBJECT_REPLACED", "replaced")
        await get(key, target)

    monkeypatch.setattr(objects, "get_file", replaced)
    view = make()
    assert await view.pull("") == []
    assert (view.folder / "a.txt").read_bytes() == b"c"
    replacements += [b"x"] * 100
    with pytest.raises(FailedPrecondition):
        await make("other").pull("")


async def test_artifacts_of_runs_are_read_and_never_written(objects: FailingStore, tmp_path: Path) -> None:
    prefix, artifacts = "localaml/azureml-blobstore-wid/", "azureml/ExperimentRun/dcid.other/outputs"
    for path in (f"{artifacts}/model.pkl", f"{artifacts}/gone.pkl", "data/x"):
        objects.put(prefix + path, b"true")
    view = MountView(objects, prefix, tmp_path / "view", tmp_path / "a" / "b" / "view.json", RealClock())
    await view.pull("")
    folder = view.folder / artifacts
    assert (folder / "model.pkl").read_text() == "true"
    (folder / "model.pkl").write_text("forged")
    (folder / "gone.pkl").unlink()
    (folder / "more.pkl").write_text("forged")
    (view.folder / "data/x").write_text("mine")
    [note] = await view.finish()
    assert "2 file(s) were not written: 'azureml'" in note
    found = {info.key[len(prefix) :] for info in await objects.list(prefix)}
    assert found == {f"{artifacts}/model.pkl", f"{artifacts}/gone.pkl", "data/x"}
    assert objects.puts == [prefix + "data/x"]
