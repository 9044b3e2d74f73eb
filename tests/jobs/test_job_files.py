"""What a job may put where the emulator reads and writes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from localaml import job_files


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def _link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "below").touch()


TRAPS = pytest.mark.parametrize("trap", [_pipe, _socket, _link_to_device, _circle, _folder])


@TRAPS
def test_only_plain_files_are_read_and_nothing_is_waited_for(trap: Callable[[Path], None], tmp_path: Path) -> None:
    trap(tmp_path / "file")
    assert job_files.read_text(tmp_path, tmp_path / "file", 100) == ""
    with pytest.raises(OSError, match=r"."):
        job_files.open_plain(tmp_path, tmp_path / "file")


@TRAPS
def test_what_is_in_the_way_makes_way_for_what_is_written(trap: Callable[[Path], None], tmp_path: Path) -> None:
    for name, write in (("a", _write), ("b", _append)):
        trap(tmp_path / name)
        write(tmp_path, tmp_path / name)
        assert job_files.read_text(tmp_path, tmp_path / name, 100) == "text"


def _write(base: Path, path: Path) -> None:
    job_files.write(base, path, b"text")


def _append(base: Path, path: Path) -> None:
    with os.fdopen(job_files.open_append(base, path), "wb") as file:
        file.write(b"text")


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside, base = tmp_path / "outside", tmp_path / "base"
    outside.mkdir()
    base.mkdir()
    (outside / "file").write_text("secret")
    (base / "folder").symlink_to(outside)
    (base / "file").symlink_to(outside / "file")
    for path in (base / "folder" / "file", base / "file", base / ".." / "outside" / "file", outside / "file"):
        assert job_files.read_text(base, path, 100) == ""
    for path in (base / "folder" / "new", base / ".." / "outside" / "new"):
        for write in (_write, _append):
            with pytest.raises(OSError, match=r"."):
                write(base, path)
    _write(base, base / "file")
    job_files.remove_folder(base, base / "folder" / "file")
    job_files.remove_folder(base, base / "folder")
    with pytest.raises(OSError, match=r"."):
        job_files.unlink(base, base / "folder" / "file")
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"file": "secret"}


def test_never_more_than_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.write(b"begin")
        file.truncate(10 << 30)
        file.seek(-3, os.SEEK_END)
        file.write(b"end")
    assert job_files.read(tmp_path, tmp_path / "huge", 5).data == b"begin"
    content = job_files.read(tmp_path, tmp_path / "huge", 3, end=True)
    assert (content.data, content.size_bytes) == (b"end", 10 << 30)


def test_a_base_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "base").symlink_to("real")
    _write(tmp_path / "base", tmp_path / "base" / "new" / "file")
    assert job_files.read_text(tmp_path / "base", tmp_path / "real" / "new" / "file", 10) == "text"
