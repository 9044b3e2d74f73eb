"""What performing runs needs of the rest of the emulator."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.clock import RealClock
from localaml.compute.runtime import NodeRuntime
from localaml.domain.models import RunKey
from localaml.jobs.disk_reserve import DiskReserve
from localaml.jobs.environments.contract import EnvironmentBuilder
from localaml.jobs.hooks import JobHooks
from localaml.jobs.job_variables import Connection
from localaml.jobs.run_book import RunBook
from localaml.settings import Settings

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store


@dataclass(frozen=True, slots=True)
class JobTools:
    """What performing runs needs of the rest of the emulator.

    Attributes:
        connection: how the processes of a run reach the emulator (makes the run's token).
        clock: service time, for what a run shows.
        machine_clock: machine time, for processes and files.
        images: which environments have had their image built.
        reserve: room for the emulator's own records.
        job_sdk: folder with the `azureml` package for jobs.
        base_environment: the emulator's own environment variables.
        preparation_turns: see `preparing.counted`.
        hooks: told how far runs and nodes are, before they go on.
    """

    store: Store
    book: RunBook
    objects: ObjectStore
    runtime: NodeRuntime
    environments: EnvironmentBuilder
    settings: Settings
    clock: Clock
    connection: Callable[[RunKey], Connection]
    job_sdk: Path
    reserve: DiskReserve
    base_environment: Mapping[str, str]
    machine_clock: Clock = field(default_factory=RealClock)
    images: set[tuple[str, Path]] = field(default_factory=set)
    hooks: JobHooks = field(default_factory=JobHooks)
    preparation_turns: asyncio.Lock = field(default_factory=asyncio.Lock)


def run_label(key: RunKey) -> str:
    """What the processes of a run carry in their environment."""
    return f"{key.workspace_id}/{key.run_id}"


def own_environment() -> dict[str, str]:
    """The emulator's own environment variables, as they are now."""
    return dict(os.environ)
