"""Writes the history: every state that a run, a node or a cluster comes to, with its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localaml.domain.models import Cluster, Event, Node, Run

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.store import Store

REMOVED = "removed"
"""What the history calls the state of a node or a cluster that is not there any more."""


class History:
    """Appends events to the store. Call it in the transaction of the change that it tells of."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def run(self, old: Run | None, new: Run, cause: str) -> None:
        """A run has changed its state (None: it is new)."""
        self._append(
            Event(
                "run",
                self._clock.now(),
                new.run_id,
                cause,
                old.state.value if old is not None else "",
                new.state.value,
                new.workspace_id,
                new.target,
                new.run_id,
            )
        )

    def node(self, node: Node, old_state: str, new_state: str, cause: str) -> None:
        """A node has changed its state."""
        key = node.cluster
        self._append(
            Event(
                "node",
                self._clock.now(),
                node.node_id,
                cause,
                old_state,
                new_state,
                key.workspace_id,
                key.cluster,
                node.run_id or "",
            )
        )

    def cluster(self, cluster: Cluster, old_state: str, new_state: str, cause: str) -> None:
        """A cluster has changed its state, its allocation state, or its settings."""
        self._append(
            Event(
                "cluster",
                self._clock.now(),
                cluster.name.name,
                cause,
                old_state,
                new_state,
                cluster.workspace_id,
                cluster.name.name,
                cluster.for_run or "",
            )
        )

    def fault(
        self, fault_id: str, state: str, cause: str, *, workspace_id: str = "", cluster: str = "", run_id: str = ""
    ) -> None:
        """A fault was added, has struck, or was cleared."""
        event = Event("fault", self._clock.now(), fault_id, cause, "", state, workspace_id, cluster, run_id)
        self._append(event)

    def _append(self, event: Event) -> None:
        self._store.events.append(event)


def story_hint(run_id: str) -> str:
    """A sentence that names a run's story, for the texts of errors that came from outside of its script."""
    return f"'localaml events --run {run_id}' tells the story."
