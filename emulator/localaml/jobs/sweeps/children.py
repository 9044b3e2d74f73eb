"""The children of a sweep as their records say, kept up to date while it goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from localaml.domain.models import MetricsOf, Run, RunKey
from localaml.domain.states import RunState
from localaml.domain.sweeps import Child, reports_of
from localaml.store import RunFilter

if TYPE_CHECKING:
    from localaml.domain.sweeps import Values
    from localaml.store import Store

_MARK = "sweep_child"
_STOPPING = (RunState.CANCEL_REQUESTED, RunState.FINALIZING)


def child_mark(index: int, values: Values) -> dict[str, object]:
    """What is noted of the execution of a child, to know it again. Nobody but the emulator can write there."""
    return {_MARK: {"index": index, "values": dict(values)}}


def child_key(parent: RunKey, index: int) -> RunKey:
    """Where child number `index` is: named as Azure names them. The same one again after a restart."""
    return RunKey(parent.workspace_id, f"{parent.run_id}_{index}")


class SweepChildren:
    """The children of one sweep.

    Args:
        metric: the name of the primary metric.
    """

    def __init__(self, store: Store, parent: RunKey, metric: str) -> None:
        self._store = store
        self._parent = parent
        self._metric = metric
        self._changes = store.changes.subscribe(parent)
        self._children: dict[int, Child] = {}
        # The last record of the metric that was read, by the child's index.
        self._read: dict[int, int] = {}
        found = store.runs.scan(parent.workspace_id, RunFilter(parent_run_id=parent.run_id))
        for run in sorted((run for _, run in found if _MARK in run.execution), key=_index):
            self.add(run)
        for index, child in self._children.items():
            # Which reports were judged is not kept: of those that an earlier emulator took, the last one is now.
            self._children[index] = replace(child, judged=max(0, len(child.reports) - 1))

    def add(self, run: Run) -> None:
        """A child that was just stored."""
        index = _index(run)
        self._changes.also(run.key)
        self._changes.also(MetricsOf(*run.key))
        self._children[index] = Child(index, run.execution[_MARK]["values"], RunState.NOT_STARTED)
        self._read[index] = 0
        self._refresh(index)

    def now(self) -> list[Child]:
        """All of them as they are now, in the order of their indices."""
        for index, child in self._children.items():
            if child.is_active:
                self._refresh(index)
        return [self._children[index] for index in sorted(self._children)]

    def judged(self, index: int, reports: int) -> None:
        """The policy has looked at a child."""
        self._children[index] = replace(self._children[index], judged=reports)

    async def changed(self) -> None:
        """Returns once something has changed since the last call: the sweep, a child, or a child's metrics."""
        await self._changes.wait()

    def close(self) -> None:
        self._changes.close()

    def _refresh(self, index: int) -> None:
        key = child_key(self._parent, index)
        # First the state, then the reports: of a run that has ended no more can come.
        state = self._store.runs.get(key).state
        child = self._children[index]
        reports = list(child.reports)
        for number, record in self._store.metrics.scan(key, self._metric, self._read[index]):
            reports += reports_of(json.loads(record.value_json))
            self._read[index] = number
        self._children[index] = replace(
            child, state=state, reports=tuple(reports), is_stopping=state in _STOPPING or state.is_terminal
        )


def _index(run: Run) -> int:
    return int(run.execution[_MARK]["index"])
