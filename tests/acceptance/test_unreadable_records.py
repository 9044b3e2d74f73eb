"""A run whose record cannot be read, in a real emulator: command line and SDK show the others, and tell of it."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys

import pytest
from tests.support.emulator_process import EmulatorProcess

from azureml.core import Experiment, Workspace
from localaml_proto.v1 import run_definition_pb2


def _poison(emulator: EmulatorProcess, run_id: str) -> None:
    """As an older version could store it: JSON does not have this number."""
    definition = run_definition_pb2.RunDefinition()
    definition.environment.python.conda_dependencies["a"] = float("inf")
    with sqlite3.connect(emulator.state_dir / "metadata.sqlite3", timeout=30) as connection:
        values = (definition.SerializeToString(), run_id)
        assert connection.execute("UPDATE runs SET definition = ? WHERE run_id = ?", values).rowcount == 1
    connection.close()


@pytest.mark.slow
def test_the_others_are_listed(
    connected: EmulatorProcess,
    workspace: Workspace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    experiment = Experiment(workspace, "e")
    bad, good = experiment.start_logging(), experiment.start_logging()
    _poison(connected, bad.id)
    with caplog.at_level(logging.WARNING, "azureml"):
        assert [run.id for run in Experiment(workspace, "e").get_runs()] == [good.id]
    assert bad.id in caplog.text
    told = subprocess.run(
        [sys.executable, "-m", "localaml.cli", "run", "list", "-w", workspace.name],
        env={**os.environ, "LOCALAML_STATE_DIR": str(connected.state_dir)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert good.id in told.stdout
    assert f"Unreadable: {bad.id}." in told.stderr
    good.complete()
