"""Submitting: from what users give to `Experiment.submit` to a stored run."""

import logging
import os
import sys
import uuid
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from azureml._localaml.labels import text_map
from azureml._localaml.path_text import path_text
from azureml._run_impl.definition import run_definition

if TYPE_CHECKING:
    from azureml.core.experiment import Experiment
    from azureml.core.run import Run
    from azureml.core.runconfig import RunConfiguration
    from azureml.train.hyperdrive.runconfig import HyperDriveConfig

SCRIPT_RUN_TYPE = "azureml.scriptrun"
_LOGGER = logging.getLogger(__name__)


def submit(
    experiment: "Experiment",
    config: Any,
    tags: Optional[Mapping[str, str]] = None,
    parent_run_id: Optional[str] = None,
    **kwargs: Any,
) -> "Run":
    """Submits whatever has a `_to_submission` (ScriptRunConfig, estimators), or a RunConfiguration for the current
    folder.

    Raises:
        UserErrorException: nothing that can be submitted, or the definition cannot work.
        SnapshotException: the source folder cannot be packed.
    """
    from azureml.core.runconfig import RunConfiguration
    from azureml.exceptions import UserErrorException

    if isinstance(config, RunConfiguration):
        source_directory, run_config = os.curdir, config
    elif hasattr(config, "_to_submission"):
        source_directory, run_config = config._to_submission()
    else:
        raise UserErrorException(
            "An object of type {} cannot be submitted. Give a ScriptRunConfig or an Estimator.".format(
                type(config).__name__
            )
        )
    run_id = kwargs.pop("run_id", None)
    sweep = config if hasattr(config, "_sweep") else None
    if kwargs:
        _LOGGER.warning("submit(): LocalAML does not use %s.", ", ".join(sorted(kwargs)))
    return submit_run(experiment, source_directory, run_config, tags, parent_run_id, run_id, sweep)


def submit_run(
    experiment: "Experiment",
    source_directory: str,
    run_config: "RunConfiguration",
    tags: Optional[Mapping[str, str]] = None,
    parent_run_id: Optional[str] = None,
    run_id: Optional[str] = None,
    sweep: "Optional[HyperDriveConfig]" = None,
) -> "Run":
    """Packs the source folder and submits; with `sweep` as a sweep over the run."""
    from azureml._localaml.snapshot import create_snapshot
    from azureml.core.script_run import ScriptRun

    definition = run_definition(run_config, lambda dataset: str(dataset._saved_id(experiment.workspace)))
    if not os.path.isdir(source_directory):
        from azureml.exceptions import UserErrorException

        raise UserErrorException(
            "The source directory {!r} does not exist or is no folder.".format(os.fspath(source_directory))
        )
    if "script" in definition:
        definition["script"] = script_in_folder(definition["script"], source_directory)
    _name_own_python(definition)
    client = experiment._client
    snapshot_id = create_snapshot(client, experiment._workspace_resource_name, source_directory)
    request: Dict[str, Any] = {
        "parent": experiment._resource_name,
        # None: the emulator makes one, by its own clock and seed; `requestId` makes one run of a repeated call.
        "runId": run_id or "",
        "definition": definition,
        "snapshotId": snapshot_id,
        "tags": text_map(tags or {}, "tags"),
        "properties": {"azureml.runsource": "experiment", "ContentSnapshotId": snapshot_id},
        "runType": SCRIPT_RUN_TYPE,
        "requestId": str(uuid.uuid4()),
    }
    if parent_run_id:
        request["parentRunId"] = parent_run_id
    if sweep is not None:
        definition["sweep"] = sweep._sweep()
        definition["arguments"] = sweep._without_swept(definition["arguments"])
        own_tags, own_properties = sweep._labels()
        request["tags"] = dict(own_tags, **request["tags"])
        request["properties"].update(own_properties)
        request["runType"] = "hyperdrive"
        request["runId"] = run_id or sweep._custom_run_id or ""
        run: Any = ScriptRun._of(experiment, client.call("RunService", "SubmitRun", request))
        run._hyperdrive_config = sweep
        return run
    return ScriptRun._of(experiment, client.call("RunService", "SubmitRun", request))


def _name_own_python(definition: Dict[str, Any]) -> None:
    """On the local target, `python` of an environment that the user manages is the one that submits: Azure's local runs
    take the `python` of the notebook's environment. The emulator's own would lack what is installed there."""
    python = (definition.get("environment") or {}).get("python") or {}
    docker = (definition.get("environment") or {}).get("docker") or {}
    is_plain = python.get("userManagedDependencies") and python.get("interpreterPath") == "python"
    if definition.get("target") == "local" and is_plain and not docker.get("enabled") and sys.executable:
        python["interpreterPath"] = sys.executable


def script_in_folder(script: Any, source_directory: str) -> str:
    """The entry script's path inside the source folder, with `/`.

    Raises:
        UserErrorException: none is given, it does not exist, or it lies outside the folder.
    """
    from azureml.exceptions import UserErrorException

    script = path_text(script)
    if not isinstance(script, str) or not script:
        raise UserErrorException("No entry script is given: name a file inside the source directory.")
    if script.lower().endswith(".ipynb"):
        raise UserErrorException(
            "The entry script {!r} is a notebook, which Python cannot run. Make a script of it (jupyter nbconvert --to "
            "script NOTEBOOK), or submit a script that runs it, by papermill for example.".format(script)
        )
    source_directory = os.fspath(source_directory)
    folder = os.path.abspath(source_directory)
    path = os.path.normpath(os.path.join(folder, script))
    inside = os.path.relpath(path, folder)
    if inside.split(os.sep)[0] == os.pardir:
        raise UserErrorException(
            "The entry script {!r} lies outside the source directory {!r}. Only what is inside travels "
            "to the job.".format(script, source_directory)
        )
    if not os.path.isfile(path):
        raise UserErrorException(
            "The entry script {!r} does not exist in the source directory {!r}.".format(inside, source_directory)
        )
    return inside.replace(os.sep, "/")
