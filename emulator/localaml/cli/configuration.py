"""Settings from the command line, the environment (`LOCALAML_*`) and the settings file, checked, as the emulator takes
them.

This is the only place that reads settings from the environment. `docs/configuration.md` lists what is declared here.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from localaml.cli.endpoint import default_state_dir
from localaml.cli.failure import CliError
from localaml.cli.settings_file import read_settings_file, settings_file
from localaml.domain.sizes import parse_size
from localaml.settings import (
    CLOUD_LATENCY,
    DockerSettings,
    EnvironmentSettings,
    LatencySettings,
    Settings,
    StorageSettings,
)

PREFIX = "LOCALAML_"


def _default_cache_dir() -> Path:
    return Path(platformdirs.user_cache_dir("localaml", appauthor=False))


class Configuration(BaseSettings):
    """Every setting of an emulator, flat: the field `port` is the variable `LOCALAML_PORT`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    state_dir: Path = Field(
        default_factory=default_state_dir, description="Folder of everything that must survive a restart."
    )
    cache_dir: Path = Field(
        default_factory=_default_cache_dir,
        description="Folder of what can be made again (Python environments of jobs); several emulators may share it.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    allow_remote: bool = Field(False, description="Whether the address may be one that other machines reach.")
    port: int = Field(0, ge=0, le=65535, description="gRPC port; 0 takes any free one.")
    http_port: int = Field(0, ge=0, le=65535, description="HTTP port; 0 takes any free one.")
    ephemeral: bool = Field(False, description="Removes the state folder when the emulator stops.")
    require_token: bool = Field(True, description="Whether callers must show the token of the state folder.")
    signed_url_seconds: int = Field(3600, gt=0, description="How long a URL for bytes is good, in seconds.")
    request_head_seconds: float = Field(
        20.0, gt=0, description="How long a client may take for the head of a request, in seconds."
    )
    request_stall_seconds: float = Field(
        120.0,
        gt=0,
        description="A body that does not go on by 4 KiB in so many seconds is given up.",
    )
    idle_connection_seconds: float = Field(
        30.0,
        gt=0,
        description="After so many seconds without a call a gRPC connection is closed; clients make a new one.",
    )
    cancel_grace_seconds: float = Field(
        5.0, ge=0, description="Seconds that a run's processes have between the request to end and SIGKILL."
    )
    launch_timeout_seconds: float = Field(
        60.0, gt=0, description="Seconds after which a distributed start with a rank that shows no life is ended."
    )
    snapshot_size_limit_bytes: int = Field(
        100 * 1024**3, gt=0, description="Largest source folder of a run, in bytes; clients stop at 300 MB unless told."
    )
    snapshot_file_limit: int = Field(20_000, gt=0, description="Most files in the source folder of a run.")
    seed: int | None = Field(
        None, description="Ids of runs and nodes repeat: the same ones in a new state folder; none: they never do."
    )
    clock: Literal["real", "virtual", "scaled"] = Field(
        "real", description="Time of runs, nodes and URLs: `real`, `virtual` (`localaml clock advance`) or `scaled`."
    )
    clock_scale: float = Field(
        60.0, ge=0.001, le=1e6, description="Seconds that pass on a scaled clock in one second of the machine."
    )
    clock_start: str | None = Field(
        None,
        pattern=r"^\d{4}-\d{2}-\d{2}(T\S+)?$",
        description="ISO time at which a virtual or scaled clock begins in a new state folder; none: now.",
    )
    latency: Literal["none", "cloud"] = Field(
        "none", description="Delays of the cloud, on that clock: `none`, or `cloud` for those below in brackets."
    )
    queue_seconds: float | None = Field(None, ge=0, description="From a submit to the scheduler's look at it [10].")
    provisioning_seconds: float | None = Field(None, ge=0, description="Until a new node's machine is there [240].")
    node_start_seconds: float | None = Field(None, ge=0, description="From there until the node is ready [60].")
    image_build_seconds: float | None = Field(
        None, ge=0, description="Before a workspace's first run in an environment [300]."
    )
    exclude_newer: str | None = Field(
        None,
        pattern=r"^\d{4}-\d{2}-\d{2}(T\S+)?$",
        description="ISO date: for jobs' environments, packages uploaded later do not exist, and an environment that "
        "names no Python gets one of that time (3.6 or newer).",
    )
    extra_index_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further package indexes for jobs' environments, separated by blanks."
    )
    constraints_file: Path | None = Field(None, description="pip constraints that hold for every environment of a job.")
    offline: bool = Field(False, description="Builds jobs' environments only from what is cached already.")
    python_interpreters: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Further Python interpreters for jobs, separated as in PATH."
    )
    allowed_package_folders: Annotated[tuple[Path, ...], NoDecode] = Field(
        (),
        description="Folders of this machine that environments may take packages from, separated as in PATH; never for "
        "what a job submits.",
    )
    package_credentials: bool = Field(
        False,
        description="Whether jobs' environments are made with your credentials for package indexes: `.netrc`, and "
        "those in settings of pip and uv. Packages can read them when they are built.",
    )
    allowed_web_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Servers of this machine, by names or addresses, that datasets of the web may name, separated by "
        "blanks. Jobs can make such datasets.",
    )
    cloud: Literal["disk", "moto", "localstack", "s3", "azurite", "azure"] = Field(
        "disk", description="Where data, artifacts and snapshots are kept (`docs/storage.md`)."
    )
    s3_endpoint: str | None = Field(
        None, pattern=r"^https?://\S+$", description="URL of an S3, for the cloud `s3`; none: Amazon's."
    )
    s3_region: str = Field("us-east-1", min_length=1, description="Region of the S3.")
    azure_endpoint: str | None = Field(
        None, pattern=r"^https?://\S+$", description="URL of an account's blob service, for `azurite` and `azure`."
    )
    moto_port: int = Field(0, ge=0, le=65535, description="Port of moto on 127.0.0.1; 0 takes any free one.")
    moto_limit_bytes: int = Field(2 * 1024**3, gt=0, description="What moto may hold, in bytes.")
    store_patience_seconds: float = Field(
        60.0, ge=0, description="How long a store elsewhere may be away before transfers and runs fail."
    )

    compute: Literal["process", "docker", "auto"] = Field(
        "process",
        description="What nodes of clusters are: `process`, `docker` (containers), or `auto` (containers when an "
        "engine answers at the start).",
    )
    docker_host: str = Field("", description="Address of the engine; none: `DOCKER_HOST`, or its usual socket.")
    docker_base_image: str = Field(
        "localaml/base:latest", min_length=1, description="Image of jobs in containers that name none."
    )
    docker_user: str = Field(
        "", pattern=r"^(\d+(:\d+)?)?$", description="`uid` or `uid:gid` of jobs in containers; none: the emulator's."
    )
    docker_pids_limit: int = Field(4096, ge=64, description="Most processes in a node that is a container.")
    docker_build_network: str = Field(
        "bridge",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$",
        description="Network of the containers in which jobs' environments are made: `bridge`, or another one of the "
        "engine's. With `host` packages reach this machine's own loopback addresses when they are built.",
    )
    docker_shm_size: str = Field("2g", description="Size of a container's /dev/shm where a run names none.")
    images: Annotated[dict[str, str], NoDecode] = Field(
        {},
        description="Local images that stand for others, `pattern=image` separated by blanks; in the settings file the "
        "table `[images]`.",
    )

    @field_validator("images", mode="before")
    @classmethod
    def _split_pairs(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split()]
        if not all(pattern and equals for pattern, equals, _ in pairs):
            raise ValueError("each part must be of the form pattern=image")
        return {pattern: image for pattern, _, image in pairs}

    @field_validator("docker_shm_size")
    @classmethod
    def _size(cls, value: str) -> str:
        if not parse_size(value):
            raise ValueError("it must be a size such as 512m or 2g")
        return value

    @field_validator("extra_index_urls", "allowed_web_hosts", mode="before")
    @classmethod
    def _split_blanks(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("python_interpreters", "allowed_package_folders", mode="before")
    @classmethod
    def _split_paths(cls, value: Any) -> Any:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("allowed_package_folders")
    @classmethod
    def _absolute_folders(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(path.expanduser().absolute() for path in value)

    @field_validator("state_dir", "cache_dir", "constraints_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    def to_settings(self) -> Settings:
        """As the emulator takes them."""
        values = self.model_dump()
        environments = EnvironmentSettings(**{name: values.pop(name) for name in EnvironmentSettings.__slots__})
        storage = StorageSettings(**{name: values.pop(name) for name in StorageSettings.__slots__})
        given = {name: values.pop(name) for name in LatencySettings.__slots__}
        profile = CLOUD_LATENCY if values.pop("latency") == "cloud" else LatencySettings()
        latency = replace(profile, **{name: value for name, value in given.items() if value is not None})
        docker = DockerSettings(
            image_map=values.pop("images"),
            shm_size_bytes=parse_size(values.pop("docker_shm_size")) or 0,
            **{
                name: values.pop(f"docker_{name}")
                for name in ("base_image", "user", "pids_limit", "host", "build_network")
            },
        )
        return Settings(**values, environments=environments, latency=latency, storage=storage, docker=docker)


def load_settings(config: Path | None = None, **options: Any) -> Settings:
    """Settings from the given options (None: not given), else the environment, else the settings file, else the
    defaults.

    Args:
        config: the settings file; None: that of LOCALAML_CONFIG or the user's, if there is one.

    Raises:
        CliError: exit code 2; names the option, the variable or the file's line that is wrong, and why.
    """
    given = {name: value for name, value in options.items() if value is not None}
    path = settings_file(config)
    in_file = read_settings_file(path, Configuration.model_fields) if path is not None else {}
    in_file = {name: value for name, value in in_file.items() if name not in given and not is_set(name)}
    try:
        settings = Configuration(**in_file, **given).to_settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        source = "--" + name.replace("_", "-") if name in given else PREFIX + name.upper()
        if name in in_file:
            source = f"{path}: {name}"
        raise CliError(f"{source}={first['input']!r} is no good: {first['msg']}.", exit_code=2) from None
    constraints = settings.environments.constraints_file
    if constraints is not None and not constraints.is_file():
        raise CliError(f"The constraints file {constraints} does not exist.", exit_code=2)
    return settings


def is_set(name: str) -> bool:
    """Whether the environment has a value for this setting."""
    return bool(os.environ.get(PREFIX + name.upper()))
