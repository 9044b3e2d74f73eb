"""Warnings and tracebacks as users see them: in a process of their own, by its standard error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from azureml.core import Workspace

_USES_OLD_NAMES = """
from azureml.core import Workspace
from azureml.train.estimator import Estimator
store = Workspace.from_config().get_default_datastore()
for _ in range(3):
    store.as_mount()
    store.as_download()
    Estimator(".", compute_target="local", entry_script="user.py", script_params={"--data": store.path("a").as_mount()})
"""


def _run(*arguments: str, code: str) -> subprocess.CompletedProcess[str]:
    Path("user.py").write_text(code)
    return subprocess.run(
        [sys.executable, *arguments, "user.py"], check=False, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(autouse=True)
def here(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    workspace.write_config()


def test_deprecated_names_are_told_once_to_those_who_ask() -> None:
    told = _run("-W", "always", code=_USES_OLD_NAMES)
    assert told.returncode == 0, told.stderr
    lines = [line for line in told.stderr.splitlines() if "deprecated in Azure's SDK" in line]
    assert sorted(line.partition("'")[2].partition("'")[0] for line in lines) == [
        "Estimator", "datastore.as_download", "datastore.as_mount",
    ]  # fmt: skip
    assert all("user.py:" in line and "PendingDeprecationWarning" in line for line in lines)


def test_others_read_nothing_of_it() -> None:
    quiet = _run(code=_USES_OLD_NAMES)
    assert (quiet.returncode, quiet.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Experiment(ws, 'no good name!')", "'no good name!' is not a good experiment name"),
        ("Run.get(ws, 'nothing')", "nothing"),
        ("ComputeTarget(ws, 'missing')", "missing"),
        ("Datastore(ws, 'missing')", "missing"),
        ("Model(ws, 'missing')", "missing"),
        ("Dataset.get_by_name(ws, 'missing')", "missing"),
        ("Dataset.File.from_files((ws.get_default_datastore(), 'missing'))", "missing"),
        ("CondaDependencies('user.py')", "user.py"),
    ],
)
def test_errors_are_short(line: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Both transports, by turns: starting a process for each line and transport would take long.
    monkeypatch.setenv("LOCALAML_TRANSPORT", "http" if "Model" in line or "Run" in line else "grpc")
    failed = _run(
        code="from azureml.core import *\nfrom azureml.core import Dataset, Datastore, Model, Run\n"
        "from azureml.core.conda_dependencies import CondaDependencies\nws = Workspace.from_config()\n" + line + "\n"
    )
    assert failed.returncode == 1
    assert said in failed.stderr
    assert failed.stderr.count("Traceback (most recent call last)") == 1
    assert "During handling" not in failed.stderr
    assert "direct cause" not in failed.stderr
    frames = [one for one in failed.stderr.splitlines() if one.startswith("  File ")]
    assert len(frames) <= 8, failed.stderr
