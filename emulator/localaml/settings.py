"""What an emulator can be told. Plain data: reading the environment and the command line is the CLI's job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """How Python environments of jobs are resolved and built."""

    # ISO date or timestamp: packages uploaded later do not exist for the resolver.
    exclude_newer: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    constraints_file: Path | None = None
    # Only what is cached already.
    offline: bool = False
    # Further interpreters to choose from, beside those found on PATH and in pyenv's folders.
    python_interpreters: tuple[Path, ...] = ()
    # Folders of this machine from which those who submit with the owner's token may take packages; jobs never may.
    allowed_package_folders: tuple[Path, ...] = ()
    # Whether builds see the user's own credentials for package indexes: .netrc, and those in settings of pip and uv.
    package_credentials: bool = False


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """Seconds of service time that things take in the cloud, beside what they take here. The target `local` has none.

    Attributes:
        queue_seconds: from a submit to the scheduler's first look at the run (state Queued).
        provisioning_seconds: until a new node's machine is there (node state preparing).
        node_start_seconds: until a machine that is there is ready for runs (node state preparing).
        image_build_seconds: what the first run of a workspace in an environment waits for (state Preparing), while this
            emulator runs; environments that the user manages have no image.
    """

    queue_seconds: float = 0.0
    provisioning_seconds: float = 0.0
    node_start_seconds: float = 0.0
    image_build_seconds: float = 0.0


# Orders of magnitude, not measurements: what Azure's notebooks tell their readers to expect of AmlCompute in a quiet
# hour ("about 5 minutes" each for a cluster's first node and for an image).
CLOUD_LATENCY = LatencySettings(
    queue_seconds=10.0, provisioning_seconds=240.0, node_start_seconds=60.0, image_build_seconds=300.0
)


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where objects are. Credentials are no settings: they come from where AWS's and Azure's own tools look.

    Attributes:
        cloud: ``disk``, ``moto``, ``localstack``, ``s3``, ``azurite`` or ``azure``.
        s3_endpoint: URL of an S3; None for Amazon's own.
        azure_endpoint: URL of an account's blob service; None for what the connection string says.
        moto_port: port of moto on 127.0.0.1; 0 for any free one.
        moto_limit_bytes: what moto may hold.
        store_patience_seconds: how long a store may be away before transfers and runs fail.
    """

    cloud: str = "disk"
    s3_endpoint: str | None = None
    s3_region: str = "us-east-1"
    azure_endpoint: str | None = None
    moto_port: int = 0
    moto_limit_bytes: int = 2 * 1024 * 1024 * 1024
    store_patience_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """How nodes that are containers are made.

    Attributes:
        base_image: image of jobs that name none.
        image_map: image names of run definitions (with ``*`` and ``?``) -> images that the engine has; empty: the one
            of that name itself. The first that fits counts.
        user: ``uid`` or ``uid:gid`` of jobs' processes; empty for the user that the emulator runs as.
        pids_limit: processes that a node can have.
        build_network: network of the containers in which environments are made: ``bridge``, another one of the
            engine's, or ``host``, whose loopback addresses packages can reach when they are built.
        host: address of the engine; empty for what DOCKER_HOST says, or the engine's usual socket.
        shm_size_bytes: size of /dev/shm where a run says nothing (Azure: 2g).
    """

    base_image: str = "localaml/base:latest"
    image_map: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    pids_limit: int = 4096
    host: str = ""
    shm_size_bytes: int = 2 * 1024**3
    build_network: str = "bridge"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one emulator.

    Attributes:
        state_dir: folder of everything that must survive a restart.
        cache_dir: folder of what can be made again (environments); may be shared by emulators.
        host: address to listen on; a loopback address, unless `allow_remote`.
        port: gRPC port, 0 for any free one.
        http_port: HTTP port, 0 for any free one.
        ephemeral: remove `state_dir` when the emulator stops.
        require_token: whether callers must show the token of the state dir.
        request_head_seconds: how long a client may take for the head of a request.
        request_stall_seconds: after so long without progress the body of a request or an answer is given up.
        idle_connection_seconds: after so long without a call a gRPC connection is closed; clients make a new one.
        compute: what nodes of clusters are: ``process``, ``docker``, or ``auto`` (containers when an engine answers at
            the start, else processes).
        clock: where service time comes from: ``real``, ``virtual`` (passes when it is told to) or ``scaled``.
        clock_scale: seconds that pass on a scaled clock in one second of the machine.
        clock_start: ISO time at which a virtual or scaled clock begins in a new state dir; None for now.
    """

    state_dir: Path
    cache_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    http_port: int = 0
    ephemeral: bool = False
    require_token: bool = True
    # Whether `host` may be an address that other machines reach: who has the token runs programs here.
    allow_remote: bool = False
    signed_url_seconds: int = 3600
    request_head_seconds: float = 20.0
    request_stall_seconds: float = 120.0
    idle_connection_seconds: float = 30.0
    # Seconds that a run's processes have between the request to end and SIGKILL.
    cancel_grace_seconds: float = 5.0
    # Seconds after which a distributed launch with a rank that never showed life is ended.
    launch_timeout_seconds: float = 60.0
    # Largest snapshot, in bytes. Azure's limit of 300 MB is the client's, too, and SNAPSHOT_MAX_SIZE_BYTES raises it.
    snapshot_size_limit_bytes: int = 100 * 1024**3
    # Azure's limit of 2,000 is the client's, which AML_SNAPSHOT_NO_FILE_LIMIT lifts; this one protects the emulator.
    snapshot_file_limit: int = 20_000
    # Ids of runs and nodes repeat with it; None for ids that never do.
    seed: int | None = None
    clock: str = "real"
    clock_scale: float = 60.0
    clock_start: str | None = None
    latency: LatencySettings = field(default_factory=LatencySettings)
    environments: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    # Servers of this machine (names, addresses) that datasets of the web may name: a job can make such a dataset.
    allowed_web_hosts: tuple[str, ...] = ()
    compute: str = "process"
    docker: DockerSettings = field(default_factory=DockerSettings)
