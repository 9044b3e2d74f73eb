"""What the widget of Azure's SDK keeps about a run: the keys are those of a widget state that a public notebook
stored."""

import base64
import codecs
import re
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Tuple

from azureml._localaml.labels import read_labels
from azureml._localaml.wire import iso_time, timestamp
from azureml._run_impl.details import error_of, run_properties
from azureml._run_impl.log_stream import primary_log
from azureml._run_impl.states import state_of
from azureml.widgets._charts import MetricsView, metrics_view

_PROCESS = re.compile(r"_((?:rank|worker|ps)_\d+)\.txt$")
_MOST_LOG_BYTES = 1024 * 1024


def properties_of(record: Mapping[str, Any], log_urls: Mapping[str, str]) -> Dict[str, Any]:
    """`run_properties` of the widget's state, from a Run message."""
    definition = record.get("definition") or {}
    created, ended = timestamp(record, "createTime"), timestamp(record, "endTime")
    until = ended or datetime.now(timezone.utc)
    return {
        "run_id": record.get("runId"),
        "script_name": definition.get("script") or None,
        "arguments": " ".join(str(word) for word in definition.get("arguments") or ()),
        "status": state_of(record),
        "created_utc": iso_time(record, "createTime"),
        "end_time_utc": iso_time(record, "endTime"),
        "run_duration": str(until - created).partition(".")[0] if created else None,
        "log_files": dict(log_urls),
        "properties": run_properties(record),
        "tags": read_labels(record.get("tags")),
        "distributed_processes": sorted({match.group(1) for match in map(_PROCESS.search, log_urls) if match}),
    }


def widget_data(run: Any, widget_settings: Mapping[str, Any]) -> Dict[str, Any]:
    """The whole state, fetched now."""
    record = run._refresh()
    log_urls = run._log_urls()
    name = primary_log(log_urls)
    error = error_of(record).get("error") or {}
    children = list(run.get_children())
    return {
        "run_id": run.id,
        "run_properties": properties_of(record, log_urls),
        "run_metrics": metrics_data(run.id, metrics_view(run._metric_series(None))),
        "run_logs": read_log(run, name, 0)[0] if name else "",
        "child_runs": [
            {"run_id": child.id, "run_number": child.number, "status": child._status, "run_type": child.type}
            for child in children
        ],
        "child_runs_metrics": {
            child.id: metrics_data(child.id, metrics_view(child._metric_series(None))) for child in children
        },
        "compute_target_status": cluster_status(run, record.get("target") or ""),
        "workbench_uri": run.get_portal_url(),
        "error": error.get("message", ""),
        "widget_settings": dict(widget_settings),
    }


def metrics_data(run_id: str, view: MetricsView) -> List[Dict[str, Any]]:
    """Metrics as series for charts: `categories` are the x values, `series` the y values."""
    lines = [(chart.name, [x for x, _ in chart.points], [y for _, y in chart.points]) for chart in view.charts]
    lines += [(name, [0.0], [value]) for name, value in view.numbers]
    return [
        {"name": name, "run_id": run_id, "categories": xs, "series": [{"data": ys}]}
        for name, xs, ys in sorted(lines, key=lambda line: line[0])
    ]


def read_log(run: Any, log_name: str, offset: int, decoder: Any = None) -> Tuple[str, int]:
    """What a log has from `offset` on, at most 1 MiB of it, and the offset to go on from."""
    decoder = decoder or codecs.getincrementaldecoder("utf-8")("replace")
    request = {"name": run._name, "logName": log_name, "offset": str(offset)}
    text = []
    begin = offset
    with run._client.stream("RunService", "ReadRunLog", request) as stream:
        for message in stream:
            data = base64.b64decode(message.get("data") or "")
            text.append(decoder.decode(data))
            offset += len(data)
            if offset - begin >= _MOST_LOG_BYTES:
                break
    return "".join(text), offset


def cluster_status(run: Any, target: str) -> Optional[Dict[str, Any]]:
    """`compute_target_status` of the widget's state; None when the run has no cluster (any more)."""
    cluster = run.experiment.workspace.compute_targets.get(target) if target not in ("", "local") else None
    if cluster is None:
        return None
    status = cluster.get_status().serialize()
    scale = status.get("scaleSettings") or {}
    return {
        "current_node_count": status.get("currentNodeCount"),
        "requested_node_count": status.get("targetNodeCount"),
        "node_state_counts": status.get("nodeStateCounts"),
        "provisioning_state": status.get("provisioningState"),
        "provisioning_errors": status.get("errors"),
        "vm_size": status.get("vmSize"),
        "scale_settings": {
            "autoScale": {
                "minimumNodeCount": scale.get("minNodeCount"),
                "maximumNodeCount": scale.get("maxNodeCount"),
                "initialNodeCount": 0,
            },
            "manual": None,
        },
    }
