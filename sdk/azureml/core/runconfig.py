"""`RunConfiguration` and its parts: what a run is to do, and where."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Union

from azureml._localaml.unsupported import unsupported
from azureml._run_impl.config_element import ConfigElement, Field
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.container_registry import ContainerRegistry
from azureml.core.environment import (
    DEFAULT_CPU_IMAGE,
    DEFAULT_GPU_IMAGE,
    DEFAULT_SHM_SIZE,
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
_DEFAULT_SHM_SIZE = DEFAULT_SHM_SIZE

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


class MpiConfiguration(ConfigElement):
    """An Open MPI job: how many processes on each of how many nodes."""

    _FIELDS = (Field("process_count_per_node"), Field("node_count"))

    def __init__(self, process_count_per_node: int = 1, node_count: int = 1) -> None:
        super().__init__()
        self.process_count_per_node = process_count_per_node
        self.node_count = node_count
        self._seal()


class TensorflowConfiguration(ConfigElement):
    """A TensorFlow job with parameter servers."""

    _FIELDS = (Field("worker_count"), Field("parameter_server_count"))

    def __init__(self, worker_count: int = 1, parameter_server_count: int = 1) -> None:
        super().__init__()
        self.worker_count = worker_count
        self.parameter_server_count = parameter_server_count
        self._seal()


class PyTorchConfiguration(ConfigElement):
    """A `torch.distributed` job."""

    _FIELDS = (Field("communication_backend"), Field("process_count"), Field("node_count"))

    def __init__(
        self, communication_backend: str = "Nccl", process_count: Optional[int] = None, node_count: int = 1
    ) -> None:
        super().__init__()
        self.process_count = process_count
        self.communication_backend = communication_backend
        self.node_count = node_count
        self._seal()


class ParallelTaskConfiguration(ConfigElement):
    """Kept for signatures."""

    _FIELDS = (Field("max_retries_per_worker"), Field("worker_count_per_node"), Field("terminal_exit_codes"))

    def __init__(self) -> None:
        super().__init__()
        self.max_retries_per_worker = 0
        self.worker_count_per_node = 1
        self.terminal_exit_codes: Optional[List[int]] = None
        self._seal()


class DataReferenceConfiguration(ConfigElement):
    """A place in a datastore and how the job gets it."""

    _FIELDS = tuple(
        Field(name) for name in ("data_store_name", "mode", "path_on_data_store", "path_on_compute", "overwrite")
    )

    def __init__(
        self,
        datastore_name: Optional[str] = None,
        mode: str = "mount",
        path_on_datastore: Optional[str] = None,
        path_on_compute: Optional[str] = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self.data_store_name = datastore_name
        self.path_on_data_store = path_on_datastore
        self.path_on_compute = path_on_compute
        self.mode = mode
        self.overwrite = overwrite
        self._seal()


class DockerConfiguration(ConfigElement):
    """Settings of the containers of a run."""

    _FIELDS = tuple(Field(name) for name in ("use_docker", "shared_volumes", "arguments", "shm_size"))

    def __init__(
        self,
        use_docker: bool = False,
        shared_volumes: bool = True,
        arguments: List[str] = [],  # noqa: B006 - the default of Azure's signature; copied below
        shm_size: Optional[str] = _DEFAULT_SHM_SIZE,
    ) -> None:
        super().__init__()
        self.use_docker = use_docker
        self.shared_volumes = shared_volumes
        self.arguments = list(arguments or ())
        self.shm_size = shm_size
        self._seal()


class AmlComputeConfiguration(ConfigElement):
    """The cluster that is made for one run when the target is ``amlcompute``."""

    _FIELDS = (
        Field("vm_size"),
        Field("vm_priority"),
        Field("retain_cluster", attribute="_retain_cluster"),
        Field("name", attribute="_name"),
        Field("cluster_max_node_count", attribute="_cluster_max_node_count"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.vm_size: Optional[str] = None
        self.vm_priority: Optional[str] = None
        self._retain_cluster = False
        self._name: Optional[str] = None
        self._cluster_max_node_count: Optional[int] = None
        self._seal()


class KubernetesComputeConfiguration(ConfigElement):
    """Kept for signatures."""

    _FIELDS = (Field("instance_type"),)

    def __init__(self) -> None:
        super().__init__()
        self.instance_type: Optional[str] = None
        self._seal()


class HistoryConfiguration(ConfigElement):
    """What is kept of a run: outputs, the snapshot, folders that are uploaded while it goes on."""

    _FIELDS = (Field("output_collection"), Field("snapshot_project"), Field("directories_to_watch"))

    def __init__(self) -> None:
        super().__init__()
        self.output_collection = True
        self.snapshot_project = True
        self.directories_to_watch: Optional[List[str]] = ["logs"]
        self._seal()


class SparkConfiguration(ConfigElement):
    """Kept for signatures."""

    _FIELDS = (Field("configuration"),)

    def __init__(self) -> None:
        super().__init__()
        self.configuration: Dict[str, Any] = {}
        self._seal()


class HdiConfiguration(ConfigElement):
    """Kept for signatures."""

    _FIELDS = (Field("yarn_deploy_mode"),)

    def __init__(self) -> None:
        super().__init__()
        self.yarn_deploy_mode = "cluster"
        self._seal()


class Data(ConfigElement):
    """Kept for signatures: datasets are not supported yet."""

    _FIELDS = tuple(
        Field(name)
        for name in (
            "data_location",
            "create_output_directories",
            "mechanism",
            "environment_variable_name",
            "path_on_compute",
            "overwrite",
            "options",
        )
    )

    def __init__(
        self,
        data_location: Any = None,
        create_output_directories: Optional[bool] = None,
        mechanism: str = "direct",
        environment_variable_name: Optional[str] = None,
        path_on_compute: Optional[str] = None,
        overwrite: bool = False,
        options: Optional[Dict[str, str]] = None,
    ) -> None:
        super().__init__()
        self.data_location = data_location
        self.create_output_directories = create_output_directories
        self.mechanism = mechanism
        self.environment_variable_name = environment_variable_name
        self.path_on_compute = path_on_compute
        self.overwrite = overwrite
        self.options = options
        self._seal()

    @staticmethod
    def create(data: Any) -> Data:
        """Not supported."""
        raise unsupported("Data.create (a dataset as a run's input)", "Use a DataReference.")


class OutputData(ConfigElement):
    """Kept for signatures: dataset outputs are not supported yet."""

    _FIELDS = (Field("output_location"), Field("mechanism"), Field("additional_options"))

    def __init__(self, output_location: Any = None, mechanism: str = "mount", additional_options: Any = None) -> None:
        super().__init__()
        self.output_location = output_location
        self.mechanism = mechanism
        self.additional_options = additional_options
        self._seal()


class ApplicationEndpointConfiguration(ConfigElement):
    """Kept for signatures."""

    _FIELDS = (Field("type"), Field("port"), Field("properties"))

    def __init__(
        self, type: Optional[str] = None, port: Optional[int] = None, properties: Optional[Dict[str, str]] = None
    ) -> None:
        super().__init__()
        self.type = type
        self.port = port
        self.properties = properties
        self._seal()


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
        communicator: ``None`` (default), ``Mpi``, ``IntelMpi``, ``OpenMpi``; others are refused at submit for now.
        conda_dependencies: the environment's packages.
        command: words of a command line, instead of a script.
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
    def load(path: str, name: Optional[str] = None) -> RunConfiguration:
        """Reads a configuration.

        Args:
            path: a file, or (with `name`) a project folder.

        Raises:
            RunConfigurationException: no such file, or it is not of the form.
        """
        from azureml._run_impl import runconfig_files

        return runconfig_files.load(path, name)

    @staticmethod
    def delete(path: str, name: str) -> None:
        """Removes a saved configuration. Raises RunConfigurationException when there is none."""
        from azureml._run_impl import runconfig_files

        os.remove(runconfig_files.find(path, name))
