"""Builds the project of docs/hyperdrive.md in an empty folder, as the document says, and runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from azureml.core import Run, Workspace

DOCUMENT = Path(__file__).parents[2] / "docs" / "hyperdrive.md"
_FILE = re.compile(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.timeout(240)
def test_the_document_works_as_it_stands(connected: object, tmp_path: Path) -> None:
    text = DOCUMENT.read_text("utf-8")
    files = _FILE.findall(text)
    assert [name for name, _ in files] == ["src/train.py", "sweep.py"]
    assert text.count("```python") == 2
    for name, content in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    # The test's emulator is there already: its variables are what `localaml env` would print.
    done = subprocess.run(
        [sys.executable, "sweep.py"],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found = re.search(r"^best: (HD_[\w-]+)_(\d) ", done.stdout, re.MULTILINE)
    assert found, done.stdout
    assert done.stdout.count("is submitted with") == 6
    workspace = Workspace.get("sweeps", subscription_id="local", resource_group="local")
    sweep = Run.get(workspace, found[1])
    lowest = {child.id: min(child.get_metrics()["loss"]) for child in sweep.get_children()}
    assert len(lowest) == 6
    best = f"{found[1]}_{found[2]}"
    assert lowest[best] == min(lowest.values()) == float(done.stdout.split()[-1])
