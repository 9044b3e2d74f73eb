"""Workspaces, compute targets, data, experiments and runs: the names that `from azureml.core import ...` finds."""

from typing import TYPE_CHECKING

from azureml._localaml.lazy import lazy_names

if TYPE_CHECKING:
    from azureml.core.compute import ComputeTarget
    from azureml.core.container_registry import ContainerRegistry
    from azureml.core.dataset import Dataset
    from azureml.core.datastore import Datastore
    from azureml.core.environment import Environment
    from azureml.core.experiment import Experiment
    from azureml.core.keyvault import Keyvault
    from azureml.core.model import Model
    from azureml.core.run import Run, get_run
    from azureml.core.runconfig import RunConfiguration
    from azureml.core.script_run import ScriptRun
    from azureml.core.script_run_config import ScriptRunConfig
    from azureml.core.workspace import Workspace

# The version of Azure's SDK whose interface this is.
VERSION = "1.61.0"
__version__ = VERSION

__all__ = [
    "VERSION",
    "ComputeTarget",
    "ContainerRegistry",
    "Dataset",
    "Datastore",
    "Environment",
    "Experiment",
    "Keyvault",
    "Model",
    "Run",
    "RunConfiguration",
    "ScriptRun",
    "ScriptRunConfig",
    "Workspace",
    "get_run",
]

_NAMES = {
    "ComputeTarget": "azureml.core.compute",
    "ContainerRegistry": "azureml.core.container_registry",
    "Dataset": "azureml.core.dataset",
    "Datastore": "azureml.core.datastore",
    "Environment": "azureml.core.environment",
    "Experiment": "azureml.core.experiment",
    "Keyvault": "azureml.core.keyvault",
    "Model": "azureml.core.model",
    "Run": "azureml.core.run",
    "RunConfiguration": "azureml.core.runconfig",
    "ScriptRun": "azureml.core.script_run",
    "ScriptRunConfig": "azureml.core.script_run_config",
    "Workspace": "azureml.core.workspace",
    "get_run": "azureml.core.run",
}
_UNSUPPORTED = frozenset(
    (
        "Image",
        "LinkedService",
        "PrivateEndPoint",
        "PrivateEndPointConfig",
        "SynapseWorkspaceLinkedServiceConfiguration",
        "Webservice",
        "attach_legacy_compute_target",
        "diagnostic_log",
        "is_compute_target_prepared",
        "prepare_compute_target",
        "remove_legacy_compute_target",
    )
)

__getattr__, __dir__ = lazy_names(__name__, _NAMES, _UNSUPPORTED)
