"""The records that the emulator keeps, as plain immutable data. `store` saves and loads them.

Changes are made with `dataclasses.replace`. Times are aware UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from localaml.domain.names import ChildName, RunName, WorkspaceName
from localaml.domain.states import NodeState, ProvisioningState, RunState


class RunKey(NamedTuple):
    """What a run is called inside the emulator: run ids are unique in a workspace."""

    workspace_id: str
    run_id: str


class MetricsOf(NamedTuple):
    """What is told of when a run has got metrics."""

    workspace_id: str
    run_id: str


class ClusterKey(NamedTuple):
    """What a cluster is called inside the emulator."""

    workspace_id: str
    cluster: str


AssetKind = Literal["model", "environment", "dataset"]
"""What is registered under a name in a workspace and counted in versions."""


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """What went wrong with a run or a cluster: stable code, sentence for people, facts."""

    code: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workspace:
    name: WorkspaceName
    workspace_id: str  # GUID
    created_at: datetime
    friendly_name: str = ""
    description: str = ""
    location: str = "local"
    sku: str = "Basic"
    tags: Mapping[str, str] = field(default_factory=dict)
    default_datastore: str = "workspaceblobstore"


@dataclass(frozen=True, slots=True)
class ScaleSettings:
    """How many nodes a cluster may have, and after how many idle seconds one goes."""

    min_node_count: int
    max_node_count: int
    idle_seconds_before_scaledown: int


@dataclass(frozen=True, slots=True)
class Cluster:
    name: ChildName
    workspace_id: str
    vm_size: str
    vm_priority: str  # "dedicated" or "lowpriority"
    scale: ScaleSettings
    provisioning_state: ProvisioningState
    created_at: datetime
    updated_at: datetime
    provisioning_state_changed_at: datetime
    allocation_state_changed_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    errors: tuple[ErrorInfo, ...] = ()
    # Run id, when the cluster was made for one run and goes with it.
    for_run: str | None = None

    @property
    def key(self) -> ClusterKey:
        return ClusterKey(self.workspace_id, self.name.name)


@dataclass(frozen=True, slots=True)
class Node:
    cluster: ClusterKey
    node_id: str
    state: NodeState
    host_name: str
    created_at: datetime
    state_changed_at: datetime
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Datastore:
    name: ChildName
    workspace_id: str
    datastore_type: str  # "AzureBlob", "AzureFile", ...
    created_at: datetime
    account_name: str = ""
    container_name: str = ""
    protocol: str = "https"
    endpoint: str = "core.windows.net"
    credential_type: str = "None"
    secret: str = field(default="", repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Experiment:
    name: ChildName
    workspace_id: str
    experiment_id: str  # GUID
    created_at: datetime
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StateChange:
    state: RunState
    at: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class Run:
    name: RunName
    workspace_id: str
    number: int  # counts from 1 in its experiment; 0 before it is stored
    run_type: str
    state: RunState
    created_at: datetime
    submitted: bool
    display_name: str = ""
    description: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    parent_run_id: str | None = None
    root_run_id: str | None = None
    # Short name of the cluster, or "local"; the name of the cluster made for it where the target was "amlcompute".
    target: str = ""
    error: ErrorInfo | None = None
    warnings: tuple[ErrorInfo, ...] = ()
    # A serialised `localaml.v1.RunDefinition` (empty for runs that were not submitted). Never holds a registry
    # password.
    definition: bytes = b""
    snapshot_id: str = ""
    node_ids: tuple[str, ...] = ()
    state_changes: tuple[StateChange, ...] = ()
    # What the job layer needs to find the run's processes again after a restart of the emulator (JSON object).
    execution: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""

    @property
    def key(self) -> RunKey:
        return RunKey(self.workspace_id, self.name.run_id)

    @property
    def run_id(self) -> str:
        return self.name.run_id

    @property
    def attempt(self) -> int:
        """Counts the starts of its processes, from 1: an evicted run is started again."""
        return int(self.execution.get("attempt", 1))

    @property
    def is_ending(self) -> bool:
        """Whether its caller has failed it while it was at work: its processes are being ended, its files collected."""
        return "ending" in self.execution

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and nothing of it goes on any more."""
        return self.state.is_terminal and not self.is_ending

    @property
    def is_sweep(self) -> bool:
        """Whether its work is to start children and to follow them: it has no processes of its own."""
        return "sweep" in self.execution


@dataclass(frozen=True, slots=True)
class MetricRecord:
    name: str
    metric_type: int  # the number of `localaml.v1.MetricType`
    value_json: str
    time_micros: int
    step: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a run.

    Attributes:
        sha256: of what was stored, in hex digits: whoever reads the object can tell whether it still is that. Empty for
            artifacts that were stored before digests were kept.
    """

    run: RunKey
    path: str
    size_bytes: int
    created_at: datetime
    object_key: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    path: str
    sha256: str
    size_bytes: int
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    workspace_id: str
    snapshot_id: str
    created_at: datetime
    entries: tuple[SnapshotEntry, ...]

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Asset:
    """One version of a model, an environment or a data set."""

    workspace_id: str
    kind: AssetKind
    name: str
    asset_id: str  # GUID of this version
    created_at: datetime
    version: int = 0  # counts from 1 per name; 0 before it is stored
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    # Names for a version that can be given to another one later; at most one version of a name has each.
    labels: tuple[str, ...] = ()
    # What only this kind has (JSON object). Never holds a secret.
    payload: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a workspace's key vault, its value encrypted."""

    workspace_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    content_type: str = ""
    sealed: bytes = field(default=b"", repr=False)


EventKind = Literal["run", "node", "cluster", "fault"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened, with its cause: a line of the emulator's history.

    Attributes:
        subject: the run id, node id, cluster name, or fault id that it happened to.
        cluster: the cluster that it has to do with; empty for none.
        run_id: the run that it has to do with; empty for none.
        sequence: grows with every event; 0 before it is stored.
    """

    kind: EventKind
    at: datetime
    subject: str
    cause: str
    old_state: str = ""
    new_state: str = ""
    workspace_id: str = ""
    cluster: str = ""
    run_id: str = ""
    sequence: int = 0
