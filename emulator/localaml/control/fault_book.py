"""The rules of one emulator with what they have seen, in memory and in the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from localaml.clock import Clock, SteadyTime
from localaml.domain.faults import FaultRule, Hook, RuleState, hooks_of
from localaml.errors import NotFound

if TYPE_CHECKING:
    from localaml.store import Store


class FaultBook:
    """What is asked at every call is answered from memory; what changes is committed when a method returns.

    Args:
        clock: service time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._transaction = store.transaction
        self._store = store.faults
        self._steady = SteadyTime(clock)
        # When rules were added, in steady time.
        self._since: dict[str, datetime] = {}
        self._load()

    def _load(self) -> None:
        stored = self._store.list()
        self._states = {fault.state.rule.fault_id: fault.state for fault in stored}
        self._added_at = {fault.state.rule.fault_id: fault.added_at for fault in stored}
        known, self._since = self._since, {}
        for fault_id, added_at in self._added_at.items():
            self._since[fault_id] = known.get(fault_id) or self._steady.of(added_at)
        self._waiting = {fault.state.rule.fault_id for fault in stored if not fault.has_begun}
        self._note_hooks()

    @contextmanager
    def as_a_whole(self) -> Iterator[None]:
        """What is done inside is kept as a whole or not at all, in memory, too. Do not await inside."""
        try:
            with self._transaction():
                yield
        except BaseException:
            self._load()
            raise

    @property
    def in_use(self) -> frozenset[Hook]:
        """Where something may happen: nowhere else has anything to be asked."""
        return self._in_use

    def states(self) -> Sequence[RuleState]:
        """All rules, in the order of their addition."""
        return list(self._states.values())

    def on_nodes(self) -> Sequence[FaultRule]:
        """The rules on nodes."""
        return [state.rule for state in self._states.values() if Hook.NODE in hooks_of(state.rule.kind)]

    def added_at(self, fault_id: str) -> datetime:
        return self._added_at[fault_id]

    def time_for(self, fault_id: str) -> datetime:
        """The time, to be compared with the times that this rule names: they count from its addition."""
        added_at = self._added_at[fault_id]
        return added_at + (self._steady.now() - self._since[fault_id])

    def has_begun(self, fault_id: str) -> bool:
        """Whether a rule on nodes has had its first look at them."""
        return fault_id not in self._waiting

    def get(self, fault_id: str) -> RuleState:
        """Raises NotFound ``FAULT_NOT_FOUND``."""
        try:
            return self._states[fault_id]
        except KeyError:
            text = f"There is no fault {fault_id[:64]!r}; 'localaml fault list' shows all."
            raise NotFound("FAULT_NOT_FOUND", text) from None

    def add(self, rule: FaultRule, now: datetime) -> FaultRule:
        """Adds a rule; returns it with its id."""
        rule = self._store.add(rule, now)
        self._states[rule.fault_id] = RuleState(rule)
        self._added_at[rule.fault_id] = now
        self._since[rule.fault_id] = self._steady.of(now)
        self._waiting.add(rule.fault_id)
        self._note_hooks()
        return rule

    def begin(self, fault_id: str) -> None:
        """A rule on nodes has its first look at them."""
        self._store.begin(fault_id)
        self._waiting.discard(fault_id)

    def look(self, fault_id: str, node_id: str, run_id: str, attempt: int) -> bool:
        """A rule on nodes looks at one; False when it had done so before."""
        return self._store.look(fault_id, node_id, run_id, attempt)

    def note(self, states: Iterable[RuleState]) -> None:
        """Keeps what rules have seen."""
        for state in states:
            if state != self._states[state.rule.fault_id]:
                self._store.note(state)
                self._states[state.rule.fault_id] = state

    def remove(self, fault_ids: Collection[str]) -> None:
        """Removes rules that are there."""
        self._store.delete(fault_ids)
        for fault_id in fault_ids:
            del self._states[fault_id], self._added_at[fault_id], self._since[fault_id]
            self._waiting.discard(fault_id)
        self._note_hooks()

    def _note_hooks(self) -> None:
        self._in_use = frozenset[Hook]().union(*(hooks_of(state.rule.kind) for state in self._states.values()))
