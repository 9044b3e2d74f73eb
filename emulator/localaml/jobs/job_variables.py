"""The environment variables of a job's processes. Pure: facts in, a dictionary out.

Names as Azure ML's own (`AZUREML_*`) and those of the Batch AI service beneath AmlCompute (`AZ_BATCH*`); source: the
run environment that public notebooks and scripts rely on. Nothing of the emulator's own environment reaches a job
but what is listed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localaml.domain.models import Run

# What a login on the node would have, too: who and where one is, how to reach the outside, how numeric libraries are
# tuned.
_INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|(?i:https?_proxy|no_proxy|all_proxy)"
    r"|OPENBLAS_\w+|OMP_NUM_THREADS|MKL_\w+|CUDA_VISIBLE_DEVICES|NVIDIA_\w+"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """How a job reaches the emulator."""

    http_address: str
    endpoint_file: Path
    token: str
    # With which the job's own code meets the cloud that the emulator keeps its objects in.
    cloud_variables: Mapping[str, str] = field(default_factory=dict)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of the emulator's environment that jobs get."""
    return {name: value for name, value in environment.items() if _INHERITED.fullmatch(name)}


def job_variables(
    run: Run,
    *,
    base: Mapping[str, str],
    connection: Connection,
    bin_dir: Path,
    python_path: Sequence[Path],
    host_names: Sequence[str],
    rendezvous: str,
    work_dir: Path,
    data: Mapping[str, str],
    environment: Mapping[str, str],
    user: Mapping[str, str],
) -> dict[str, str]:
    """All variables of a job's processes.

    Args:
        base: what it gets of the emulator's own environment (see `inherited`).
        bin_dir: of the job's Python; first on its PATH.
        python_path: folders for PYTHONPATH.
        host_names: of its nodes, rank 0's first.
        rendezvous: ``address:port`` on node 0 at which processes that find each other by themselves can meet.
        data: ``AZUREML_DATAREFERENCE_<name>`` -> path.
        environment: what goes with the Python environment.
        user: the run definition's own; wins over all but what identifies the run.
    """
    name = run.name
    variables = dict(base)
    variables.update(environment)
    if "LD_LIBRARY_PATH" in environment and base.get("LD_LIBRARY_PATH"):
        variables["LD_LIBRARY_PATH"] = f"{environment['LD_LIBRARY_PATH']}:{base['LD_LIBRARY_PATH']}"
    variables["PATH"] = f"{bin_dir}:{variables.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    variables["PYTHONPATH"] = ":".join(str(folder) for folder in python_path)
    # Lines of a script have to be seen when they are printed, not when a buffer is full.
    variables["PYTHONUNBUFFERED"] = "1"
    variables["PYTHONIOENCODING"] = "utf-8"
    variables.update(connection.cloud_variables)
    variables.update(data)
    for key, value in user.items():
        if key == "PATH":
            variables["PATH"] = value
        elif key == "PYTHONPATH":
            variables["PYTHONPATH"] += f":{value}"
        else:
            variables[key] = value
    variables.update(
        {
            "AZUREML_RUN_ID": run.run_id,
            "AZUREML_ROOT_RUN_ID": run.root_run_id or run.run_id,
            "AZUREML_RUN_TOKEN": connection.token,
            "AZUREML_EXPERIMENT_NAME": name.experiment,
            "AZUREML_ARM_SUBSCRIPTION": name.workspace.subscription,
            "AZUREML_ARM_RESOURCEGROUP": name.workspace.resource_group,
            "AZUREML_ARM_WORKSPACE_NAME": name.workspace.workspace,
            "AZUREML_ARM_PROJECT_NAME": name.experiment,
            "AZUREML_SERVICE_ENDPOINT": connection.http_address,
            "AZUREML_NODE_COUNT": str(len(host_names)),
            "AZ_BATCH_HOST_LIST": ",".join(host_names),
            "AZ_BATCH_NODE_LIST": ";".join(host_names),
            "AZ_BATCH_MASTER_NODE": rendezvous,
            "AZ_BATCHAI_JOB_NAME": run.run_id,
            "AZ_BATCHAI_JOB_WORK_DIR": str(work_dir),
            "AZ_BATCHAI_NODE_LIST": ",".join(host_names),
            "LOCALAML_ENDPOINT": connection.http_address,
            "LOCALAML_ENDPOINT_FILE": str(connection.endpoint_file),
        }
    )
    return variables
