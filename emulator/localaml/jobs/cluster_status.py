"""What a cluster is at a moment."""

from __future__ import annotations

from dataclasses import dataclass

from localaml.domain.models import Cluster, Node
from localaml.domain.states import AllocationState


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """A cluster with its nodes, now."""

    cluster: Cluster
    nodes: tuple[Node, ...]
    allocation_state: AllocationState
    current_node_count: int
    target_node_count: int
