"""Compute targets."""

from typing import TYPE_CHECKING

from azureml._localaml.lazy import lazy_names

if TYPE_CHECKING:
    from azureml.core.compute.amlcompute import AmlCompute
    from azureml.core.compute.compute import ComputeTarget
    from azureml.exceptions import ComputeTargetException

__all__ = ["AmlCompute", "ComputeTarget", "ComputeTargetException"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AmlCompute": "azureml.core.compute.amlcompute",
        "ComputeTarget": "azureml.core.compute.compute",
        "ComputeTargetException": "azureml.exceptions",
    },
    frozenset(
        (
            "AdlaCompute",
            "AksCompute",
            "BatchCompute",
            "ComputeInstance",
            "DataFactoryCompute",
            "DatabricksCompute",
            "DsvmCompute",
            "HDInsightCompute",
            "KubernetesCompute",
            "KustoCompute",
            "RemoteCompute",
            "SynapseCompute",
        )
    ),
)
