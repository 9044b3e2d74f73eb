"""What a place for nodes and processes has to be able to do: the `NodeRuntime` protocol.

A node runtime knows nothing of workspaces, states or queues. It starts and stops nodes, starts a run's processes on
nodes, tells when they have ended, and finds all of it again after the emulator was killed. Verbs are idempotent.

Files of a run (made by the job layer, one folder per run, the same path on every node):

    <run folder>/work       the snapshot; the processes' current folder, shared by all nodes
    <run folder>/logs       azureml-logs of this run: 60_control_log*.txt, 80_driver_log*.txt, 56_batchai_stderr.txt;
                            of several processes with _rank_<n>, _worker_<n>, _ps_<n> before the dot
    <run folder>/control    for the runtime: launcher scripts, process ids, exit records
    <state dir>/marks/<workspace id>/<run>   what the emulator alone notes; no job sees it

The run's processes can write to all of the run folder; in containers to those of all runs of the workspace, and as
root: see `localaml.job_files`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from localaml.domain.job import Launch
from localaml.domain.roles import Role


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node to start: ids that are unique in the state dir, and the size to imitate.

    Attributes:
        runtime: where it lives (``process``, ``docker``); empty for the emulator's default.
    """

    workspace_id: str
    cluster: str
    node_id: str
    host_name: str
    vm_size: str
    runtime: str = ""


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of this machine that a container sees, at the same path."""

    path: Path
    writable: bool = False


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """The containers that a run's processes want to be in.

    Attributes:
        image: what the engine is told to start: an id that it has.
        python: the image's interpreter for LocalAML's own scripts (3.7 or newer).
        binds: what the processes need to see beside the run's own folder.
        environment: the image's own variables.
        shm_size_bytes: size of /dev/shm; 0 for the default.
        gpu: whether the machine's GPUs are wanted.
        host_filesystem: the image is a skeleton whose programs are this machine's, bound read-only.
        arguments: further arguments as for ``docker run``.
    """

    image: str
    python: str
    binds: tuple[Bind, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    shm_size_bytes: int = 0
    gpu: bool = False
    host_filesystem: bool = False
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process of a launch in which each has a part of its own.

    Attributes:
        variables: what this process has beside (and over) the environment of the plan; names as shells allow them.
        argv: its command; empty: that of the plan.
    """

    role: Role
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """Everything needed to start a run's processes.

    Attributes:
        label: identifies the run among all processes of the machine; is in the environment of each of its processes as
            ``LOCALAML_RUN_LABEL``.
        processes: for launches that are neither SINGLE nor MPI: every process. Their ranks are their positions here.
            The launch ends well when all that do not serve have ended with 0: those that serve are ended then. It
            fails, and all are ended, when one that does not serve fails, or one that serves fails before that.
        argv: the command of one process (for MPI: of one rank).
        environment: the complete environment of the processes (nothing of the emulator's own leaks in).
        open_mpi_prefix: root of the Open MPI installation (``bin/mpirun`` in it), for MPI.
        launch_timeout_seconds: an MPI launch in which a rank shows no sign of life for so long is ended.
        container: where nodes are containers: what the run's are to be like.
        read_only: folders that the processes can read and not change, as far as the kind of node can hold that
            (containers have them among their binds).
    """

    label: str
    launch: Launch
    nodes: tuple[NodeSpec, ...]
    processes_per_node: int
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    processes: tuple[ProcessSpec, ...] = ()
    run_dir: Path = Path()
    open_mpi_prefix: Path | None = None
    launch_timeout_seconds: float = 60.0
    container: ContainerPlan | None = None
    read_only: tuple[Path, ...] = ()

    @property
    def base(self) -> Path:
        """The folder of all runs of the workspace, which no process of theirs can replace."""
        return self.run_dir.parent

    @property
    def marks(self) -> Path:
        """The folder of the emulator's own notes on the run, which its processes do not see."""
        return self.base.parent.parent / "marks" / self.base.name / self.run_dir.name

    @property
    def process_count(self) -> int:
        return len(self.processes) or len(self.nodes) * self.processes_per_node


