"""Writes clusters and their history: the one place that makes, changes and removes their records."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from localaml.domain.models import Cluster, ClusterKey
from localaml.domain.states import ProvisioningState
from localaml.jobs.history import REMOVED, History

if TYPE_CHECKING:
    from localaml.store import Store


class ClusterBook:
    """Records of clusters. Each change is committed when a method returns."""

    def __init__(self, store: Store, history: History) -> None:
        self._store = store
        self._history = history

    def get(self, key: ClusterKey) -> Cluster:
        """Raises NotFound ``COMPUTE_TARGET_NOT_FOUND``."""
        return self._store.clusters.get(key)

    def insert(self, cluster: Cluster) -> None:
        """Raises AlreadyExists ``COMPUTE_TARGET_EXISTS``."""
        with self._store.transaction():
            self._store.clusters.insert(cluster)
            self._history.cluster(cluster, "", cluster.provisioning_state.value, "created")

    def update(self, cluster: Cluster, cause: str) -> None:
        """Stores a change of settings or of the state."""
        with self._store.transaction():
            old = self._store.clusters.get(cluster.key)
            self._store.clusters.update(cluster)
            states = old.provisioning_state.value, cluster.provisioning_state.value
            self._history.cluster(cluster, *states, cause)

    def begin_deleting(self, cluster: Cluster, now: datetime) -> Cluster:
        """Notes that a cluster is to go."""
        state = ProvisioningState.DELETING
        changed = replace(cluster, provisioning_state=state, provisioning_state_changed_at=now, updated_at=now)
        self.update(changed, "is to be deleted")
        return changed

    def delete(self, cluster: Cluster) -> None:
        """Removes the record and those of its nodes."""
        with self._store.transaction():
            self._store.clusters.delete(cluster.key)
            self._history.cluster(cluster, cluster.provisioning_state.value, REMOVED, "deleted")
