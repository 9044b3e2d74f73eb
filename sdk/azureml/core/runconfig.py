"""`RunConfiguration` and its parts: what a run is to do, and where."""

import os
from typing import Any, Dict, List, Optional, Union

from azureml._localaml.lazy import lazy_names
from azureml._run_impl.config_element import ConfigElement, Field
from azureml._run_impl.runconfig_parts import (
    AmlComputeConfiguration,
    ApplicationEndpointConfiguration,
    Data,
    DataReferenceConfiguration,
    DockerConfiguration,
    HdiConfiguration,
    HistoryConfiguration,
    KubernetesComputeConfiguration,
    MpiConfiguration,
    OutputData,
    ParallelTaskConfiguration,
    PyTorchConfiguration,
    SparkConfiguration,
    TensorflowConfiguration,
)
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.container_registry import ContainerRegistry
from azureml.core.environment import (
    DEFAULT_CPU_IMAGE,
    DEFAULT_GPU_IMAGE,
    DockerBuildContext,
    DockerSection,
    Environment,
    PythonSection,
    RSection,
    SparkPackage,
    SparkSection,
)

MPI_CPU_IMAGE = DEFAULT_CPU_IMAGE
MPI_GPU_IMAGE = DEFAULT_GPU_IMAGE

# Names of SDK 1.0.x.
PythonEnvironment = PythonSection
DockerEnvironment = DockerSection
SparkEnvironment = SparkSection

__all__ = [
    "DEFAULT_CPU_IMAGE",
    "DEFAULT_GPU_IMAGE",
    "MPI_CPU_IMAGE",
    "MPI_GPU_IMAGE",
    "AmlComputeConfiguration",
    "ApplicationEndpointConfiguration",
    "CondaDependencies",
    "ContainerRegistry",
    "Data",
    "DataReferenceConfiguration",
    "DockerBuildContext",
    "DockerConfiguration",
    "DockerEnvironment",
    "DockerSection",
    "Environment",
    "EnvironmentDefinition",
    "HdiConfiguration",
    "HistoryConfiguration",
    "KubernetesComputeConfiguration",
    "MpiConfiguration",
    "OutputData",
    "ParallelTaskConfiguration",
    "PyTorchConfiguration",
    "PythonEnvironment",
    "PythonSection",
    "RSection",
    "RunConfiguration",
    "SparkConfiguration",
    "SparkEnvironment",
    "SparkPackage",
    "SparkSection",
    "TensorflowConfiguration",
]


class EnvironmentDefinition(Environment):
    """An environment inside a run configuration (the name that SDK 1.0.x has for it)."""

    def __init__(self, name: Optional[str] = None) -> None:
        super().__init__(name)


