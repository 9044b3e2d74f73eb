from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PrimaryMetricGoal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIMARY_METRIC_GOAL_UNSPECIFIED: _ClassVar[PrimaryMetricGoal]
    PRIMARY_METRIC_GOAL_MAXIMIZE: _ClassVar[PrimaryMetricGoal]
    PRIMARY_METRIC_GOAL_MINIMIZE: _ClassVar[PrimaryMetricGoal]
PRIMARY_METRIC_GOAL_UNSPECIFIED: PrimaryMetricGoal
PRIMARY_METRIC_GOAL_MAXIMIZE: PrimaryMetricGoal
PRIMARY_METRIC_GOAL_MINIMIZE: PrimaryMetricGoal

class RunDefinition(_message.Message):
    __slots__ = ("script", "command", "arguments", "target", "framework", "communicator", "max_run_duration_seconds", "node_count", "environment", "history", "mpi", "tensorflow", "pytorch", "data_references", "source_directory_data_store", "amlcompute", "environment_variables", "docker", "data", "settings_without_effect", "sweep")
    class DataReferencesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: DataReferenceConfiguration
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[DataReferenceConfiguration, _Mapping]] = ...) -> None: ...
    class EnvironmentVariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class DataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: DataConfiguration
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[DataConfiguration, _Mapping]] = ...) -> None: ...
    class SettingsWithoutEffectEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    COMMUNICATOR_FIELD_NUMBER: _ClassVar[int]
    MAX_RUN_DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    MPI_FIELD_NUMBER: _ClassVar[int]
    TENSORFLOW_FIELD_NUMBER: _ClassVar[int]
    PYTORCH_FIELD_NUMBER: _ClassVar[int]
    DATA_REFERENCES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_DIRECTORY_DATA_STORE_FIELD_NUMBER: _ClassVar[int]
    AMLCOMPUTE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    DOCKER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_WITHOUT_EFFECT_FIELD_NUMBER: _ClassVar[int]
    SWEEP_FIELD_NUMBER: _ClassVar[int]
    script: str
    command: _containers.RepeatedScalarFieldContainer[str]
    arguments: _containers.RepeatedScalarFieldContainer[str]
    target: str
    framework: str
    communicator: str
    max_run_duration_seconds: int
    node_count: int
    environment: EnvironmentDefinition
    history: HistoryConfiguration
    mpi: MpiConfiguration
    tensorflow: TensorflowConfiguration
    pytorch: PyTorchConfiguration
    data_references: _containers.MessageMap[str, DataReferenceConfiguration]
    source_directory_data_store: str
    amlcompute: AmlComputeConfiguration
    environment_variables: _containers.ScalarMap[str, str]
    docker: DockerConfiguration
    data: _containers.MessageMap[str, DataConfiguration]
    settings_without_effect: _containers.ScalarMap[str, str]
    sweep: SweepDefinition
    def __init__(self, script: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., arguments: _Optional[_Iterable[str]] = ..., target: _Optional[str] = ..., framework: _Optional[str] = ..., communicator: _Optional[str] = ..., max_run_duration_seconds: _Optional[int] = ..., node_count: _Optional[int] = ..., environment: _Optional[_Union[EnvironmentDefinition, _Mapping]] = ..., history: _Optional[_Union[HistoryConfiguration, _Mapping]] = ..., mpi: _Optional[_Union[MpiConfiguration, _Mapping]] = ..., tensorflow: _Optional[_Union[TensorflowConfiguration, _Mapping]] = ..., pytorch: _Optional[_Union[PyTorchConfiguration, _Mapping]] = ..., data_references: _Optional[_Mapping[str, DataReferenceConfiguration]] = ..., source_directory_data_store: _Optional[str] = ..., amlcompute: _Optional[_Union[AmlComputeConfiguration, _Mapping]] = ..., environment_variables: _Optional[_Mapping[str, str]] = ..., docker: _Optional[_Union[DockerConfiguration, _Mapping]] = ..., data: _Optional[_Mapping[str, DataConfiguration]] = ..., settings_without_effect: _Optional[_Mapping[str, str]] = ..., sweep: _Optional[_Union[SweepDefinition, _Mapping]] = ...) -> None: ...

