"""Where the course of runs and nodes can be disturbed on purpose. By itself, nothing happens there."""

from __future__ import annotations

from localaml.domain.models import Cluster, ClusterKey, Node, Run


class JobHooks:
    """Called at the places that `domain.faults.Hook` names; `control.faults` overrides it."""

    def reached(self, point: str, run: Run) -> None:
        """A run has reached a named point (`domain.faults.CRASH_POINTS`). All that was noted before is committed."""

    def before_cluster(self, cluster: Cluster) -> None:
        """A cluster is about to be made. Raises LocalAmlError when it cannot be."""

    async def before_node_start(self, cluster: Cluster, node: Node) -> None:
        """A node is about to be started. Raises LocalAmlError when it cannot be had."""

    async def before_environment(self, run: Run) -> None:
        """A run's environment is about to be made. Raises LocalAmlError when it cannot be."""

    def nodes_changed(self, cluster: ClusterKey) -> None:
        """Nodes of a cluster became idle, or began to work on a run. Must not change them before it has returned."""
