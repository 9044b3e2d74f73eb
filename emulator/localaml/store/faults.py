"""Faults that were asked for, and what they have seen so far: a restart of the emulator changes nothing about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from localaml.domain.faults import FaultEffect, FaultKind, FaultRule, FaultTarget, FaultWhen, RuleState
from localaml.store.codec import from_json, from_micros, from_micros_or_none, to_json, to_micros, to_micros_or_none
from localaml.store.database import Database, Row
from localaml.store.stored import Stored, readable, stored


@dataclass(frozen=True, slots=True)
class StoredFault:
    """A rule that is kept.

    Attributes:
        has_begun: whether a rule on nodes has had its first look at them, idle ones included.
    """

    state: RuleState
    added_at: datetime
    has_begun: bool


class Faults:
    """Keyed by ``f1``, ``f2``, ...: numbers are not given again."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, rule: FaultRule, added_at: datetime) -> FaultRule:
        """Stores a rule that has seen nothing yet; returns it with its id."""
        values = (to_micros(added_at), rule.kind.value, _encode(rule))
        row = self._db.execute(
            "INSERT INTO faults (added_at, kind, rule, seen, struck, has_begun) VALUES (?, ?, ?, 0, 0, 0)", values
        )
        return replace(rule, fault_id=f"f{row.lastrowid}")

    def note(self, state: RuleState) -> None:
        """Keeps what a rule has seen."""
        values = (state.seen, state.struck, _number(state.rule.fault_id))
        self._db.execute("UPDATE faults SET seen = ?, struck = ? WHERE seq = ?", values)

    def begin(self, fault_id: str) -> None:
        """Notes that a rule on nodes has begun."""
        self._db.execute("UPDATE faults SET has_begun = 1 WHERE seq = ?", (_number(fault_id),))

    def look(self, fault_id: str, node_id: str, run_id: str, attempt: int) -> bool:
        """Notes that a rule on nodes has looked at a node at work; False when it had done so before.

        Args:
            run_id: what the node works for; empty for an idle node.
            attempt: which start of the run's processes.
        """
        values = (_number(fault_id), node_id, run_id, attempt)
        return self._db.execute("INSERT OR IGNORE INTO fault_looks VALUES (?, ?, ?, ?)", values).rowcount == 1

    def delete(self, fault_ids: Iterable[str]) -> None:
        """Removes rules; a missing one is fine."""
        self._db.execute_many("DELETE FROM faults WHERE seq = ?", [(_number(fault_id),) for fault_id in fault_ids])

    def list(self) -> list[StoredFault]:
        """As `stored`, without those that cannot be read."""
        return list(readable(self.stored()))

    def stored(self) -> Sequence[Stored[StoredFault]]:
        """All rules, in the order of their addition."""
        rows = self._db.all("SELECT seq, added_at, kind, rule, seen, struck, has_begun FROM faults ORDER BY seq")
        return [stored("fault", f"f{row[0]}", row, _load) for row in rows]


def _number(fault_id: str) -> int:
    return int(fault_id[1:])


def _encode(rule: FaultRule) -> str:
    when = asdict(rule.when)
    for name in ("not_before", "not_after"):
        when[name] = to_micros_or_none(when[name])
    return to_json({"target": asdict(rule.target), "when": when, "effect": asdict(rule.effect)})


def _load(row: Row) -> StoredFault:
    seq, added_at, kind, text, seen, struck, has_begun = row
    parts = from_json(text)
    when = parts["when"]
    for name in ("not_before", "not_after"):
        when[name] = from_micros_or_none(when[name])
    rule = FaultRule(
        f"f{seq}",
        FaultKind(kind),
        FaultTarget(**parts["target"]),
        FaultWhen(**when),
        FaultEffect(**parts["effect"]),
    )
    return StoredFault(RuleState(rule, seen, struck), from_micros(added_at), bool(has_begun))
