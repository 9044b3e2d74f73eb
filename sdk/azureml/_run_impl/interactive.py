"""Runs that a notebook or script performs itself: `Experiment.start_logging`."""

import os
import uuid
from typing import TYPE_CHECKING, Any, Dict, Optional

if TYPE_CHECKING:
    from azureml.core.experiment import Experiment
    from azureml.core.run import Run


class Collector:
    """Uploads a folder's files as ``outputs/...`` when the run ends.

    Args:
        folder: is made when missing, so that code can write to it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)
        os.makedirs(self._folder, exist_ok=True)

    def collect(self, run: Any) -> None:
        """Uploads what the run does not have yet."""
        from azureml._run_impl.run_files import files_below

        there = set(item["path"] for item in run._artifacts("outputs/"))
        items = [("outputs/" + inner, path) for inner, path in files_below(self._folder)]
        run._upload([item for item in items if item[0] not in there])


def start_logging(
    experiment: "Experiment",
    outputs: Optional[str],
    snapshot_directory: Optional[str],
    display_name: Optional[str],
    run_id: Optional[str] = None,
) -> "Run":
    """Makes a run in Running that the caller performs."""
    from azureml._localaml.snapshot import create_snapshot
    from azureml.core.run import Run

    request: Dict[str, Any] = {
        "parent": experiment._resource_name,
        "runId": run_id or "",
        "requestId": str(uuid.uuid4()),
    }
    if display_name:
        request["displayName"] = display_name
    client = experiment._client
    if snapshot_directory is not None:
        request["snapshotId"] = create_snapshot(client, experiment._workspace_resource_name, snapshot_directory)
    run = Run._of(experiment, client.call("RunService", "CreateRun", request))
    run._collector = Collector(outputs or "outputs")
    return run
