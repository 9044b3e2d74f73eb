"""Records and objects are closed to other users by modes of their own, whatever the umask and the folder above."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaml.paths import StatePaths
from localaml.storage.disk import DiskStore
from localaml.store import Store


@pytest.fixture(autouse=True)
def everything_allowed() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


async def _put(store: DiskStore, key: str) -> None:
    writer = await store.open_writer(key)
    await writer.write(b"x")
    await writer.commit()


def test_records_are_their_owners(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    for attempt in ("new", "old"):
        store = Store.open(paths.metadata)
        store.counters.next("writes something")
        files = sorted(tmp_path.glob("metadata.sqlite3*"))
        assert len(files) == 3, files
        assert {_mode(file) for file in files} == {0o600}, attempt
        for file in files:
            file.chmod(0o644)
        if attempt == "new":
            # As an emulator that was killed left them: with all three files.
            kept = {file: file.read_bytes() for file in files}
            store.close()
            for file, data in kept.items():
                file.write_bytes(data)
                file.chmod(0o644)
        else:
            store.close()


async def test_objects_are_their_owners_and_jobs_reach_what_they_mount(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    store = DiskStore(root, tmp_path / "incoming")
    for key in ("contents/w/ab/abcd", "_models/w/id/model.pkl", "localaml/data/folder/file"):
        await _put(store, key)
    (tmp_path / "source").write_text("x")
    await store.put_file("_models/w/id/second", tmp_path / "source")
    modes = {str(path.relative_to(root)): _mode(path) for path in root.rglob("*")}
    assert _mode(root) == _mode(tmp_path / "incoming") == 0o700
    closed = {name: mode for name, mode in modes.items() if name.startswith(("contents", "_models"))}
    assert {mode for name, mode in closed.items() if (root / name).is_dir()} == {0o700}
    assert {mode for name, mode in closed.items() if (root / name).is_file()} == {0o600}
    # Nobody gets past the account's folder; what is mounted from below it, a job of any user reads.
    assert modes["localaml"] == 0o700
    assert [modes[f"localaml/data{rest}"] for rest in ("", "/folder", "/folder/file")] == [0o755, 0o755, 0o644]


def test_the_folders_of_an_older_store_are_closed(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    for name in ("contents", "_models", "localaml/container"):
        (root / name).mkdir(parents=True)
    DiskStore(root, tmp_path / "incoming")
    assert _mode(root) == 0o700
    assert {_mode(root / name) for name in ("contents", "_models", "localaml")} == {0o700}
    assert _mode(root / "localaml/container") == 0o777
