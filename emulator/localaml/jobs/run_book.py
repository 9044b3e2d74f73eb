"""Moves runs through their life: the one place that writes a run's state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localaml.domain.models import Run, RunKey, StateChange
from localaml.domain.run_lifecycle import RunEvent, next_state
from localaml.domain.states import RunState

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.store import Store


class RunBook:
    """Applies events to stored runs.

    Args:
        store: where runs are kept; each change is committed when a method returns.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def get(self, key: RunKey) -> Run:
        """The run as it is stored now. Raises NotFound ``RUN_NOT_FOUND``."""
        return self._store.runs.get(key)

    def born(self, run: Run, event: RunEvent, cause: str) -> Run:
        """A run that is not stored yet, after its first event."""
        now = run.created_at
        first = StateChange(RunState.NOT_STARTED, now, "created")
        state = next_state(RunState.NOT_STARTED, event)
        return replace(
            run,
            state=state,
            started_at=now if state is RunState.RUNNING else run.started_at,
            state_changes=(first, StateChange(state, now, cause)),
        )

    def advance(self, key: RunKey, event: RunEvent, cause: str, **changes: Any) -> Run:
        """Applies `event` and stores the run with `changes` to its other fields.

        Raises:
            FailedPrecondition: ``ILLEGAL_RUN_TRANSITION``.
        """
        run = self._store.runs.get(key)
        state = next_state(run.state, event, run.state_changes, key.run_id)
        now = self._clock.now()
        if state is not run.state:
            changes["state_changes"] = (*run.state_changes, StateChange(state, now, cause))
            changes["state"] = state
        if state is RunState.RUNNING and run.started_at is None:
            changes["started_at"] = now
        if state.is_terminal:
            changes["ended_at"] = now
        return self.change(run, **changes)

    def change(self, run: Run, **changes: Any) -> Run:
        """Stores the run with `changes` to fields other than its state."""
        changed = replace(run, **changes)
        if changed != run:
            self._store.runs.update(changed)
        return changed
