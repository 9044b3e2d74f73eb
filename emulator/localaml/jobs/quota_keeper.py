"""Holds clusters to the quotas of their workspace. `domain.quotas` decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from localaml.domain import quotas
from localaml.domain.models import Cluster, ClusterKey, ErrorInfo
from localaml.domain.quotas import Usage
from localaml.jobs.targets import LOCAL_TARGET

if TYPE_CHECKING:
    from localaml.jobs.cluster_control import ClusterControl
    from localaml.store import Store


class QuotaKeeper:
    """The quotas of all workspaces.

    Args:
        clusters: those of the orchestrator, as they are at any time.
    """

    def __init__(self, store: Store, clusters: Mapping[ClusterKey, ClusterControl]) -> None:
        self._store = store
        self._clusters = clusters

    def usages(self, workspace_id: str) -> list[Usage]:
        """What a workspace's clusters use of each family, and the limit."""
        used = [
            (control.cluster, len(control.status().nodes))
            for key, control in self._clusters.items()
            if key.workspace_id == workspace_id and key.cluster != LOCAL_TARGET
        ]
        return quotas.usages(used, self._store.quotas.of(workspace_id))

    def usage(self, workspace_id: str, family: str) -> Usage:
        """The usage of one family, which exists."""
        return next(usage for usage in self.usages(workspace_id) if usage.family == family)

    def check_minimum(self, cluster: Cluster) -> None:
        """Raises FailedPrecondition ``QUOTA_EXCEEDED`` when a cluster's minimum can never be had."""
        quotas.check_minimum(cluster, self._store.quotas.of(cluster.workspace_id))

    def allowed(self, cluster: Cluster, wanted: int) -> tuple[int, ErrorInfo | None]:
        """How many more nodes a cluster may have now, and the error for its status when these are not all."""
        if cluster.name.name == LOCAL_TARGET:
            return wanted, None
        usage = self.usage(cluster.workspace_id, quotas.family_of(cluster))
        return quotas.allowed(cluster, wanted, usage)

    def set_limit(self, workspace_id: str, family: str, cores: int) -> Usage:
        """Sets a quota; clusters that waited for it go on.

        Raises:
            InvalidArgument: ``VM_FAMILY_UNKNOWN``, ``QUOTA_INVALID``.
        """
        family = quotas.find_family(family)
        self._store.quotas.put(workspace_id, family, quotas.check_limit(cores))
        self.freed(workspace_id)
        return self.usage(workspace_id, family)

    def freed(self, workspace_id: str) -> None:
        """Nodes have gone, or a quota has changed: who waited for that may try again."""
        for key, control in list(self._clusters.items()):
            if key.workspace_id == workspace_id:
                control.try_again(only_for_quota=True)
