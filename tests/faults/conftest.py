"""The plugin's own fixtures, and jobs in this Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localaml.testing.plugin import workspace as workspace

Submit = Callable[..., Any]


@pytest.fixture
def submit(workspace: Any, tmp_path: Path) -> Submit:
    """Submits a script's text to a target; further arguments are attributes of the run configuration."""
    from azureml.core import Experiment, ScriptRunConfig

    experiment = Experiment(workspace, "exp")
    numbers = iter(range(1000))

    def submit_text(text: str, target: Any = "local", **configuration: Any) -> Any:
        source = tmp_path / f"source{next(numbers)}"
        source.mkdir()
        (source / "train.py").write_text(text)
        config = ScriptRunConfig(str(source), "train.py", compute_target=target)
        for name, value in configuration.items():
            setattr(config.run_config, name, value)
        config.run_config.environment.python.user_managed_dependencies = True
        config.run_config.environment.python.interpreter_path = sys.executable
        return experiment.submit(config)

    return submit_text
