"""Moves runs through their life: the one place that writes a run's state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localaml.domain.models import Run, RunKey, StateChange
from localaml.domain.run_lifecycle import RunEvent, next_state
from localaml.domain.states import RunState
from localaml.jobs.children import end_of_forsaken, forsaken
from localaml.jobs.history import History

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.store import Store


class RunBook:
    """Applies events to stored runs.

    Args:
        store: where runs are kept; each change is committed when a method returns.

    Attributes:
        history: where every state is noted.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.history = History(store, clock)

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

    def insert(self, run: Run, cause: str) -> Run:
        """Stores a run that was just born. Raises as `Runs.insert` does."""
        with self._store.transaction():
            stored = self._store.runs.insert(run)
            self.history.run(None, stored, cause)
        return stored

    def advance(self, key: RunKey, event: RunEvent, cause: str, **changes: Any) -> Run:
        """Applies `event` and stores the run with `changes` to its other fields. With a job end the runs that only its
        processes could have ended.

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
        if state.is_terminal and run.ended_at is None:
            changes["ended_at"] = now
        with self._store.transaction():
            changed = self.change(run, **changes)
            if state is not run.state:
                self.history.run(run, changed, cause)
            self._end_forsaken(changed)
        return changed

    def nothing_goes_on(self, key: RunKey) -> Run:
        """The processes of a run that its caller had failed have ended, and its files are collected."""
        run = self.get(key)
        execution = {name: value for name, value in run.execution.items() if name != "ending"}
        with self._store.transaction():
            changed = self.change(run, execution=execution)
            self._end_forsaken(changed)
        return changed

    def _end_forsaken(self, job: Run) -> None:
        for child in forsaken(self._store, job) if job.is_over and job.submitted else ():
            end = end_of_forsaken(job)
            self.advance(child.key, end.event, end.cause, error=end.error)

    def requeue(self, key: RunKey, cause: str) -> Run:
        """Sends a run back to the queue. What it had of nodes and processes is forgotten; its attempts are counted."""
        run = self.get(key)
        gone = ("handle", "nodes", "runtime", "evicted", "failed_by_script")
        execution = {name: value for name, value in run.execution.items() if name not in gone}
        if "handle" in run.execution:
            # Its processes were there: the next ones go on from what they have written.
            execution["attempt"] = run.attempt + 1
        return self.advance(key, RunEvent.REQUEUE, cause, node_ids=(), execution=execution)

    def change(self, run: Run, **changes: Any) -> Run:
        """Stores the run with `changes` to fields other than its state."""
        changed = replace(run, **changes)
        if changed != run:
            self._store.runs.update(changed)
        return changed
