"""The folders of nodes: those of nodes, clusters and workspaces that are no more go."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from localaml.domain.models import ClusterKey
from localaml.jobs.remove_tree import remove_tree

if TYPE_CHECKING:
    from localaml.jobs.cluster_control import ClusterControl
    from localaml.paths import StatePaths


def remove_forgotten_folders(paths: StatePaths, controls: Mapping[ClusterKey, ClusterControl]) -> None:
    """Removes folders of nodes that no cluster has: an emulator was killed while it started or stopped them."""
    wanted = {
        paths.node(key.workspace_id, key.cluster, node.node_id)
        for key, control in controls.items()
        for node in control.status().nodes
    }
    for folder in paths.nodes.glob("*/*/*"):
        if folder not in wanted:
            remove_tree(folder)
    for cluster in paths.nodes.glob("*/*"):
        remove_empty_folder(paths, ClusterKey(cluster.parent.name, cluster.name))


def remove_empty_folder(paths: StatePaths, key: ClusterKey) -> None:
    """Removes the folder of a cluster without nodes, and that of its workspace when it was the last one."""
    with suppress(OSError):
        (paths.nodes / key.workspace_id / key.cluster).rmdir()
        (paths.nodes / key.workspace_id).rmdir()
