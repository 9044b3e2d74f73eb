"""Clusters and their nodes."""

from __future__ import annotations

from collections.abc import Sequence

from localaml.domain.models import Cluster, ClusterKey, Node, ScaleSettings
from localaml.domain.names import ChildName, WorkspaceName
from localaml.domain.states import NodeState, ProvisioningState
from localaml.errors import AlreadyExists, LocalAmlError, NotFound
from localaml.store.codec import errors_from_json, errors_to_json, from_json, from_micros, known, to_json, to_micros
from localaml.store.database import Database, Row
from localaml.store.stored import Stored, readable, stored

_CHANGEABLE = (
    "vm_size, vm_priority, min_node_count, max_node_count, idle_seconds, provisioning_state, updated_at, "
    "provisioning_state_changed_at, allocation_state_changed_at, tags, description, errors, for_run"
)
_COLUMNS = f"workspace_id, name, created_at, {_CHANGEABLE}"
_INSERT = f"INSERT INTO clusters ({_COLUMNS}) VALUES ({', '.join('?' * 16)})"
_ASSIGNMENTS = ", ".join(f"{name} = ?" for name in _CHANGEABLE.split(", "))
_UPDATE = f"UPDATE clusters SET {_ASSIGNMENTS} WHERE workspace_id = ? AND name = ?"
_SELECT = (
    f"SELECT c.workspace_id, c.name, c.created_at, {', '.join('c.' + name for name in _CHANGEABLE.split(', '))}, "
    "w.subscription, w.resource_group, w.name FROM clusters c JOIN workspaces w ON w.workspace_id = c.workspace_id"
)
_NODE_COLUMNS = "workspace_id, cluster, node_id, state, host_name, created_at, state_changed_at, run_id"


class Clusters:
    """Publishes a cluster's key after each change."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, cluster: Cluster) -> None:
        """Raises AlreadyExists ``COMPUTE_TARGET_EXISTS``."""

        def taken() -> LocalAmlError:
            return AlreadyExists(
                "COMPUTE_TARGET_EXISTS",
                f"A compute target {cluster.name.name!r} exists already in workspace "
                f"{cluster.name.workspace.workspace!r}, with other settings. Use it as it is, update or delete it, "
                "or take another name.",
            )

        values = (cluster.workspace_id, cluster.name.name, to_micros(cluster.created_at), *_changeable(cluster))
        self._db.insert(_INSERT, values, f"Compute target {cluster.name.name!r}", taken)
        self._db.publish(cluster.key)

    def find(self, key: ClusterKey) -> Cluster | None:
        row = self._db.one(f"{_SELECT} WHERE c.workspace_id = ? AND c.name = ?", key)
        return None if row is None else _stored(row).read()

    def get(self, key: ClusterKey) -> Cluster:
        """Raises NotFound ``COMPUTE_TARGET_NOT_FOUND``."""
        found = self.find(key)
        if found is None:
            rows = self._db.all(
                "SELECT name FROM clusters WHERE workspace_id = ? AND for_run IS NULL", (key.workspace_id,)
            )
            raise NotFound(
                "COMPUTE_TARGET_NOT_FOUND",
                f"No compute target {key.cluster!r} in this workspace. {known(row[0] for row in rows)} "
                "Make one with ComputeTarget.create or `localaml compute create`, or use 'local'.",
                {"compute_target": key.cluster},
            )
        return found

    def stored(self, workspace_id: str | None = None) -> Sequence[Stored[Cluster]]:
        """By workspace and name, those made for one run included."""
        if workspace_id is None:
            rows = self._db.all(f"{_SELECT} ORDER BY c.workspace_id, c.name")
        else:
            rows = self._db.all(f"{_SELECT} WHERE c.workspace_id = ? ORDER BY c.name", (workspace_id,))
        return [_stored(row) for row in rows]

    def is_for_run(self, key: ClusterKey) -> bool:
        """Whether a cluster was made for one run: it is in no listing."""
        row = self._db.one("SELECT for_run IS NOT NULL FROM clusters WHERE workspace_id = ? AND name = ?", key)
        return row is not None and bool(row[0])

    def list(self, workspace_id: str | None = None) -> list[Cluster]:
        """As `stored`, without those that cannot be read."""
        return list(readable(self.stored(workspace_id)))

    def update(self, cluster: Cluster) -> None:
        """Stores all but key and creation time. Raises NotFound ``COMPUTE_TARGET_NOT_FOUND``."""
        if self._db.execute(_UPDATE, (*_changeable(cluster), *cluster.key)).rowcount == 0:
            self.get(cluster.key)
        self._db.publish(cluster.key)

    def delete(self, key: ClusterKey) -> None:
        """Removes the cluster and its nodes; a missing one is fine."""
        self._db.execute("DELETE FROM clusters WHERE workspace_id = ? AND name = ?", key)
        self._db.publish(key)


class Nodes:
    """Publishes the key of the node's cluster after each change."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, node: Node) -> None:
        """Inserts or replaces. Raises NotFound ``PARENT_NOT_FOUND`` when its cluster is gone."""
        values = (
            *node.cluster,
            node.node_id,
            node.state.value,
            node.host_name,
            to_micros(node.created_at),
            to_micros(node.state_changed_at),
            node.run_id,
        )
        self._db.insert(
            f"INSERT OR REPLACE INTO nodes ({_NODE_COLUMNS}) VALUES ({', '.join('?' * 8)})",
            values,
            f"Node {node.node_id!r}",
        )
        self._db.publish(node.cluster)

    def stored(self, cluster: ClusterKey | None = None) -> Sequence[Stored[Node]]:
        """By cluster and node id."""
        if cluster is None:
            rows = self._db.all(f"SELECT {_NODE_COLUMNS} FROM nodes ORDER BY workspace_id, cluster, node_id")
        else:
            rows = self._db.all(
                f"SELECT {_NODE_COLUMNS} FROM nodes WHERE workspace_id = ? AND cluster = ? ORDER BY node_id", cluster
            )
        return [stored("node", row[2], row, _load_node) for row in rows]

    def list(self, cluster: ClusterKey | None = None) -> list[Node]:
        """By cluster and node id; without those that cannot be read."""
        return list(readable(self.stored(cluster)))

    def delete(self, cluster: ClusterKey, node_id: str) -> None:
        """A missing one is fine."""
        self._db.execute(
            "DELETE FROM nodes WHERE workspace_id = ? AND cluster = ? AND node_id = ?", (*cluster, node_id)
        )
        self._db.publish(cluster)


