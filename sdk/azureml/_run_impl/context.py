"""The run that this process belongs to, told by the variables that the emulator sets in a job."""

import os
from typing import Any

_NEEDED = (
    "AZUREML_RUN_ID",
    "AZUREML_EXPERIMENT_NAME",
    "AZUREML_ARM_SUBSCRIPTION",
    "AZUREML_ARM_RESOURCEGROUP",
    "AZUREML_ARM_WORKSPACE_NAME",
)


def current_run(allow_offline: bool) -> Any:
    """The process's run, without asking the emulator for anything; outside a job an offline run.

    Raises:
        RunEnvironmentException: outside a job, with `allow_offline` off.
    """
    values = [os.environ.get(name, "") for name in _NEEDED]
    if not all(values):
        if allow_offline:
            from azureml._run_impl.offline import OfflineRun

            return OfflineRun()
        from azureml.exceptions import RunEnvironmentException

        raise RunEnvironmentException()
    from azureml.core.experiment import Experiment
    from azureml.core.run import Run
    from azureml.core.workspace import Workspace

    run_id, experiment_name, subscription_id, resource_group, workspace_name = values
    workspace = Workspace(subscription_id, resource_group, workspace_name, _disable_service_check=True)
    experiment = Experiment(workspace, experiment_name, _create_in_cloud=False)
    return Run(experiment, run_id, _fetch=False)
