"""Builds the project of docs/testing.md in an empty folder, as the document says, and runs its commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# The name of a block's file is the last word of the text before it.
# What the document has to show at least.
_SHOWN = {
    "success": "test_a_run",
    "a script that fails": "test_a_failure",
    "eviction, and another attempt": "test_an_evicted_run_goes_on_where_it_was",
    "an error of quotas": "test_no_quota_for_a_cluster",
    "idle nodes go after 30 virtual minutes": "test_idle_nodes_go_after_half_an_hour",
    "429 in the middle of an upload": "test_an_upload_that_is_throttled",
    "the emulator is killed and comes back": "test_a_run_outlives_the_service",
    "it crashes at a point": "test_a_crash_at_a_bad_moment",
}
_FILE = re.compile(r"`([\w/]+\.py)`:\s*\Z")


def blocks() -> list[tuple[str, str, str]]:
    """File name (empty: none), language and content of each block."""
    text = DOCUMENT.read_text("utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        name = _FILE.search(text[: match.start()])
        found.append((name[1] if name else "", match[1], match[2]))
    return found


def _run(command: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LOCALAML_", "PYTEST_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(240)
def test_the_document_works_as_it_stands(tmp_path: Path) -> None:
    commands = []
    for name, language, content in blocks():
        if language == "python":
            assert name, f"a block without a file name:\n{content}"
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        elif language == "sh":
            commands += content.splitlines()
    # What the first one brings is here already.
    assert commands[0].startswith("pip install")
    tests = re.findall(r"^def (test_\w+)", "\n".join(content for _, _, content in blocks()), re.MULTILINE)
    assert set(_SHOWN.values()) <= set(tests)
    assert not [path for path in tmp_path.rglob("*") if path.name in ("conftest.py", "pytest.ini", "pyproject.toml")]
    outputs = {command: _run(command, tmp_path) for command in commands[1:]}
    assert sorted(outputs) == ["pytest", "pytest -n 2", "python without_pytest.py"]
    for command in ("pytest", "pytest -n 2"):
        assert f"{len(tests)} passed" in outputs[command], outputs[command]
    assert outputs["python without_pytest.py"].startswith("made try an hour before 2")