def _load_node(row: Row) -> Node:
    workspace_id, name, node_id, state, host, created, changed, run_id = row
    cluster = ClusterKey(workspace_id, name)
    return Node(cluster, node_id, NodeState(state), host, from_micros(created), from_micros(changed), run_id)


def _stored(row: Row) -> Stored[Cluster]:
    return stored("compute target", row[1], row, _load)


def _changeable(cluster: Cluster) -> Row:
    return (
        cluster.vm_size,
        cluster.vm_priority,
        cluster.scale.min_node_count,
        cluster.scale.max_node_count,
        cluster.scale.idle_seconds_before_scaledown,
        cluster.provisioning_state.value,
        to_micros(cluster.updated_at),
        to_micros(cluster.provisioning_state_changed_at),
        to_micros(cluster.allocation_state_changed_at),
        to_json(cluster.tags),
        cluster.description,
        errors_to_json(cluster.errors),
        cluster.for_run,
    )


def _load(row: Row) -> Cluster:
    workspace_id, name, created, size, priority, least, most, idle, state, updated, state_at, allocation_at = row[:12]
    tags, description, errors, for_run, subscription, group, workspace = row[12:]
    return Cluster(
        name=ChildName(WorkspaceName(subscription, group, workspace), "computes", name),
        workspace_id=workspace_id,
        vm_size=size,
        vm_priority=priority,
        scale=ScaleSettings(least, most, idle),
        provisioning_state=ProvisioningState(state),
        created_at=from_micros(created),
        updated_at=from_micros(updated),
        provisioning_state_changed_at=from_micros(state_at),
        allocation_state_changed_at=from_micros(allocation_at),
        tags=from_json(tags),
        description=description,
        errors=errors_from_json(errors),
        for_run=for_run,
    )
