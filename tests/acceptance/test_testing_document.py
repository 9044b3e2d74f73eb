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
    written = len(re.findall(r"^def test_", "\n".join(content for _, _, content in blocks()), re.MULTILINE))
    assert written >= 9
    outputs = {command: _run(command, tmp_path) for command in commands[1:]}
    assert sorted(outputs) == ["pytest", "pytest -n 2", "python without_pytest.py"]
    for command in ("pytest", "pytest -n 2"):
        assert f"{written} passed" in outputs[command], outputs[command]
    assert outputs["python without_pytest.py"].startswith("made try an hour before 2")
