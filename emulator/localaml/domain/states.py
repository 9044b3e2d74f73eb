"""The states that runs, nodes and clusters can be in, with Azure's names as values."""

from __future__ import annotations

from enum import Enum


class RunState(str, Enum):
    """States of a run, as Azure's SDK prints them."""

    NOT_STARTED = "NotStarted"
    QUEUED = "Queued"
    STARTING = "Starting"
    PROVISIONING = "Provisioning"
    PREPARING = "Preparing"
    RUNNING = "Running"
    FINALIZING = "Finalizing"
    CANCEL_REQUESTED = "CancelRequested"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"
    NOT_RESPONDING = "NotResponding"
    PAUSED = "Paused"

    @property
    def is_terminal(self) -> bool:
        """Whether a run in this state never changes its state again."""
        return self in (RunState.COMPLETED, RunState.FAILED, RunState.CANCELED)


class NodeState(str, Enum):
    """States of a node of an AmlCompute cluster."""

    PREPARING = "preparing"
    IDLE = "idle"
    RUNNING = "running"
    LEAVING = "leaving"
    PREEMPTED = "preempted"
    UNUSABLE = "unusable"


class ProvisioningState(str, Enum):
    """States of a cluster as a resource."""

    CREATING = "Creating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DELETING = "Deleting"


class AllocationState(str, Enum):
    """Whether a cluster's nodes are as many as they should be."""

    STEADY = "Steady"
    RESIZING = "Resizing"
