"""The run of a process that belongs to none: what would be logged is printed, so that a script can be tried
anywhere."""

import uuid
from typing import Any, Dict, List, Optional

from azureml._localaml.labels import read_labels, text_map


class _OfflineRun:
    """Has the methods of `Run` that scripts use. It has no `experiment`: scripts tell by that whether they run in a
    job."""

    def __init__(self) -> None:
        self._id = "OfflineRun_{}".format(uuid.uuid4())
        self._tags: Dict[str, Optional[str]] = {}
        self._properties: Dict[str, Optional[str]] = {}

    @property
    def id(self) -> str:
        """``OfflineRun_<guid>``."""
        return self._id

    @property
    def run_id(self) -> str:
        """The same as `id`."""
        return self._id

    @property
    def name(self) -> str:
        """The same as `id`."""
        return self._id

    @property
    def type(self) -> Optional[str]:
        """None."""
        return None

    @property
    def number(self) -> int:
        """0."""
        return 0

    @property
    def parent(self) -> None:
        """None."""
        return None

    @property
    def status(self) -> str:
        """``Running``."""
        return "Running"

    def get_status(self) -> str:
        """``Running``."""
        return self.status

    # Metrics

    def log(self, name: str, value: Any, description: Optional[str] = "", step: Optional[int] = None) -> None:
        """Prints the metric."""
        _attempted("scalar", name, value)

    def log_list(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Prints the metric."""
        _attempted("list", name, value)

    def log_row(self, name: str, description: Optional[str] = None, **kwargs: Any) -> None:
        """Prints the metric."""
        _attempted("row", name, kwargs)

    def log_table(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Prints the metric."""
        _attempted("table", name, value)

    def log_confusion_matrix(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Prints the metric."""
        _attempted("confusion_matrix", name, value)

    def log_accuracy_table(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Prints the metric."""
        _attempted("accuracy_table", name, value)

    def log_residuals(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Prints the metric."""
        _attempted("residual", name, value)

    def log_predictions(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Prints the metric."""
        _attempted("predictions", name, value)

    def log_image(
        self, name: str, path: Optional[str] = None, plot: Any = None, description: Optional[str] = ""
    ) -> None:
        """Prints the metric."""
        _attempted("image", name, path if path is not None else plot)

    def get_metrics(self, *args: Any, **kwargs: Any) -> Dict[str, Any]:
        """Nothing is kept: empty."""
        return {}

    def flush(self, timeout_seconds: float = 300) -> None:
        """Nothing to send."""

    # Files

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: Optional[str] = None) -> None:
        """Prints what would be uploaded."""
        _print("Attempted to track file {} at {}", name, path_or_stream)

    def upload_files(self, names: Any, paths: Any, *args: Any, **kwargs: Any) -> None:
        """Prints what would be uploaded."""
        _print("Attempted to track files {} at {}", names, paths)

    def upload_folder(self, name: str, path: str, datastore_name: Optional[str] = None) -> None:
        """Prints what would be uploaded."""
        _print("Attempted to track folder {} at {}", name, path)

    def get_file_names(self) -> List[str]:
        """Nothing is kept: empty."""
        return []

    def register_model(self, model_name: str, model_path: Optional[str] = None, **kwargs: Any) -> None:
        """Prints what would be registered."""
        _print("Attempted to register model {} from {}", model_name, model_path)

    def take_snapshot(self, file_or_folder_path: str) -> None:
        """Prints what would be packed."""
        _print("Attempted to take a snapshot of {}", file_or_folder_path)

    # Tags and properties: kept in this object

    def tag(self, key: str, value: Optional[str] = None) -> None:
        """Sets a tag of this object, and prints it."""
        _print("Attempted to add tag {} with value {}", key, value)
        self.set_tags({key: value})

    def set_tags(self, tags: Dict[str, Any]) -> None:
        """Sets tags of this object."""
        self._tags.update(read_labels(text_map(tags, "tags")))

    def remove_tags(self, tags: Any) -> None:
        """Removes tags of this object."""
        for key in [tags] if isinstance(tags, str) else tags:
            self._tags.pop(key, None)

    @property
    def tags(self) -> Dict[str, Optional[str]]:
        """The tags of this object."""
        return dict(self._tags)

    def get_tags(self) -> Dict[str, Optional[str]]:
        """The tags of this object."""
        return self.tags

    def add_properties(self, properties: Dict[str, Any]) -> None:
        """Adds properties to this object, and prints them."""
        _print("Attempted to add properties {}", properties)
        self._properties.update(read_labels(text_map(properties, "properties")))

    @property
    def properties(self) -> Dict[str, Optional[str]]:
        """The properties of this object."""
        return dict(self._properties)

    def get_properties(self) -> Dict[str, Optional[str]]:
        """The properties of this object."""
        return self.properties

    # Its life

    def start(self) -> None:
        """Nothing to do."""

    def complete(self, _set_status: bool = True) -> None:
        """Nothing to do."""

    def fail(self, error_details: Any = None, error_code: Optional[str] = None, _set_status: bool = True) -> None:
        """Prints what the run failed with."""
        _print("Run failed with error code {}:\n{}", error_code, error_details)

    def cancel(self) -> None:
        """Nothing to do."""

    def child_run(
        self, name: Optional[str] = None, run_id: Optional[str] = None, outputs: Optional[str] = None
    ) -> "_OfflineRun":
        """Another offline run."""
        return _OfflineRun()

    def create_children(
        self, count: Optional[int] = None, tag_key: Optional[str] = None, tag_values: Any = None
    ) -> "List[_OfflineRun]":
        """Other offline runs."""
        return [_OfflineRun() for _ in (range(count or 0) if tag_values is None else tag_values)]

    def get_children(self, *args: Any, **kwargs: Any) -> "List[_OfflineRun]":
        """None are known: empty."""
        return []

    def __enter__(self) -> "_OfflineRun":
        return self

    def __exit__(self, exit_type: Any, value: Any, traceback: Any) -> None:
        return None

    def __str__(self) -> str:
        return "Run(Id: {}, offline)".format(self._id)

    __repr__ = __str__


def _attempted(kind: str, name: str, value: Any) -> None:
    _print("Attempted to log {} metric {}:\n{}", kind, name, value)


def _print(template: str, *values: Any) -> None:
    print(template.format(*values))


# The class has the name that it has in Azure's SDK: scripts compare `type(run).__name__` with it.
OfflineRun = _OfflineRun