@dataclass(frozen=True, slots=True)
class RankExit:
    """The exit record of one process: rank (0 for a single process), its exit code (128+n for signal n)."""

    rank: int
    exit_code: int


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """How a run's processes ended.

    Attributes:
        exit_code: of the launcher (the process itself, or what started them); None when it left no record (it was
            killed).
        ranks: the exit records that were left, by rank; without those of processes that serve.
        expected_ranks: how many there should be.
        error: what the launcher says went wrong, for people; empty when nothing did.
        reason: UPPER_SNAKE_CASE of `error` (``USER_SCRIPT_FAILED``, ``PROCESS_KILLED``, ``RANK_FAILED``,
            ``NODE_LOST``, ``LAUNCH_TIMED_OUT``, ``LAUNCH_FAILED``), empty when nothing went wrong.
        failed_rank: the rank that failed first, whose log tells why; None when none did by itself.
        failed_log: the name of that log.
    """

    exit_code: int | None
    ranks: tuple[RankExit, ...]
    expected_ranks: int
    error: str = ""
    reason: str = ""
    failed_rank: int | None = None
    failed_log: str = ""

    @property
    def succeeded(self) -> bool:
        """Exit code 0 alone proves nothing: every rank must have left a record that says 0."""
        return (
            not self.reason
            and self.exit_code == 0
            and len(self.ranks) == self.expected_ranks
            and all(rank.exit_code == 0 for rank in self.ranks)
        )


class RunningJob(Protocol):
    """A run's processes."""

    @property
    def handle(self) -> Mapping[str, Any]:
        """JSON object from which `NodeRuntime.adopt` finds the processes again."""
        ...

    async def wait(self) -> LaunchResult:
        """Returns when every process of the run has ended (also those that it left behind: they are ended). May be
        called more than once, and by several tasks."""
        ...

    async def terminate(self, grace_seconds: float) -> None:
        """SIGTERM to all, SIGKILL after the grace. Returns when all have ended. Idempotent."""
        ...

    async def lose_node(self, node_id: str) -> None:
        """Ends everything of this run on one node at once, as if the node had gone."""
        ...


class NodeRuntime(Protocol):
    """A place for nodes and processes."""

    @property
    def name(self) -> str: ...

    async def start(self) -> None:
        """Makes the runtime ready; once, before anything else."""
        ...

    async def close(self) -> None:
        """Lets go of what belongs to this process (threads, watchers). Jobs and nodes go on."""
        ...

    def runs_in_containers(self, node: NodeSpec) -> bool:
        """Whether this node is (or would be) a container: then launches need `LaunchPlan.container`."""
        ...

    def free_addresses(self, nodes: Sequence[NodeSpec]) -> list[str]:
        """For each of the nodes (one may be there several times) an address ``host:port`` that a process on it can
        listen at and the run's other processes reach. Raises ResourceExhausted ``NO_FREE_PORTS``."""
        ...

    def network_interface(self, nodes: Sequence[NodeSpec]) -> str:
        """Name of the network interface over which processes on these nodes reach each other."""
        ...

    def watch_nodes(self, lost: Callable[[str, str], None], recovered: Callable[[], None] | None = None) -> None:
        """From now on calls `lost` (in the event loop) with node id and cause when a node goes by itself, and
        `recovered` when nodes can be had again after a time without. Once, before `start`."""
        ...

    def node_note(self, node: NodeSpec) -> str:
        """What people should know of a node that is started: where it is smaller than its size says; else empty."""
        ...

    def lacks_gpus(self, node: NodeSpec) -> str:
        """Why a run on this node, which was started, cannot have the machine's GPUs; empty where it sees them, if there
        are any."""
        ...

    async def start_node(self, node: NodeSpec) -> None:
        """Starts a node; a started one is left as it is. Raises LocalAmlError when it cannot be had."""
        ...

    async def stop_node(self, node: NodeSpec) -> None:
        """Ends everything on the node and removes it; a missing one is fine."""
        ...

    async def cut_off(self, node: NodeSpec) -> None:
        """Takes a node off the network over which it reaches the others. Raises FailedPrecondition
        ``NODES_SHARE_NETWORK`` where nodes have none of their own; a missing node is fine."""
        ...

    async def launch(self, plan: LaunchPlan) -> RunningJob:
        """Starts the processes. Returns once they are started (for MPI: mpirun is). Raises LocalAmlError when not."""
        ...

    async def adopt(self, plan: LaunchPlan, handle: Mapping[str, Any]) -> RunningJob:
        """Takes over processes that an earlier emulator started; those that ended meanwhile are reported by `wait`."""
        ...

    async def end_leftovers(self, keep_labels: frozenset[str]) -> int:
        """Ends all processes of this state dir whose label is not in `keep_labels`; returns how many."""
        ...
