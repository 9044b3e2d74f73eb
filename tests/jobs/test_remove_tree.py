"""Removing what a job left."""

from __future__ import annotations

from pathlib import Path

from localaml.jobs.remove_tree import remove_tree


def test_a_link_in_the_place_of_a_run_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "folder").chmod(0o750)
    (tmp_path / "run").symlink_to(outside)
    (tmp_path / "run-2").mkdir()
    (tmp_path / "run-2" / "link").symlink_to(outside)
    remove_tree(tmp_path / "run")
    remove_tree(tmp_path / "run-2")
    assert {path.name for path in tmp_path.iterdir()} == {"outside"}
    assert (outside / "folder").stat().st_mode & 0o777 == 0o750


def test_a_file_in_the_place_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    remove_tree(tmp_path / "run")
    assert not (tmp_path / "run").exists()
