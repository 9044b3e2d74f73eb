"""The rpcs of the emulator: one servicer per proto service, thin: look up, check, call, answer.

`build_services` gives them all, each kept by `authorization`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localaml.services.context import EmulatorInfo, ServiceContext

__all__ = ["EmulatorInfo", "ServiceContext", "build_services"]


def build_services(context: ServiceContext) -> list[object]:
    """All servicers, for `rpc.bind_grpc` and the HTTP gateway."""
    # Here, not above: other rooms import parts of this package without needing all of it.
    from localaml.services.admin import AdminService
    from localaml.services.artifacts import ArtifactService
    from localaml.services.authorization import Guarded
    from localaml.services.computes import ComputeService
    from localaml.services.datasets import DatasetService
    from localaml.services.datastores import DatastoreService
    from localaml.services.environments import EnvironmentService
    from localaml.services.events import EventService
    from localaml.services.experiments import ExperimentService
    from localaml.services.faults import FaultService
    from localaml.services.metrics import MetricService
    from localaml.services.models import ModelService
    from localaml.services.runs import RunService
    from localaml.services.secrets import SecretService
    from localaml.services.snapshots import SnapshotService
    from localaml.services.state import StateService
    from localaml.services.workspaces import WorkspaceService

    servicers = (
        WorkspaceService,
        ComputeService,
        DatastoreService,
        DatasetService,
        ExperimentService,
        RunService,
        MetricService,
        ArtifactService,
        SnapshotService,
        ModelService,
        EnvironmentService,
        SecretService,
        AdminService,
        FaultService,
        EventService,
        StateService,
    )
    return [Guarded(servicer(context), context.store) for servicer in servicers]


def __getattr__(name: str) -> object:
    if name in ("EmulatorInfo", "ServiceContext"):
        from localaml.services import context

        return getattr(context, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
