"""What a container's agent removes after a job, and what it must never touch."""

from __future__ import annotations

from pathlib import Path

import pytest

from localaml.compute.docker.agent import temporary_files


def _mountinfo(folder: Path, *mounted: Path) -> str:
    file = folder / "mountinfo"
    rows = ["20 1 8:1 / / rw - overlay overlay rw"]
    for path in mounted:
        shown = str(path).replace("\\", r"\134").replace(" ", r"\040")
        rows.append(f"21 20 8:1 /somewhere {shown} rw,relatime - ext4 /dev/sda1 rw")
    file.write_text("\n".join(rows) + "\n")
    return str(file)


def _write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_everything_goes_but_what_is_mounted(tmp_path: Path) -> None:
    temporary, elsewhere = tmp_path / "tmp", tmp_path / "elsewhere"
    kept = [
        _write(temporary / "a state dir" / "runs" / "w" / "r" / "outputs" / "model"),
        _write(temporary / "a state dir" / "objects" / "data"),
        _write(temporary / "single" / "mounted.pem"),
        _write(elsewhere / "file"),
    ]
    gone = [_write(temporary / "file"), _write(temporary / "a" / "b" / "c"), _write(temporary / "a state dir" / "x")]
    (temporary / "link").symlink_to(elsewhere)
    (temporary / "a" / "link").symlink_to(kept[1])
    state = temporary / "a state dir"
    mounts = _mountinfo(tmp_path, state / "runs", state / "objects", kept[2])
    temporary_files.clear([str(temporary), str(tmp_path / "missing")], mounts)
    assert all(path.read_text() == "x" for path in kept)
    assert not any(path.exists() for path in gone)
    assert sorted(path.name for path in temporary.iterdir()) == ["a state dir", "single"]


def test_a_folder_that_is_mounted_itself(tmp_path: Path) -> None:
    foreign, own = _write(tmp_path / "tmp" / "file"), _write(tmp_path / "shm" / "file")
    mounts = Path(_mountinfo(tmp_path, foreign.parent, own.parent))
    mounts.write_text(mounts.read_text().replace(f"{own.parent} rw,relatime - ext4", f"{own.parent} rw - tmpfs"))
    temporary_files.clear([str(foreign.parent), str(own.parent)], str(mounts))
    assert foreign.exists() and not own.exists()


def test_nothing_goes_where_mounts_cannot_be_known(tmp_path: Path) -> None:
    kept = _write(tmp_path / "tmp" / "file")
    with pytest.raises(OSError, match="No such file"):
        temporary_files.clear([str(tmp_path / "tmp")], str(tmp_path / "missing"))
    assert kept.exists()