class SweepDefinition(_message.Message):
    __slots__ = ("sampling", "parameters", "seed", "primary_metric_name", "primary_metric_goal", "max_total_runs", "max_concurrent_runs", "max_duration_minutes", "policy")
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_METRIC_GOAL_FIELD_NUMBER: _ClassVar[int]
    MAX_TOTAL_RUNS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_RUNS_FIELD_NUMBER: _ClassVar[int]
    MAX_DURATION_MINUTES_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    sampling: str
    parameters: _containers.RepeatedCompositeFieldContainer[SweepParameter]
    seed: int
    primary_metric_name: str
    primary_metric_goal: PrimaryMetricGoal
    max_total_runs: int
    max_concurrent_runs: int
    max_duration_minutes: int
    policy: EarlyTerminationPolicy
    def __init__(self, sampling: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[SweepParameter, _Mapping]]] = ..., seed: _Optional[int] = ..., primary_metric_name: _Optional[str] = ..., primary_metric_goal: _Optional[_Union[PrimaryMetricGoal, str]] = ..., max_total_runs: _Optional[int] = ..., max_concurrent_runs: _Optional[int] = ..., max_duration_minutes: _Optional[int] = ..., policy: _Optional[_Union[EarlyTerminationPolicy, _Mapping]] = ...) -> None: ...

class SweepParameter(_message.Message):
    __slots__ = ("name", "distribution", "arguments_json")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_JSON_FIELD_NUMBER: _ClassVar[int]
    name: str
    distribution: str
    arguments_json: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., distribution: _Optional[str] = ..., arguments_json: _Optional[_Iterable[str]] = ...) -> None: ...

class EarlyTerminationPolicy(_message.Message):
    __slots__ = ("name", "evaluation_interval", "delay_evaluation", "slack_factor", "slack_amount", "truncation_percentage")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    DELAY_EVALUATION_FIELD_NUMBER: _ClassVar[int]
    SLACK_FACTOR_FIELD_NUMBER: _ClassVar[int]
    SLACK_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    evaluation_interval: int
    delay_evaluation: int
    slack_factor: float
    slack_amount: float
    truncation_percentage: int
    def __init__(self, name: _Optional[str] = ..., evaluation_interval: _Optional[int] = ..., delay_evaluation: _Optional[int] = ..., slack_factor: _Optional[float] = ..., slack_amount: _Optional[float] = ..., truncation_percentage: _Optional[int] = ...) -> None: ...

class EnvironmentDefinition(_message.Message):
    __slots__ = ("name", "version", "python", "environment_variables", "docker")
    class EnvironmentVariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    DOCKER_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    python: PythonSection
    environment_variables: _containers.ScalarMap[str, str]
    docker: DockerSection
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., python: _Optional[_Union[PythonSection, _Mapping]] = ..., environment_variables: _Optional[_Mapping[str, str]] = ..., docker: _Optional[_Union[DockerSection, _Mapping]] = ...) -> None: ...

class PythonSection(_message.Message):
    __slots__ = ("interpreter_path", "user_managed_dependencies", "conda_dependencies", "base_conda_environment")
    INTERPRETER_PATH_FIELD_NUMBER: _ClassVar[int]
    USER_MANAGED_DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    CONDA_DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    BASE_CONDA_ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    interpreter_path: str
    user_managed_dependencies: bool
    conda_dependencies: _struct_pb2.Struct
    base_conda_environment: str
    def __init__(self, interpreter_path: _Optional[str] = ..., user_managed_dependencies: bool = ..., conda_dependencies: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., base_conda_environment: _Optional[str] = ...) -> None: ...

class DockerSection(_message.Message):
    __slots__ = ("enabled", "base_image", "base_dockerfile", "shared_volumes", "gpu_support", "shm_size", "arguments", "base_image_registry")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    BASE_IMAGE_FIELD_NUMBER: _ClassVar[int]
    BASE_DOCKERFILE_FIELD_NUMBER: _ClassVar[int]
    SHARED_VOLUMES_FIELD_NUMBER: _ClassVar[int]
    GPU_SUPPORT_FIELD_NUMBER: _ClassVar[int]
    SHM_SIZE_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    BASE_IMAGE_REGISTRY_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    base_image: str
    base_dockerfile: str
    shared_volumes: bool
    gpu_support: bool
    shm_size: str
    arguments: _containers.RepeatedScalarFieldContainer[str]
    base_image_registry: ContainerRegistry
    def __init__(self, enabled: bool = ..., base_image: _Optional[str] = ..., base_dockerfile: _Optional[str] = ..., shared_volumes: bool = ..., gpu_support: bool = ..., shm_size: _Optional[str] = ..., arguments: _Optional[_Iterable[str]] = ..., base_image_registry: _Optional[_Union[ContainerRegistry, _Mapping]] = ...) -> None: ...

class ContainerRegistry(_message.Message):
    __slots__ = ("address", "username", "password")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    address: str
    username: str
    password: str
    def __init__(self, address: _Optional[str] = ..., username: _Optional[str] = ..., password: _Optional[str] = ...) -> None: ...

