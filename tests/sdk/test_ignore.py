"""Ignore files: the pattern language, compared with git itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from azureml._localaml.ignore import IgnoreRules

PATHS = [
    "a", "b.txt", "a b", "abc", "-", "!b", "#c", "d/a", "d/b.txt", "d/ab/a", "d/ab/x-y", "d/d/d/a", "ab/d/b.txt",
    "ab/a]", "B.TXT", "d/.hidden", "[a]", "a*b", "d/a ", "e/a", "x-y/a/b/c",
]  # fmt: skip

PIECES = [
    "a", "b", "d", "ab", ".txt", "*", "**", "?", "/", "!", "#", "\\", " ", "[a]", "[!a]", "[a-c]", "[]a]", "[^]]", "[",
    "]", "-", "x-y", "[[:alpha:]]", "[[:digit:][:space:]]", "[\\]]", "B", "e", "[a", "[z-a]", "[a-]", "[--/]", "\\*",
]  # fmt: skip


def kept_by_us(lines: list[str]) -> set[str]:
    rules = IgnoreRules(lines)
    kept = set()
    for path in PATHS:
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        if not any(rules.excludes(folder, True) for folder in above) and not rules.excludes(path, False):
            kept.add(path)
    return kept


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed: nothing to compare with")
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(folder)], check=True, capture_output=True)
    (folder / ".git" / "info").mkdir(exist_ok=True)
    for path in PATHS:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    return folder


def kept_by_git(repository: Path, lines: list[str]) -> set[str]:
    (repository / ".git" / "info" / "exclude").write_text("\n".join(lines), encoding="utf-8")
    found = subprocess.run(
        ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-z", "--others", "--exclude-standard"],
        cwd=repository, check=True, capture_output=True,
    ).stdout  # fmt: skip
    return set(found.decode().split("\0")) - {""}


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join), min_size=1, max_size=4))
@example(["d/", "!d/a"])
@example(["d/*", "!d/a"])
@example(["**/a"])
@example(["d/**"])
@example(["**"])
@example(["/**/a"])
@example(["a/**/b"])
@example(["d/**/a"])
@example(["x-y/**/c"])
@example(["***"])
@example(["d/***"])
@example(["a**"])
@example(["**a"])
@example(["/a"])
@example(["/"])
@example(["//a"])
@example(["a//"])
@example(["*", "!*/", "!b.txt"])
@example(["\\!b", "\\#c"])
@example(["a\\ ", "a \\ "])
@example(["b.txt "])
@example(["!!b"])
@example(["d/a\\ "])
@example(["[[:alpha:]"])
@example(["[[:nothing:]]"])
@example(["[a-c]b", "[!-]"])
@example(["d[/]a"])
@example(["d?a"])
@example(["*.txt", "!/b.txt"])
@example(["[]"])
@example(["[!]"])
@example(["a\\"])
@example(["[a[--/]*"])
def test_the_same_files_stay_as_with_git(repository: Path, lines: list[str]) -> None:
    assert kept_by_us(lines) == kept_by_git(repository, lines), lines


def test_git_and_bytecode_folders_never_travel() -> None:
    rules = IgnoreRules([])
    assert rules.excludes(".git", True)
    assert rules.excludes("a/b/__pycache__", True)
    assert not rules.excludes(".gitignore", False)
    assert not rules.excludes(".azureml", True)


def test_amlignore_goes_before_gitignore(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("a\n")
    assert IgnoreRules.of_folder(str(tmp_path)).excludes("a", False)
    (tmp_path / ".amlignore").write_bytes(b"\xef\xbb\xbfb\r\n# a\r\n")
    rules = IgnoreRules.of_folder(str(tmp_path))
    assert rules.excludes("b", False)
    assert not rules.excludes("a", False)
