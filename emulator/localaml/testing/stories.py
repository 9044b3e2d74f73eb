"""What happened to runs, told for people: state stories, errors, and the ends of logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azureml.core import Run, Workspace

_DRIVER_LOG = re.compile(r"azureml-logs/[78]\d_driver_log.*")
_TAIL_LINES = 20
_MOST_LOGS = 4
_MOST_RUNS = 8


def story(run: Run) -> str:
    """How a run came to its state, one line for each change."""
    details = run.get_detailed_status()["details"]
    if not details:
        return f"  {run.get_status()}"
    begin = _time(details[0]["time"])
    lines = []
    for change in details:
        seconds = (_time(change["time"]) - begin).total_seconds()
        lines.append(f"  {seconds:9.3f} s  {change['state']:<15} {_first_line(change['cause'])}")
    return "\n".join(lines)


def told(run: Run) -> str:
    """A run's story, its error, and the ends of its driver logs."""
    parts = [_title(run.id), story(run)]
    error = run.get_details().get("error")
    if error:
        # What follows the first line is the end of a log, which is to come anyway.
        parts.append(f"  error {error['error']['code']}: {_first_line(error['error']['message'])}")
    logs = driver_logs(run)
    for name in list(logs)[:_MOST_LOGS]:
        parts.append(f"  --- {name}\n{_indented(tail(logs[name]))}")
    if len(logs) > _MOST_LOGS:
        parts.append(f"  ... and {len(logs) - _MOST_LOGS} further driver logs")
    return "\n".join(parts)


def driver_logs(run: Run) -> dict[str, str]:
    """What the run's processes have printed, by the name of the log."""
    details = run.get_details_with_logs()
    return {name: text for name, text in sorted(details["logFiles"].items()) if _DRIVER_LOG.fullmatch(name)}


def tail(text: str) -> str:
    """The last lines of a log."""
    lines = text.splitlines()
    cut = [f"... {len(lines) - _TAIL_LINES} lines before"] if len(lines) > _TAIL_LINES else []
    return "\n".join([*cut, *lines[-_TAIL_LINES:]])


def workspace_told(workspace: Workspace, known: str = "") -> str:
    """The stories of a workspace's runs, the last ones first; empty when there are none.

    Args:
        known: runs whose story is in this text are left out.
    """
    from azureml.core import Experiment, Run

    request: Mapping[str, Any] = {
        "parent": f"{workspace._resource_name}/experiments/-",
        "includeChildren": True,
        "page": {"pageSize": _MOST_RUNS + 1},
    }
    records = workspace._client.call("RunService", "ListRuns", dict(request)).get("runs") or []
    parts = []
    for record in records[:_MOST_RUNS]:
        if _title(record["runId"]) in known:
            continue
        experiment = Experiment(workspace, record["name"].split("/")[7], _create_in_cloud=False)
        parts.append(told(Run(experiment, record["runId"])))
    if len(records) > _MOST_RUNS:
        parts.append("... and further runs")
    return "\n".join(parts)


def _title(run_id: str) -> str:
    return f"run {run_id}:"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