class RunConfiguration(ConfigElement):
    """What a run is to do: script, arguments, target, environment, data, distribution.

    Args:
        script: path of the script inside the source directory.
        arguments: words; numbers are allowed, and DataReference objects.
        framework: ``Python`` (default), ``TensorFlow``, ``PyTorch``.
        communicator: ``None`` (default), ``Mpi``, ``IntelMpi``, ``OpenMpi``, ``ParameterServer``, ``Nccl``, ``Gloo``.
        conda_dependencies: the environment's packages.
        command: words of a command line, instead of a script.

    Attributes that LocalAML cannot follow are refused by name at submit; those that change nothing are named by the
    run's warnings.
    """

    _FIELDS = (
        Field("script"),
        Field("command"),
        Field("arguments"),
        Field("target", attribute="_target"),
        Field("framework"),
        Field("communicator"),
        Field("auto_prepare_environment"),
        Field("max_run_duration_seconds"),
        Field("node_count"),
        Field("priority"),
        Field("environment", EnvironmentDefinition),
        Field("environment_variables"),
        Field("history", HistoryConfiguration),
        Field("spark", SparkConfiguration),
        Field("docker", DockerConfiguration),
        Field("hdi", HdiConfiguration),
        Field("tensorflow", TensorflowConfiguration),
        Field("mpi", MpiConfiguration),
        Field("pytorch", PyTorchConfiguration),
        Field("paralleltask", ParallelTaskConfiguration),
        Field("data_references", DataReferenceConfiguration, is_map=True),
        Field("data", Data, is_map=True),
        Field("datacaches"),
        Field("output_data", OutputData, is_map=True),
        Field("source_directory_data_store"),
        Field("amlcompute", AmlComputeConfiguration),
        Field("kubernetescompute", KubernetesComputeConfiguration),
        Field("services", ApplicationEndpointConfiguration, is_map=True, key="applicationEndpoints"),
        Field("auto_cluster_compute_specification"),
        Field("credential_passthrough"),
    )

    def __init__(
        self,
        script: Optional[str] = None,
        arguments: Optional[List[Any]] = None,
        framework: Optional[str] = None,
        communicator: Optional[str] = None,
        conda_dependencies: Optional[CondaDependencies] = None,
        _history_enabled: Optional[bool] = None,
        _path: Optional[str] = None,
        _name: Optional[str] = None,
        command: Union[str, List[str], None] = None,
    ) -> None:
        super().__init__()
        self.script = script or ("" if command else "train.py")
        self.command = command
        self.arguments: List[Any] = list(arguments or ())
        self._target = "local"
        self.framework = framework or "Python"
        self.communicator = communicator or "None"
        self.auto_prepare_environment = True
        self.max_run_duration_seconds: Optional[int] = None
        self.node_count = 1
        self.priority: Optional[int] = None
        self.environment: Environment = EnvironmentDefinition()
        if conda_dependencies is not None:
            self.environment.python.conda_dependencies = conda_dependencies
        self.environment_variables: Dict[str, str] = {}
        self.history = HistoryConfiguration()
        if _history_enabled is not None:
            self.history.output_collection = _history_enabled
        self.spark = SparkConfiguration()
        self.docker = DockerConfiguration()
        self.hdi = HdiConfiguration()
        self.tensorflow = TensorflowConfiguration()
        self.mpi = MpiConfiguration()
        self.pytorch = PyTorchConfiguration()
        self.paralleltask = ParallelTaskConfiguration()
        self.data_references: Dict[str, DataReferenceConfiguration] = {}
        self.data: Dict[str, Data] = {}
        self.datacaches: List[Any] = []
        self.output_data: Dict[str, OutputData] = {}
        self.source_directory_data_store: Optional[str] = None
        self.amlcompute = AmlComputeConfiguration()
        self.kubernetescompute = KubernetesComputeConfiguration()
        self.services: Dict[str, ApplicationEndpointConfiguration] = {}
        self.auto_cluster_compute_specification: Optional[Dict[str, Any]] = None
        self.credential_passthrough: Optional[bool] = None
        self._path = _path
        self._name = _name
        self._seal()

    @property
    def target(self) -> str:
        """The compute target's name: a cluster, ``local`` (default) or ``amlcompute``. May be set to a
        ComputeTarget."""
        return self._target

    @target.setter
    def target(self, value: Any) -> None:
        from azureml._run_impl.definition import target_name

        self._target = target_name(value)

    def save(
        self, path: Optional[str] = None, name: Optional[str] = None, separate_environment_yaml: bool = False
    ) -> None:
        """Writes the configuration as YAML.

        Args:
            path: a file name, or (with `name`) a project folder in whose ``.azureml`` folder ``<name>.runconfig`` is
                written.
                Default: where it was loaded from, else the current folder.
            separate_environment_yaml: write the environment to ``<path>/../environment.yml`` instead of into the file.
        """
        from azureml._run_impl import runconfig_files

        runconfig_files.save(self, path, name, separate_environment_yaml)

    @staticmethod
    def load(path: str, name: Optional[str] = None) -> "RunConfiguration":
        """Reads a configuration.

        Args:
            path: a file, or (with `name`) a project folder.

        Raises:
            UserErrorException: no such file.
            RunConfigurationException: it is not of the form.
        """
        from azureml._run_impl import runconfig_files

        return runconfig_files.load(path, name)

    @staticmethod
    def delete(path: str, name: str) -> None:
        """Removes a saved configuration. Raises UserErrorException when there is none."""
        from azureml._run_impl import runconfig_files

        os.remove(runconfig_files.find(path, name))


# Names that projects import from here: Azure's module has them, because it uses them.
_LENT = {
    "ComputeTarget": "azureml.core.compute",
    "DataPath": "azureml.data.datapath",
    "DatabricksCluster": "azureml.core.databricks",
    "DatabricksEnvironment": "azureml.core.databricks",
    "DatabricksSection": "azureml.core.databricks",
    "Dataset": "azureml.core.dataset",
    "DatasetConsumptionConfig": "azureml.data.dataset_consumption_config",
    "EggLibrary": "azureml.core.databricks",
    "JarLibrary": "azureml.core.databricks",
    "MavenLibrary": "azureml.core.databricks",
    "PyPiLibrary": "azureml.core.databricks",
    "RCranLibrary": "azureml.core.databricks",
    "Run": "azureml.core.run",
    "RunConfigurationException": "azureml.exceptions",
    "UserErrorException": "azureml.exceptions",
}

__getattr__, __dir__ = lazy_names(__name__, _LENT)
