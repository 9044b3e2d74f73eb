"""The nodes of one cluster, in memory and in the store: the one place that writes a node's state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localaml.domain import node_lifecycle
from localaml.domain.models import ClusterKey, Node
from localaml.domain.node_lifecycle import NodeEvent
from localaml.jobs.history import REMOVED, History

if TYPE_CHECKING:
    from localaml.clock import Clock, SteadyTime
    from localaml.store import Store


class NodeBook:
    """The nodes of one cluster, in the order in which they came.

    Args:
        steady: the time in which `changed_at` tells.
        persist: whether they are kept in the store, and in the history.
    """

    def __init__(
        self, key: ClusterKey, store: Store, history: History, clock: Clock, steady: SteadyTime, *, persist: bool
    ) -> None:
        self._key = key
        self._store = store
        self._history = history
        self._clock = clock
        self._steady = steady
        self._changed_at: dict[str, datetime] = {}
        self._persist = persist
        self._nodes: dict[str, Node] = {}

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self._nodes.values()))

    def __getitem__(self, node_id: str) -> Node:
        return self._nodes[node_id]

    def find(self, node_id: str) -> Node | None:
        """The node, or None when it has left."""
        return self._nodes.get(node_id)

    def changed_at(self, node_id: str) -> datetime:
        """When a node that is there came into its state, in steady time."""
        return self._changed_at[node_id]

    def take_over(self, node: Node) -> None:
        """Knows a node that is stored already."""
        self._nodes[node.node_id] = node
        self._changed_at[node.node_id] = self._steady.of(node.state_changed_at)

    def put(self, node: Node, cause: str) -> Node:
        """Stores a node as it is given; a change of its state is told with its cause."""
        known = self._nodes.get(node.node_id)
        if known is None or known.state_changed_at != node.state_changed_at:
            self._changed_at[node.node_id] = self._steady.of(node.state_changed_at)
        old_state = known.state.value if known is not None else ""
        self._nodes[node.node_id] = node
        if self._persist:
            with self._store.transaction():
                self._store.nodes.put(node)
                if old_state != node.state.value:
                    self._history.node(node, old_state, node.state.value, cause)
        return node

    def move(self, node_id: str, event: NodeEvent, cause: str, **changes: Any) -> Node:
        """Applies an event. Raises Internal ``ILLEGAL_NODE_TRANSITION``."""
        node = self._nodes[node_id]
        state = node_lifecycle.next_state(node.state, event)
        return self.put(replace(node, state=state, state_changed_at=self._clock.now(), **changes), cause)

    def remove(self, node_id: str) -> None:
        """A node has left; a missing one is fine."""
        node = self._nodes.pop(node_id, None)
        self._changed_at.pop(node_id, None)
        if node is not None and self._persist:
            with self._store.transaction():
                self._store.nodes.delete(self._key, node_id)
                self._history.node(node, node.state.value, REMOVED, "has left")
