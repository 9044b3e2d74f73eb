"""What the tests of models, secrets and environments share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.core.script_run import ScriptRun

RunScript = Callable[..., "ScriptRun"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, outside of any job."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("AZUREML_RUN_ID", raising=False)
    monkeypatch.delenv("AZUREML_MODEL_DIR", raising=False)
    return folder


@pytest.fixture
def run_script(workspace: Workspace, tmp_path: Path, here: Path) -> RunScript:
    """Runs a script in this Python to its end, and returns the run."""
    from azureml.core import Experiment, ScriptRunConfig

    numbers = iter(range(1000))

    def run(text: str, **arguments: Any) -> Any:
        source = tmp_path / f"source{next(numbers)}"
        source.mkdir()
        (source / "train.py").write_text(text)
        config = ScriptRunConfig(str(source), "train.py", **arguments)
        config.run_config.environment.python.user_managed_dependencies = True
        config.run_config.environment.python.interpreter_path = sys.executable
        submitted = Experiment(workspace, "exp").submit(config)
        submitted.wait_for_completion(raise_on_error=False)
        return submitted

    return run
