"""Scripts as runs of the workspace that the fixtures of `localaml.testing` give."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Submit = Callable[..., Any]


@pytest.fixture(autouse=True)
def current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the test's own is the current one: interactive runs take snapshots of it, and make folders."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def submit(workspace: Any, tmp_path: Path) -> Submit:
    """Submits a script's text, on the local target unless `target` says more; in this Python unless `managed`. Further
    arguments are attributes of the run configuration."""
    from azureml.core import Experiment, ScriptRunConfig

    experiment = Experiment(workspace, "exp")
    numbers = iter(range(1000))

    def submit_text(text: str, target: Any = "local", *, managed: bool = False, **configuration: Any) -> Any:
        source = tmp_path / f"source{next(numbers)}"
        source.mkdir()
        (source / "train.py").write_text(text)
        config = ScriptRunConfig(str(source), "train.py", compute_target=target)
        config.run_config.amlcompute.vm_size = "STANDARD_D2_V2" if target == "amlcompute" else None
        for name, value in configuration.items():
            setattr(config.run_config, name, value)
        if not managed:
            config.run_config.environment.python.user_managed_dependencies = True
            config.run_config.environment.python.interpreter_path = sys.executable
        return experiment.submit(config)

    return submit_text
