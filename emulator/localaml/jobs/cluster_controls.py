"""Makes what keeps a cluster, and gives back what an emulator that was killed had forgotten to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from localaml.domain.models import Cluster, ClusterKey, Node, RunKey
from localaml.jobs.cluster_control import ClusterControl
from localaml.settings import LatencySettings

if TYPE_CHECKING:
    from localaml.jobs.job_tools import JobTools
    from localaml.jobs.quota_keeper import QuotaKeeper


def make_control(
    cluster: Cluster,
    tools: JobTools,
    quotas: QuotaKeeper,
    *,
    new_node_id: Callable[[], str],
    place: Callable[[str, tuple[Node, ...]], None],
    local_host_name: str | None = None,
) -> ClusterControl:
    """The control of a cluster.

    Args:
        place: performs a run (by its id) on nodes.
        local_host_name: of the `local` target: this machine's name. Its nodes are not stored and come at once.
    """
    name, local = cluster.name.name, local_host_name is not None
    return ClusterControl(
        cluster,
        store=tools.store,
        runtime=tools.runtime,
        clock=tools.clock,
        new_node_id=new_node_id,
        place=place,
        host_name=lambda number: f"{name}-{number}" if local_host_name is None else local_host_name,
        history=tools.book.history,
        hooks=tools.hooks,
        allowed=quotas.allowed,
        freed=lambda: quotas.freed(cluster.workspace_id),
        latency=LatencySettings() if local else tools.settings.latency,
        unique_host_names=not local,
        persist=not local,
    )


def release_forgotten_nodes(controls: Mapping[ClusterKey, ClusterControl], performed: Collection[RunKey]) -> None:
    """Gives back nodes of runs that had ended when the earlier emulator was killed, before it noted that."""
    for key, control in controls.items():
        for node in control.status().nodes:
            if node.run_id is not None and RunKey(key.workspace_id, node.run_id) not in performed:
                control.release([node.node_id])
