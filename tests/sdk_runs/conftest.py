"""What the tests of runs against a real emulator share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from azureml.core import Experiment, Workspace
    from azureml.core.script_run import ScriptRun

# Submits a script's text; further arguments are those of ScriptRunConfig.
Submit = Callable[..., "ScriptRun"]


@pytest.fixture
def experiment(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """An experiment, with an empty current folder."""
    from azureml.core import Experiment

    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Experiment(workspace, "exp")


@pytest.fixture
def submit(experiment: Experiment, tmp_path: Path) -> Submit:
    """Submits scripts that run in this Python, on the local target."""
    from azureml.core import ScriptRunConfig

    numbers = iter(range(1000))

    def submit_text(text: str, python: str = sys.executable, **arguments: Any) -> Any:
        source = tmp_path / f"source{next(numbers)}"
        source.mkdir()
        (source / "train.py").write_text(text)
        tags = arguments.pop("tags", None)
        config = ScriptRunConfig(str(source), "train.py", **arguments)
        config.run_config.environment.python.user_managed_dependencies = True
        config.run_config.environment.python.interpreter_path = python
        return experiment.submit(config, tags=tags)

    return submit_text
