"""The plugin's own fixtures, and scripts to run under a clock of the test's."""

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
    """Submits a script's text, on the local target unless `target` says more; in this Python unless `managed`."""
    from azureml.core import Experiment, ScriptRunConfig

    experiment = Experiment(workspace, "exp")
    numbers = iter(range(1000))

    def submit_text(text: str, target: Any = "local", *, managed: bool = False, limit: int = 0) -> Any:
        source = tmp_path / f"source{next(numbers)}"
        source.mkdir()
        (source / "train.py").write_text(text)
        config = ScriptRunConfig(str(source), "train.py", compute_target=target)
        config.run_config.amlcompute.vm_size = "STANDARD_D2_V2" if target == "amlcompute" else None
        if limit:
            config.run_config.max_run_duration_seconds = limit
        if not managed:
            config.run_config.environment.python.user_managed_dependencies = True
            config.run_config.environment.python.interpreter_path = sys.executable
        return experiment.submit(config)

    return submit_text
