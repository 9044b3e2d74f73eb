"""Public notebooks of Microsoft's samples, unchanged, in a real Jupyter kernel.

What a notebook presupposes (a workspace and its config.json), its test supplies.
Which others were run, and how: docs/notebooks.md.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.notebook import notebook_in

from azureml.core import Experiment, Run

if TYPE_CHECKING:
    from azureml.core import Workspace

NOTEBOOKS = Path(__file__).parent / "notebooks"

pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore")]  # jupyter_client's own


def _run(name: str, workspace: Workspace, folder: Path, **variables: str) -> dict[int, str]:
    """Runs a notebook in a copy of its folder, with a config.json beside it."""
    copy = folder / name
    shutil.copytree(NOTEBOOKS / name, copy)
    config = {
        "subscription_id": workspace.subscription_id,
        "resource_group": workspace.resource_group,
        "workspace_name": workspace.name,
    }
    (copy / "config.json").write_text(json.dumps(config))
    with notebook_in(copy, variables) as notebook:
        return notebook.run(copy / f"{name}.ipynb")


def test_configuration(workspace: Workspace, tmp_path: Path) -> None:
    """The workspace's names come from the variables that the notebook reads."""
    said = _run(
        "configuration",
        workspace,
        tmp_path,
        SUBSCRIPTION_ID=workspace.subscription_id,
        RESOURCE_GROUP=workspace.resource_group,
        WORKSPACE_NAME=workspace.name,
    )
    assert "Workspace configuration succeeded" in said[9]
    assert "Creating new gpucluster" in said[15]
    assert "AmlCompute wait for completion finished" in said[15]
    assert {name: target.type for name, target in workspace.compute_targets.items()} == {
        "cpucluster": "AmlCompute",
        "gpucluster": "AmlCompute",
    }
    assert (tmp_path / "configuration" / ".azureml" / "config.json").is_file()


def test_logging_api(workspace: Workspace, tmp_path: Path) -> None:
    said = _run("logging-api", workspace, tmp_path)
    assert "Status: Completed" in said[21]
    assert "<th>Details Page</th>" in said[21]
    (run,) = Experiment(workspace, "logging-api-test").get_runs()
    metrics = run.get_metrics()
    assert metrics["Magic Number"] == 42
    assert metrics["Fibonacci"][-1] == 89
    assert len(metrics["Sigmoid"]) == 20
    assert metrics["Cosine Wave"]["angle"] == metrics["Sine Wave"]["angle"] == [number / 2 for number in range(-10, 10)]
    assert "outputs/myfile_in_the_cloud.txt" in run.get_file_names()
    files = {path.name for path in (tmp_path / "logging-api" / "files").iterdir()}
    assert "myfile_in_the_cloud.txt" in files
    assert any(name.startswith("Hyperbolic Tangent") for name in files)


def test_manage_runs(workspace: Workspace, tmp_path: Path) -> None:
    said = _run("manage-runs", workspace, tmp_path)
    experiment = Experiment(workspace, "explore-runs")
    # The notebook leaves its last run to itself.
    last: Run = next(iter(experiment.get_runs()))
    last.cancel()
    last.wait_for_completion(raise_on_error=False)
    assert said[17].strip() == "Completed"
    assert "properties cannot be changed" in said[33]
    assert "'worth another look'" in said[38]
    assert said[41].count("Run(") == 1, "found by its tag"
    assert said[49].count("Status: Completed") == 5, "five children"
    assert "CancelRequested" in said[53]
    assert len(list(experiment.get_runs(include_children=True))) == 7 + 5 + 5
    assert len(list((tmp_path / "manage-runs" / "snapshots").glob("*.zip"))) == 1
