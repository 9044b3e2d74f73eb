"""A `Run` as a row of `runs`, and back."""

from __future__ import annotations

from collections.abc import Iterator

from localaml.domain.models import Run, StateChange
from localaml.domain.names import RunName, WorkspaceName
from localaml.domain.states import RunState
from localaml.store.codec import (
    error_from_json,
    error_to_json,
    errors_from_json,
    errors_to_json,
    from_json,
    from_micros,
    from_micros_or_none,
    list_from_json,
    list_to_json,
    to_json,
    to_micros,
    to_micros_or_none,
)
from localaml.store.database import Row

TAG, PROPERTY = 0, 1
"""Kinds of rows of `run_labels`."""

_FIXED_COLUMNS = (
    "workspace_id",
    "run_id",
    "experiment",
    "number",
    "request_id",
    "created_at",
    "definition",
)
CHANGEABLE_COLUMNS = (
    "run_type",
    "state",
    "is_terminal",
    "submitted",
    "target",
    "parent_run_id",
    "root_run_id",
    "started_at",
    "ended_at",
    "snapshot_id",
    "display_name",
    "description",
    "tags",
    "properties",
    "error",
    "warnings",
    "node_ids",
    "state_changes",
    "execution",
)
_ALL = _FIXED_COLUMNS + CHANGEABLE_COLUMNS
INSERT_RUN = f"INSERT INTO runs ({', '.join(_ALL)}) VALUES ({', '.join('?' * len(_ALL))})"
RUN_COLUMNS = f"{', '.join('r.' + name for name in _ALL)}, w.subscription, w.resource_group, w.name"
SELECT_RUN = f"SELECT {RUN_COLUMNS} FROM runs r CROSS JOIN workspaces w ON w.workspace_id = r.workspace_id"


def fixed_values(run: Run) -> Row:
    """The columns that never change, in the order of `INSERT_RUN`."""
    return (
        run.workspace_id,
        run.run_id,
        run.name.experiment,
        run.number,
        run.request_id,
        to_micros(run.created_at),
        run.definition,
    )


def changeable_values(run: Run) -> Row:
    """The columns of `CHANGEABLE_COLUMNS`."""
    return (
        run.run_type,
        run.state.value,
        run.is_over,
        run.submitted,
        run.target,
        run.parent_run_id,
        run.root_run_id,
        to_micros_or_none(run.started_at),
        to_micros_or_none(run.ended_at),
        run.snapshot_id,
        run.display_name,
        run.description,
        to_json(run.tags),
        to_json(run.properties),
        error_to_json(run.error),
        errors_to_json(run.warnings),
        list_to_json(run.node_ids),
        list_to_json([change.state.value, to_micros(change.at), change.cause] for change in run.state_changes),
        to_json(run.execution),
    )


def label_rows(run: Run, seq: int) -> Iterator[Row]:
    """The rows of `run_labels`."""
    for kind, labels in ((TAG, run.tags), (PROPERTY, run.properties)):
        for key, value in labels.items():
            yield (run.workspace_id, kind, key, value, seq)


def load_run(row: Row) -> Run:
    """The run of a row with `RUN_COLUMNS` (further columns are left alone)."""
    workspace_id, run_id, experiment, number, request_id, created_at, definition = row[:7]
    run_type, state, _, submitted, target, parent_run_id, root_run_id, started_at, ended_at, snapshot_id = row[7:17]
    display_name, description, tags, properties, error, warnings, node_ids, state_changes, execution = row[17:26]
    return Run(
        name=RunName(WorkspaceName(*row[26:29]), experiment, run_id),
        workspace_id=workspace_id,
        number=number,
        run_type=run_type,
        state=RunState(state),
        created_at=from_micros(created_at),
        submitted=bool(submitted),
        display_name=display_name,
        description=description,
        started_at=from_micros_or_none(started_at),
        ended_at=from_micros_or_none(ended_at),
        tags=from_json(tags),
        properties=from_json(properties),
        parent_run_id=parent_run_id,
        root_run_id=root_run_id,
        target=target,
        error=error_from_json(error),
        warnings=errors_from_json(warnings),
        definition=definition,
        snapshot_id=snapshot_id,
        node_ids=tuple(list_from_json(node_ids)),
        state_changes=tuple(
            StateChange(RunState(name), from_micros(at), cause) for name, at, cause in list_from_json(state_changes)
        ),
        execution=from_json(execution),
        request_id=request_id,
    )
