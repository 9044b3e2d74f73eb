"""Datasets as inputs of runs: from what users give to the `data` of a run definition, and back."""

import os
from typing import Any, Callable, Dict, Iterator, List, Mapping

from azureml._localaml.unsupported import unsupported

# Input name -> DatasetConsumptionConfig, or `Data` of a run configuration.
Inputs = Dict[str, Any]
SaveDataset = Callable[[Any], str]
_MECHANISMS = ("direct", "mount", "download")


def is_dataset_input(value: Any) -> bool:
    """Whether it is a DatasetConsumptionConfig."""
    return hasattr(value, "arg_val") and hasattr(value, "dataset")


def is_dataset(value: Any) -> bool:
    """Whether it is a dataset that has no input name yet."""
    return hasattr(value, "as_named_input") and hasattr(value, "get_by_name")


def add_input(value: Any, inputs: "Inputs") -> str:
    """Notes an input under its name; returns what stands for it in arguments.

    Raises UserErrorException when another input has the name.
    """
    from azureml.exceptions import UserErrorException

    known = inputs.get(value.name)
    if known is not None and known is not value and not value._is_same_as(known):
        raise UserErrorException(
            "Two dataset inputs are named {!r} but mean different datasets or modes. Give one of them another "
            "name.".format(value.name)
        )
    inputs[value.name] = value
    return str(value.arg_val)


def not_saved(dataset: Any) -> str:
    """Where no workspace is known: only the id of a dataset that has one."""
    from azureml.exceptions import UserErrorException

    if not dataset.id:
        raise UserErrorException("The dataset is not stored in a workspace yet: register it first.")
    return str(dataset.id)


def data_entries(inputs: "Inputs", save: "SaveDataset") -> Dict[str, Any]:
    """The `data` of a run definition.

    Args:
        save: stores a dataset in the run's workspace; returns its id.
    """
    return {name: _entry(name, value, save) for name, value in inputs.items()}


def _entry(name: str, value: Any, save: "SaveDataset") -> Dict[str, Any]:
    from azureml.exceptions import UserErrorException

    if is_dataset_input(value):
        if value.name != name:
            raise UserErrorException("The input {!r} is called {!r} in the run configuration.".format(value.name, name))
        return dict(value._entry(save(value.dataset)))
    location = _get(_get(value, "data_location"), "dataset")
    if location is None:
        raise UserErrorException(
            "The input {!r} of the run configuration names no dataset: use Data.create(dataset.as_named_input("
            "...)).".format(name)
        )
    for field in ("options", "create_output_directories"):
        if _get(value, field):
            raise unsupported("{} of the input {!r}".format(field, name))
    mechanism = str(_get(value, "mechanism") or "direct").lower()
    if mechanism not in _MECHANISMS:
        raise UserErrorException(
            "The input {!r} has the mechanism {!r}; use {}.".format(name, mechanism, ", ".join(_MECHANISMS))
        )
    dataset = {key: str(_get(location, key)) for key in ("id", "name", "version") if _get(location, key)}
    entry: Dict[str, Any] = {"dataLocation": {"dataset": dataset}, "mechanism": mechanism}
    for key, field in (("environmentVariableName", "environment_variable_name"), ("pathOnCompute", "path_on_compute")):
        if _get(value, field):
            entry[key] = str(_get(value, field))
    if _get(value, "overwrite"):
        entry["overwrite"] = True
    return entry


def _get(value: Any, field: str) -> Any:
    """A field of an element of a run configuration, or of the mapping that a file had."""
    if isinstance(value, Mapping):
        head, *tail = field.split("_")
        camel = head + "".join(part.capitalize() for part in tail)
        return value.get(field, value.get(camel))
    return getattr(value, field, None)


def create_data(value: Any) -> Any:
    """`Data.create`: the entry of a run configuration for an input."""
    from azureml.core.runconfig import Data
    from azureml.exceptions import UserErrorException

    if not is_dataset_input(value):
        raise UserErrorException(
            "Data.create takes a DatasetConsumptionConfig (dataset.as_named_input(...)), not {}.".format(
                type(value).__name__
            )
        )
    workspace = value.dataset._workspace
    if workspace is None:
        raise UserErrorException(
            "The dataset of the input {!r} belongs to no workspace yet: register it first, or pass it as an argument "
            "of the run.".format(value.name)
        )
    entry = value._entry(value.dataset._saved_id(workspace))
    return Data(entry["dataLocation"], None, entry["mechanism"], value.name, value.path_on_compute)


class InputDatasets(Mapping[str, Any]):
    """A run's input datasets by name. In the run's own job a mounted or downloaded one is its path, else the dataset.

    Args:
        entries: the `data` of the run's definition.
        in_job: whether this process belongs to the run.
    """

    def __init__(self, workspace: Any, entries: Mapping[str, Any], in_job: bool) -> None:
        self._workspace = workspace
        self._entries = dict(entries)
        self._in_job = in_job
        self._known: Dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._entries:
            raise KeyError(
                "The run has no input dataset {!r}. {}".format(
                    name, "It has: {}.".format(", ".join(sorted(self._entries))) if self._entries else "It has none."
                )
            )
        if name not in self._known:
            self._known[name] = self._value(self._entries[name], name)
        return self._known[name]

    def _value(self, entry: Mapping[str, Any], name: str) -> Any:
        if self._in_job and str(entry.get("mechanism") or "direct").lower() != "direct":
            path = os.environ.get("AZURE_ML_INPUT_{}".format(name))
            if path:
                return path
        return dataset_of(self._workspace, entry)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


def dataset_of(workspace: Any, entry: Mapping[str, Any]) -> Any:
    """The dataset of an entry of a run definition."""
    from azureml.core.dataset import Dataset

    return Dataset.get_by_id(workspace, entry["dataLocation"]["dataset"]["id"])


def input_details(workspace: Any, entries: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What `Run.get_details` says of the input datasets."""
    return [
        {
            "dataset": dataset_of(workspace, entry),
            "consumptionDetails": {
                "type": "RunInput",
                "inputName": name,
                "mechanism": str(entry.get("mechanism") or "direct").capitalize(),
                "pathOnCompute": entry.get("pathOnCompute"),
            },
        }
        for name, entry in sorted(entries.items())
    ]


def shown_data(entries: Mapping[str, Any]) -> Dict[str, Any]:
    """The `data` of a run definition as `Run.get_details` shows it."""
    return {name: _shown(entry) for name, entry in sorted(entries.items())}


def _shown(entry: Mapping[str, Any]) -> Dict[str, Any]:
    dataset = (entry.get("dataLocation") or {}).get("dataset") or {}
    return {
        "dataLocation": {
            "dataset": {"id": dataset.get("id"), "name": dataset.get("name"), "version": dataset.get("version")}
        },
        "mechanism": str(entry.get("mechanism") or "direct").capitalize(),
        "environmentVariableName": entry.get("environmentVariableName"),
        "pathOnCompute": entry.get("pathOnCompute"),
        "overwrite": entry.get("overwrite", False),
    }
