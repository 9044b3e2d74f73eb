"""What only a store of plain files has to withstand: links, pipes, foreign names, crashes, a full disk."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from localaml.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from localaml.storage import disk, listing, taking
from localaml.storage.disk import DiskStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path, tmp_path: Path) -> DiskStore:
    return DiskStore(root, tmp_path / "incoming")


async def put(store: DiskStore, key: str, data: bytes = b"x") -> None:
    writer = await store.open_writer(key)
    try:
        await writer.write(data)
        await writer.commit()
    finally:
        await writer.discard()


async def keys(store: DiskStore, prefix: str = "") -> list[str]:
    return [info.key for info in await store.list(prefix)]


async def test_links_are_never_followed(store: DiskStore, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    await put(store, "ds/real")
    (root / "ds/link").symlink_to(outside / "secret")
    (root / "ds/folder").symlink_to(outside)
    (root / "ds/inner").symlink_to(root / "ds/real")
    (root / "ds/loop").symlink_to(root / "ds/loop")
    assert await keys(store) == ["ds/real"]
    assert await keys(store, "ds/folder/") == []
    for key in ("ds/link", "ds/inner", "ds/loop", "ds/folder", "ds/folder/secret"):
        for call in (store.stat, store.open_reader):
            with pytest.raises(NotFound):
                await call(key)
        with pytest.raises(NotFound):
            await store.get_file(key, tmp_path / "target")
    with pytest.raises(NotFound, match="link"):
        await store.open_reader("ds/link")
    with pytest.raises(FailedPrecondition) as caught:
        await put(store, "ds/folder/planted")
    assert caught.value.reason == "OBJECT_PATH_CONFLICT"
    with pytest.raises(FailedPrecondition):
        store.local_folder("ds/folder/")
    await store.delete("ds/folder/secret")
    assert await store.delete_prefix("ds/folder/") == 0
    assert await store.delete_prefix("ds/folder") == 0
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    # A link in the place of an object gives way to the object; what it pointed to stays as it was.
    await put(store, "ds/link", b"mine")
    assert (outside / "secret").read_text() == "secret"
    assert (root / "ds/link").read_text() == "mine"
    assert await store.delete_prefix("ds/") >= 2
    assert (outside / "secret").read_text() == "secret"


async def test_put_file_refuses_links_folders_and_pipes(store: DiskStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError):
        await store.put_file("a", tmp_path / "link")
    for name in ("folder", "pipe"):
        with pytest.raises(InvalidArgument) as caught:
            await store.put_file("a", tmp_path / name)
        assert caught.value.reason == "NOT_A_FILE"
    assert await keys(store) == []


async def test_pipes_and_devices_are_no_objects_and_block_nobody(store: DiskStore, root: Path) -> None:
    await put(store, "ds/real")
    os.mkfifo(root / "ds/pipe")
    assert await keys(store) == ["ds/real"]
    with pytest.raises(NotFound):
        await store.open_reader("ds/pipe")  # the time-out of the suite is the deadline


async def test_names_that_cannot_be_keys_are_not_listed(store: DiskStore, root: Path) -> None:
    await put(store, "ds/good")
    folder = os.fsencode(root / "ds")
    for name in (b"line\nbreak", b"back\\slash", b"\xff\xfe"):
        with open(os.path.join(folder, name), "wb"):  # noqa: PTH118, PTH123  (bytes names)
            pass
    assert await keys(store) == ["ds/good"]


async def test_a_file_of_a_job_is_an_object_at_once(store: DiskStore) -> None:
    folder = store.local_folder("acc/container/")
    assert folder is not None and folder.is_dir()
    (folder / "sub").mkdir()
    (folder / "sub/file.txt").write_text("from the job")
    (folder / "empty").mkdir()
    assert await keys(store, "acc/container/") == ["acc/container/sub/file.txt"]
    assert [chunk async for chunk in store.read("acc/container/sub/file.txt")] == [b"from the job"]
    # An empty folder is nothing to an object store.
    await put(store, "acc/container/empty", b"now a file")
    assert (folder / "empty").read_text() == "now a file"


async def test_what_a_crash_left_is_removed(root: Path, tmp_path: Path) -> None:
    store = DiskStore(root, tmp_path / "incoming")
    writer = await store.open_writer("a")
    await writer.write(b"half")
    assert len(list((tmp_path / "incoming").iterdir())) == 1
    DiskStore(root, tmp_path / "incoming")
    assert list((tmp_path / "incoming").iterdir()) == []
    await writer.discard()


async def test_nothing_stays_in_incoming(store: DiskStore, tmp_path: Path) -> None:
    await put(store, "a/b")
    with pytest.raises(FailedPrecondition):
        await put(store, "a/b/c")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FailedPrecondition):
        await store.put_file("a", tmp_path / "file")
    await store.delete_prefix("a/")
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_full_disk(store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)

    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "write", no_room)
    monkeypatch.setattr(disk.os, "copy_file_range", no_room, raising=False)
    for call in (put(store, "a"), store.put_file("a", tmp_path / "file")):
        with pytest.raises(ResourceExhausted) as caught:
            await call
        assert caught.value.reason == "DISK_FULL"
    monkeypatch.undo()
    assert await keys(store) == []
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_copy_without_the_help_of_the_kernel(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> int:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(disk.os, "copy_file_range", cannot, raising=False)
    (tmp_path / "file").write_bytes(b"0123456789" * 200_000)
    await store.put_file("a", tmp_path / "file")
    await store.get_file("a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"0123456789" * 200_000


async def test_move_across_file_systems(store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    (tmp_path / "file").write_text("moved")
    monkeypatch.setattr(taking.os, "link", cannot)
    await store.put_file("a", tmp_path / "file", move=True)
    assert not (tmp_path / "file").exists()
    assert [chunk async for chunk in store.read("a")] == [b"moved"]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "file"])
async def test_what_takes_a_files_place_while_it_is_moved_is_not_stored(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    secret, source, link = tmp_path / "secret", tmp_path / "file", os.link
    secret.write_text("of somebody else")
    source.write_text("mine")

    def swap(path: Path, target: Path, *, follow_symlinks: bool) -> None:
        source.replace(tmp_path / "before")  # the same file has no other's number then
        if kind == "link":
            source.symlink_to(secret)
        elif kind == "folder":
            source.mkdir()
            (source / "inner").symlink_to(secret)
        elif kind == "pipe":
            os.mkfifo(source)
        else:
            source.write_text("other")
        link(path, target, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(taking.os, "link", swap)
    with pytest.raises(InvalidArgument, match="replaced while it was stored"):
        await store.put_file("con/a", source, move=True)
    assert await store.list("") == []
    assert secret.read_text() == "of somebody else"
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_of_a_big_folder_only_what_is_listed_is_looked_at(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.local_folder("ds/many/")
    assert folder is not None
    for number in range(2_000):
        (folder / f"{number:04}.txt").touch()
    looked_at, ask = [], os.stat

    def stat(path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        looked_at.append(path)
        return ask(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(listing.os, "stat", stat)
    for prefix, after, limit, wanted in (
        ("ds/many/", "", 10_000, range(2_000)),
        ("ds/many/199", "", 10_000, range(1_990, 2_000)),
        ("ds/many/", "ds/many/0499.txt", 100, range(500, 600)),
    ):
        looked_at.clear()
        found = await store.list(prefix, after, limit)
        assert [info.key for info in found] == [f"ds/many/{number:04}.txt" for number in wanted]
        assert len(looked_at) == len(wanted)


async def test_parallel_writers_of_new_folders(store: DiskStore) -> None:
    await asyncio.gather(*(put(store, f"a/b/c/d{number % 3}/{number}") for number in range(60)))
    assert len(await keys(store, "a/b/c/")) == 60
