"""What a submitted run asks for, once its definition has been checked: the input of scheduling and launching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Launch(str, Enum):
    """How a run's processes are started."""

    SINGLE = "single"
    MPI = "mpi"
    # TensorFlow's workers and parameter servers, which find each other by TF_CONFIG.
    PARAMETER_SERVER = "ps"
    # Ranks that find each other by an address (`torch.distributed` with Gloo or NCCL).
    RENDEZVOUS = "rendezvous"


class DataMode(str, Enum):
    """What a data reference is on the node."""

    MOUNT = "mount"
    DOWNLOAD = "download"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class DataReference:
    name: str
    datastore: str
    mode: DataMode
    path_on_datastore: str = ""  # "" is the datastore's root
    path_on_compute: str = ""
    overwrite: bool = False


class DatasetMode(str, Enum):
    """How a job gets a dataset."""

    DIRECT = "direct"
    MOUNT = "mount"
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a job reads.

    Attributes:
        name: the input's; ``DatasetConsumptionConfig:<name>`` in a word stands for its path, or for the dataset's id.
        dataset_id: of the dataset's version; empty when it is named by `dataset` and `version` (0: the newest).
        variable: environment variable for the path or id.
    """

    name: str
    mode: DatasetMode
    dataset_id: str = ""
    dataset: str = ""
    version: int = 0
    variable: str = ""
    path_on_compute: str = ""
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class PythonEnvironmentSpec:
    """The Python that a job runs in.

    Attributes:
        user_managed: take `interpreter` as it is and install nothing.
        interpreter: path or command name, for `user_managed`.
        conda_dependencies: the content of a conda environment file, else empty.
        extra_pip_packages: requirements that the launch itself needs (``mpi4py`` for MPI), added unless named already.
    """

    user_managed: bool = False
    interpreter: str = "python"
    conda_dependencies: Mapping[str, Any] = field(default_factory=dict)
    extra_pip_packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """With whom an image is pulled."""

    address: str
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a run definition says about its container; means something where nodes are containers.

    Attributes:
        image: its image; empty for the emulator's base image.
        dockerfile: text of a Dockerfile to build the image from; empty for none.
        shm_size_bytes: size of /dev/shm; 0 for the default.
        gpu: whether GPUs are wanted.
        arguments: further arguments as for ``docker run``.
    """

    image: str = ""
    dockerfile: str = ""
    shm_size_bytes: int = 0
    gpu: bool = False
    arguments: tuple[str, ...] = ()
    registry: RegistryCredentials | None = None


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A checked run definition.

    Attributes:
        arguments: words; ``$AZUREML_DATAREFERENCE_<name>`` inside one stands for a path on the node, so does
            ``DatasetConsumptionConfig:<name>``.
        processes_per_node: of MPI and of ranks without MPI.
        worker_count: of a launch with parameter servers.
        server_count: its parameter servers.
        max_run_duration_seconds: 0 for no limit.
    """

    script: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    launch: Launch
    node_count: int
    processes_per_node: int
    environment: PythonEnvironmentSpec
    environment_variables: Mapping[str, str]
    data_references: tuple[DataReference, ...]
    datasets: tuple[DatasetInput, ...] = ()
    worker_count: int = 0
    server_count: int = 0
    max_run_duration_seconds: int = 0
    collect_outputs: bool = True
    container: ContainerSpec = ContainerSpec()
    directories_to_watch: tuple[str, ...] = ("logs",)
