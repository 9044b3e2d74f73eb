"""What the tests of sweeps share: a cluster of two nodes, and what runs on it in this Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.train.estimator import Estimator

SCRIPTS = Path(__file__).parent / "scripts"
# An estimator of a script; further arguments are its own.
Make = Callable[..., "Estimator"]


@pytest.fixture
def cluster(workspace: Workspace) -> Iterator[Any]:
    from azureml.core.compute import AmlCompute, ComputeTarget

    settings = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
    made = ComputeTarget.create(workspace, "cpu", settings)
    made.wait_for_completion(show_output=False)
    yield made
    if made.name in workspace.compute_targets:
        made.delete()


def make_estimator(cluster: Any, script: str, folder: Path, **arguments: Any) -> Estimator:
    """An estimator that runs in this Python, with a folder that the script shares with the test."""
    from azureml.train.estimator import Estimator

    made = Estimator(
        str(SCRIPTS),
        compute_target=cluster,
        entry_script=script,
        user_managed=True,
        environment_variables={"TEST_FOLDER": str(folder)},
        **arguments,
    )
    assert made.run_config is not None
    made.run_config.environment.python.interpreter_path = sys.executable
    return made


@pytest.fixture
def estimator(cluster: Any, tmp_path: Path) -> Make:
    return lambda script, **arguments: make_estimator(cluster, script, tmp_path, **arguments)
