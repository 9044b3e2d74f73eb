"""What an emulator can be told. Plain data: reading the environment and the command line is the CLI's job."""

from __future__ import annotations

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
    # Seconds that a run's processes have between the request to end and SIGKILL.
    cancel_grace_seconds: float = 5.0
    # Seconds after which a distributed launch with a rank that never showed life is ended.
    launch_timeout_seconds: float = 60.0
    # Largest snapshot, in bytes (Azure: 300 MB).
    snapshot_size_limit_bytes: int = 300 * 1024 * 1024
    # Azure's limit of 2,000 is the client's, which AML_SNAPSHOT_NO_FILE_LIMIT lifts; this one protects the emulator.
    snapshot_file_limit: int = 20_000
    environments: EnvironmentSettings = field(default_factory=EnvironmentSettings)
