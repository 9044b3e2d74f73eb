"""Listing runs: the filter, and the query that answers it from the indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localaml.domain.states import RunState
from localaml.store.run_rows import PROPERTY, RUN_COLUMNS, TAG


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs of a workspace; all that is set must hold.

    Attributes:
        experiment: None for all.
        parent_run_id: only children of this run; with `recursive` all its descendants.
        include_children: also runs that have a parent (of no effect with `parent_run_id`).
        tags, properties: by name; an empty value matches any value.
    """

    experiment: str | None = None
    parent_run_id: str | None = None
    recursive: bool = False
    include_children: bool = False
    run_type: str | None = None
    state: RunState | None = None
    target: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


_DESCENDANTS = (
    "WITH RECURSIVE descendants(run_id) AS ("
    "SELECT run_id FROM runs WHERE workspace_id = ?1 AND parent_run_id = ?2 "
    "UNION SELECT c.run_id FROM runs c JOIN descendants d ON c.parent_run_id = d.run_id WHERE c.workspace_id = ?1) "
)


def list_query(workspace_id: str, run_filter: RunFilter, after: int) -> tuple[str, list[Any]]:
    """SQL and values: the columns of `SELECT_RUN`, then `seq`; newest first."""
    query = _Query(workspace_id, run_filter.parent_run_id)
    labels = [(TAG, key, value) for key, value in run_filter.tags.items()]
    labels += [(PROPERTY, key, value) for key, value in run_filter.properties.items()]
    # A label with a value is the most selective start; its index is in the order of `seq`, too.
    labels.sort(key=lambda label: not label[2])
    source = "runs r"
    for number, (kind, key, value) in enumerate(labels):
        condition = f"{{0}}.workspace_id = ?1 AND {{0}}.kind = {kind} AND {{0}}.key = {query.value(key)}"
        if value:
            condition += f" AND {{0}}.value = {query.value(value)}"
        if number == 0 and value:
            source = "run_labels l CROSS JOIN runs r ON r.seq = l.seq"
            query.where(condition.format("l"))
        else:
            query.where(f"EXISTS (SELECT 1 FROM run_labels x WHERE {condition.format('x')} AND x.seq = r.seq)")
    query.where("r.workspace_id = ?1")
    order = "l.seq" if source.startswith("run_labels") else "r.seq"
    if after:
        query.where(f"{order} < {query.value(after)}")
    if run_filter.parent_run_id is None:
        if not run_filter.include_children:
            query.where("r.parent_run_id IS NULL")
    elif run_filter.recursive:
        query.where("r.run_id IN descendants")
    else:
        query.where("r.parent_run_id = ?2")
    state = None if run_filter.state is None else run_filter.state.value
    for column, wanted in (
        ("experiment", run_filter.experiment),
        ("state", state),
        ("run_type", run_filter.run_type),
        ("target", run_filter.target),
    ):
        if wanted is not None:
            query.where(f"r.{column} = {query.value(wanted)}")
    sql = (
        f"{_DESCENDANTS if run_filter.recursive and run_filter.parent_run_id is not None else ''}"
        f"SELECT {RUN_COLUMNS}, r.seq FROM {source} CROSS JOIN workspaces w ON w.workspace_id = r.workspace_id "
        f"WHERE {' AND '.join(query.conditions)} ORDER BY {order} DESC"
    )
    return sql, query.values


class _Query:
    """Conditions with numbered values: the first is the workspace id, the second the parent run if there is one."""

    def __init__(self, workspace_id: str, parent_run_id: str | None) -> None:
        self.conditions: list[str] = []
        self.values: list[Any] = [workspace_id] if parent_run_id is None else [workspace_id, parent_run_id]

    def value(self, value: Any) -> str:
        self.values.append(value)
        return f"?{len(self.values)}"

    def where(self, condition: str) -> None:
        self.conditions.append(condition)
