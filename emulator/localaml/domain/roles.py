"""Which processes a run has that Open MPI does not start, and on which of its nodes. Pure.

AmlCompute put TensorFlow's processes on the nodes in turn: the workers first, then the parameter servers, beginning
anew with the first node when there are more processes than nodes. Ranks that meet at an address are numbered node by
node, as `torchrun` does it.
"""

from __future__ import annotations

from dataclasses import dataclass

from localaml.domain.job import JobSpec, Launch

WORKER = "worker"
PARAMETER_SERVER = "ps"
RANK = "rank"


@dataclass(frozen=True, slots=True)
class Role:
    """One process of a run.

    Attributes:
        kind: ``worker``, ``ps`` or ``rank``.
        index: counts from 0 among the processes of this kind.
        node: index of its node among the run's.
    """

    kind: str
    index: int
    node: int

    @property
    def name(self) -> str:
        """As in the names of logs: ``worker_0``."""
        return f"{self.kind}_{self.index}"

    @property
    def serves(self) -> bool:
        """Whether it goes on for ever: the run ends without it."""
        return self.kind == PARAMETER_SERVER


def roles_of(spec: JobSpec) -> tuple[Role, ...]:
    """The processes of a run, the one to watch first; none when it is a single process, or Open MPI starts them."""
    if spec.launch is Launch.PARAMETER_SERVER:
        kinds = [(WORKER, index) for index in range(spec.worker_count)]
        kinds += [(PARAMETER_SERVER, index) for index in range(spec.server_count)]
        return tuple(Role(kind, index, place % spec.node_count) for place, (kind, index) in enumerate(kinds))
    if spec.launch is Launch.RENDEZVOUS:
        count = spec.node_count * spec.processes_per_node
        return tuple(Role(RANK, index, index // spec.processes_per_node) for index in range(count))
    return ()
