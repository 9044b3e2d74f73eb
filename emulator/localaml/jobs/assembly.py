"""Puts the job layer together from its parts."""

from __future__ import annotations

import os
import random
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from localaml.clock import RealClock
from localaml.compute.runtime import NodeRuntime
from localaml.domain.job import JobSpec
from localaml.domain.models import Run, RunKey
from localaml.jobs.disk_reserve import DiskReserve
from localaml.jobs.environments.contract import EnvironmentBuilder
from localaml.jobs.hooks import JobHooks
from localaml.jobs.identifiers import Identifiers
from localaml.jobs.job_sdk import job_sdk_folder
from localaml.jobs.job_tools import JobTools, own_environment
from localaml.jobs.job_variables import Connection
from localaml.jobs.orchestrator import Orchestrator
from localaml.jobs.run_book import RunBook
from localaml.jobs.sweeps.definitions import SweepDefinitions
from localaml.paths import StatePaths
from localaml.settings import Settings

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store


def build_orchestrator(
    *,
    store: Store,
    objects: ObjectStore,
    runtime: NodeRuntime,
    environments: EnvironmentBuilder,
    settings: Settings,
    clock: Clock,
    connection: Callable[[RunKey], Connection],
    spec_of: Callable[[Run], JobSpec],
    sweeps: SweepDefinitions,
    hooks: JobHooks | None = None,
    identifiers: Identifiers | None = None,
) -> Orchestrator:
    """An orchestrator with everything it needs; `await start()` brings it to life.

    Args:
        connection: how a run's processes reach the emulator, with a new token of that run.
        spec_of: reads a stored run's definition.
        sweeps: reads a stored sweep's, and makes those of its children.
        hooks: told how far runs and nodes are.
        identifiers: where ids of nodes come from.
    """
    tools = JobTools(
        store=store,
        book=RunBook(store, clock),
        objects=objects,
        runtime=runtime,
        environments=environments,
        settings=settings,
        clock=clock,
        machine_clock=RealClock(),
        connection=connection,
        job_sdk=job_sdk_folder(),
        base_environment=own_environment(),
        hooks=hooks or JobHooks(),
        reserve=DiskReserve(StatePaths(settings.state_dir).disk_reserve),
    )
    return Orchestrator(
        tools,
        StatePaths(settings.state_dir),
        identifiers or Identifiers(random.SystemRandom()),
        spec_of,
        sweeps,
        local_host_name=_host_name(),
        local_slots=max(2, os.cpu_count() or 2),
    )


def _host_name() -> str:
    """This machine's name, in the form that a node's may have."""
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().partition(".")[0]).strip("-")[:63] or "localhost"
