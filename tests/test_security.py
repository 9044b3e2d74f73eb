"""SECURITY.md promises only what a test proves, and is found from where people look."""

from __future__ import annotations

import re

from tests.test_compatibility import ROOT, _tests_of

DOCUMENT = ROOT / "SECURITY.md"
_PROOF = re.compile(r"`((?:tests|campaigns)/[\w/]+\.py)::(\w+)`")


def _promises() -> list[list[str]]:
    """The rows of tables whose second column is the proof."""
    rows: list[list[str]] = []
    proves = False
    for line in DOCUMENT.read_text("utf-8").splitlines():
        if not line.startswith("|"):
            proves = False
        elif line == "| promise | proof |":
            proves = True
        elif proves and not line.startswith("|---"):
            rows.append([cell.strip() for cell in line.split("|")[1:-1]])
    return rows


def test_every_promise_names_tests_that_exist() -> None:
    rows = _promises()
    assert len(rows) > 15
    assert not [row for row in rows if len(row) != 2 or not _PROOF.findall(row[1])], "a promise without a proof"


def test_the_tests_that_are_named_exist() -> None:
    named = _PROOF.findall(DOCUMENT.read_text("utf-8"))
    wrong = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or (name, None) not in _tests_of(ROOT / file)
    ]
    assert named and not wrong


def test_it_is_linked() -> None:
    for name in ("README.md", "ARCHITECTURE.md", "docs/docker.md", "docs/storage.md"):
        assert "SECURITY.md)" in (ROOT / name).read_text("utf-8"), name