class DockerConfiguration(_message.Message):
    __slots__ = ("use_docker", "shared_volumes", "arguments", "shm_size")
    USE_DOCKER_FIELD_NUMBER: _ClassVar[int]
    SHARED_VOLUMES_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    SHM_SIZE_FIELD_NUMBER: _ClassVar[int]
    use_docker: bool
    shared_volumes: bool
    arguments: _containers.RepeatedScalarFieldContainer[str]
    shm_size: str
    def __init__(self, use_docker: bool = ..., shared_volumes: bool = ..., arguments: _Optional[_Iterable[str]] = ..., shm_size: _Optional[str] = ...) -> None: ...

class HistoryConfiguration(_message.Message):
    __slots__ = ("output_collection", "snapshot_project", "directories_to_watch")
    OUTPUT_COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_PROJECT_FIELD_NUMBER: _ClassVar[int]
    DIRECTORIES_TO_WATCH_FIELD_NUMBER: _ClassVar[int]
    output_collection: bool
    snapshot_project: bool
    directories_to_watch: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, output_collection: bool = ..., snapshot_project: bool = ..., directories_to_watch: _Optional[_Iterable[str]] = ...) -> None: ...

class MpiConfiguration(_message.Message):
    __slots__ = ("process_count_per_node", "node_count")
    PROCESS_COUNT_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    process_count_per_node: int
    node_count: int
    def __init__(self, process_count_per_node: _Optional[int] = ..., node_count: _Optional[int] = ...) -> None: ...

class TensorflowConfiguration(_message.Message):
    __slots__ = ("worker_count", "parameter_server_count")
    WORKER_COUNT_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_SERVER_COUNT_FIELD_NUMBER: _ClassVar[int]
    worker_count: int
    parameter_server_count: int
    def __init__(self, worker_count: _Optional[int] = ..., parameter_server_count: _Optional[int] = ...) -> None: ...

class PyTorchConfiguration(_message.Message):
    __slots__ = ("communication_backend", "process_count", "node_count")
    COMMUNICATION_BACKEND_FIELD_NUMBER: _ClassVar[int]
    PROCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    communication_backend: str
    process_count: int
    node_count: int
    def __init__(self, communication_backend: _Optional[str] = ..., process_count: _Optional[int] = ..., node_count: _Optional[int] = ...) -> None: ...

class DataReferenceConfiguration(_message.Message):
    __slots__ = ("data_store_name", "mode", "path_on_data_store", "path_on_compute", "overwrite")
    DATA_STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PATH_ON_DATA_STORE_FIELD_NUMBER: _ClassVar[int]
    PATH_ON_COMPUTE_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    data_store_name: str
    mode: str
    path_on_data_store: str
    path_on_compute: str
    overwrite: bool
    def __init__(self, data_store_name: _Optional[str] = ..., mode: _Optional[str] = ..., path_on_data_store: _Optional[str] = ..., path_on_compute: _Optional[str] = ..., overwrite: bool = ...) -> None: ...

class DataConfiguration(_message.Message):
    __slots__ = ("data_location", "create_output_directories", "mechanism", "environment_variable_name", "path_on_compute", "overwrite")
    DATA_LOCATION_FIELD_NUMBER: _ClassVar[int]
    CREATE_OUTPUT_DIRECTORIES_FIELD_NUMBER: _ClassVar[int]
    MECHANISM_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_VARIABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_ON_COMPUTE_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    data_location: DataLocation
    create_output_directories: bool
    mechanism: str
    environment_variable_name: str
    path_on_compute: str
    overwrite: bool
    def __init__(self, data_location: _Optional[_Union[DataLocation, _Mapping]] = ..., create_output_directories: bool = ..., mechanism: _Optional[str] = ..., environment_variable_name: _Optional[str] = ..., path_on_compute: _Optional[str] = ..., overwrite: bool = ...) -> None: ...

class DataLocation(_message.Message):
    __slots__ = ("dataset",)
    DATASET_FIELD_NUMBER: _ClassVar[int]
    dataset: DatasetLocation
    def __init__(self, dataset: _Optional[_Union[DatasetLocation, _Mapping]] = ...) -> None: ...

class DatasetLocation(_message.Message):
    __slots__ = ("id", "name", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    version: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class AmlComputeConfiguration(_message.Message):
    __slots__ = ("name", "vm_size", "vm_priority", "retain_cluster", "cluster_max_node_count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VM_SIZE_FIELD_NUMBER: _ClassVar[int]
    VM_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    RETAIN_CLUSTER_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_MAX_NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    vm_size: str
    vm_priority: str
    retain_cluster: bool
    cluster_max_node_count: int
    def __init__(self, name: _Optional[str] = ..., vm_size: _Optional[str] = ..., vm_priority: _Optional[str] = ..., retain_cluster: bool = ..., cluster_max_node_count: _Optional[int] = ...) -> None: ...
