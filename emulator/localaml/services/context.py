"""What servicers work with."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.control.calls import CallCounter
from localaml.domain.models import RunKey
from localaml.domain.names import RunName, WorkspaceName, parse_run, parse_workspace
from localaml.errors import NotFound
from localaml.jobs.identifiers import Identifiers

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.compute.runtime import NodeRuntime
    from localaml.control.faults import FaultControl
    from localaml.domain.models import Run, Workspace
    from localaml.jobs.environments.contract import EnvironmentBuilder
    from localaml.jobs.orchestrator import Orchestrator
    from localaml.services.sealing import SecretSealer
    from localaml.services.tokens import UrlSigner
    from localaml.settings import Settings
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store


@dataclass(frozen=True, slots=True)
class EmulatorInfo:
    """What an emulator says of itself; addresses as in endpoint.json."""

    version: str
    state_dir: Path
    process_id: int
    grpc_address: str
    http_address: str
    start_time: datetime
    compute_runtime: str
    ephemeral: bool


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """The rooms below the services, and what only the server can do.

    Attributes:
        runtime: where nodes live.
        info: facts on this emulator.
        environments: what makes Python environments.
        sealer: encrypts secrets at rest.
        shutdown: makes the emulator stop soon; returns at once, so that the call can still be answered.
        reset: cancels all runs and removes all resources; returns how many runs it cancelled. None:
            `removal.remove_everything`.
        identifiers: where new ids come from.
        calls: counts the calls.
        faults: makes things go wrong on purpose.
        check_runtime: makes sure that nodes can be what is named (``process``, ``docker``). Raises LocalAmlError
            otherwise.
    """

    store: Store
    orchestrator: Orchestrator
    runtime: NodeRuntime
    objects: ObjectStore
    environments: EnvironmentBuilder
    urls: UrlSigner
    sealer: SecretSealer
    clock: Clock
    settings: Settings
    info: Callable[[], EmulatorInfo]
    shutdown: Callable[[], None]
    reset: Callable[[], Awaitable[int]] | None = None
    identifiers: Identifiers = field(default_factory=lambda: Identifiers(random.SystemRandom()))
    calls: CallCounter = field(default_factory=CallCounter)
    faults: FaultControl | None = None
    check_runtime: Callable[[str], Awaitable[None]] | None = None

    def workspace(self, name: str | WorkspaceName) -> Workspace:
        """The workspace of a resource name. Raises InvalidArgument, NotFound ``WORKSPACE_NOT_FOUND``."""
        return self.store.workspaces.get(parse_workspace(name) if isinstance(name, str) else name)

    def run(self, name: str | RunName) -> Run:
        """The run of a resource name; its experiment may be `-`.

        Raises InvalidArgument, NotFound ``WORKSPACE_NOT_FOUND`` or ``RUN_NOT_FOUND``.
        """
        parsed = parse_run(name) if isinstance(name, str) else name
        workspace = self.workspace(parsed.workspace)
        run = self.store.runs.get(RunKey(workspace.workspace_id, parsed.run_id))
        if parsed.experiment not in ("-", run.name.experiment):
            raise NotFound(
                "RUN_NOT_FOUND",
                f"No run {parsed.run_id!r} in experiment {parsed.experiment!r}: it belongs to {run.name.experiment!r}.",
                {"run_id": parsed.run_id},
            )
        return run
