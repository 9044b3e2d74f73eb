"""What `Run.get_details` returns."""

from typing import Any, Dict, Iterable, List, Mapping, Optional

from azureml._localaml.labels import read_labels
from azureml._localaml.wire import iso_time
from azureml._run_impl.states import TERMINAL, state_of


class Details(Dict[str, Any]):
    """A run's details: a dict, as Azure returns it, whose keys are attributes, too (`run.get_details().status`)."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                "A run's details have no {!r}; they have {}.".format(name, ", ".join(sorted(self)))
            ) from None

    def __dir__(self) -> Iterable[str]:
        return list(super().__dir__()) + list(self)


def run_details(run: Mapping[str, Any], log_urls: Mapping[str, str], workspace: Any = None) -> "Details":
    """The details of a Run message.

    Args:
        log_urls: log name -> URL.
        workspace: the run's; its input datasets are looked up there.
    """
    status = state_of(run)
    details = Details(runId=run.get("runId"), target=run.get("target") or None, status=status)
    if run.get("startTime"):
        details["startTimeUtc"] = iso_time(run, "startTime")
    if run.get("endTime"):
        details["endTimeUtc"] = iso_time(run, "endTime")
    warnings = [
        {"source": item.get("code", ""), "message": item.get("message", "")} for item in run.get("warnings") or ()
    ]
    if warnings:
        details["warnings"] = warnings
    error = error_of(run)
    if error:
        details["error"] = error
    details["properties"] = run_properties(run)
    data = (run.get("definition") or {}).get("data")
    details["inputDatasets"] = _input_details(workspace, data) if data and workspace is not None else []
    details["outputDatasets"] = []
    if run.get("definition"):
        from azureml._run_impl.definition import shown_definition

        details["runDefinition"] = shown_definition(run["definition"])
    details["logFiles"] = dict(log_urls)
    return details


def _input_details(workspace: Any, data: Mapping[str, Any]) -> List[Dict[str, Any]]:
    from azureml._run_impl.dataset_inputs import input_details

    return input_details(workspace, data)


def run_properties(run: Mapping[str, Any]) -> Dict[str, Optional[str]]:
    """A run's properties, with those that Azure's service sets on a run of a snapshot."""
    properties = read_labels(run.get("properties"))
    if run.get("submitted"):
        properties.setdefault("azureml.runsource", "experiment")
    if run.get("snapshotId"):
        properties.setdefault("ContentSnapshotId", run["snapshotId"])
    return properties


def error_of(run: Mapping[str, Any]) -> Dict[str, Any]:
    """The error of a run in the shape of Azure's error body; empty when it has none."""
    error = run.get("error")
    if not error and state_of(run) == "Failed":
        error = {"code": "RUN_FAILED", "message": "The run failed and left no reason."}
    if not error:
        return {}
    body: Dict[str, Any] = {"code": error.get("code", ""), "message": error.get("message", ""), "details": []}
    if error.get("metadata"):
        body["metadata"] = dict(error["metadata"])
    result: Dict[str, Any] = {"error": body}
    if state_of(run) in TERMINAL:
        result["time"] = iso_time(run, "endTime")
    return result
