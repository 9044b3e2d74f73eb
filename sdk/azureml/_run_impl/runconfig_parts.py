"""The parts of a run configuration. Public under `azureml.core.runconfig`."""

from typing import Any, Dict, List, Optional

from azureml._run_impl.config_element import ConfigElement, Field

# Azure's default for the size of /dev/shm.
_DEFAULT_SHM_SIZE = "2g"


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
    """A `torch.distributed` job. Raises RunConfigurationException for a backend other than Nccl and Gloo."""

    _FIELDS = (Field("communication_backend"), Field("process_count"), Field("node_count"))

    def __init__(
        self, communication_backend: str = "Nccl", process_count: Optional[int] = None, node_count: int = 1
    ) -> None:
        super().__init__()
        if str(communication_backend).lower() not in ("nccl", "gloo"):
            from azureml.exceptions import RunConfigurationException

            raise RunConfigurationException(
                "communication_backend is 'Nccl' or 'Gloo', not {!r}.".format(communication_backend)
            )
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
    """A dataset as an input of a run."""

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
    def create(data: Any) -> "Data":
        """The entry for a DatasetConsumptionConfig. Raises UserErrorException for anything else."""
        from azureml._run_impl.dataset_inputs import create_data

        made: Data = create_data(data)
        return made


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
