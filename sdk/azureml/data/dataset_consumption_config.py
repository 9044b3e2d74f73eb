"""`DatasetConsumptionConfig`: a dataset as an input of a run, by a name."""

import re
from typing import TYPE_CHECKING, Any, Dict, Optional

from azureml._localaml.path_text import path_text
from azureml._localaml.unsupported import unsupported
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.data.abstract_dataset import AbstractDataset

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODES = ("direct", "mount", "download")


class DatasetConsumptionConfig:
    """How a run gets a dataset. In the arguments of a run it stands for the path on the node, or for the dataset's id.

    Args:
        name: the input's; an environment variable of this name holds the path (or id), and
            `run.input_datasets[name]` gives it.
        dataset: a FileDataset or TabularDataset.
        mode: ``direct`` (the dataset itself), ``mount`` (read-only files) or ``download`` (copies).
        path_on_compute: where the files are to lie on the node.

    Raises:
        UserErrorException: not a good name, an unknown mode, or a table that is to be mounted.
    """

    def __init__(
        self, name: str, dataset: "AbstractDataset", mode: str = "direct", path_on_compute: Optional[str] = None
    ) -> None:
        from azureml.data.abstract_dataset import AbstractDataset

        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UserErrorException(
                'Invalid input name "{}". The name can only be alphanumeric characters and underscore, and must not '
                "begin with a number.".format(name)
            )
        if not isinstance(dataset, AbstractDataset):
            raise UserErrorException("An input is a FileDataset or a TabularDataset, not {!r}.".format(dataset))
        if str(mode).lower() == "hdfs":
            raise unsupported("the mode 'hdfs' of a dataset", "Use as_mount() or as_download().")
        if mode not in _MODES:
            raise UserErrorException("The mode of an input is {}, not {!r}.".format(" or ".join(_MODES), mode))
        if mode != "direct" and not dataset._is_file:
            raise UserErrorException(
                "{} does not support {}. Only FileDataset supports {}.".format(type(dataset).__name__, mode, mode)
            )
        path_on_compute = path_text(path_on_compute)
        if path_on_compute is not None and not isinstance(path_on_compute, str):
            raise UserErrorException("path_on_compute must be text, not {!r}.".format(path_on_compute))
        self.dataset = dataset
        self.mode = mode
        self.path_on_compute = path_on_compute
        self._name = name
        self.arg_val = "DatasetConsumptionConfig:{}".format(name)

    @property
    def name(self) -> str:
        """The input's name."""
        return self._name

    def as_mount(self, path_on_compute: Optional[str] = None) -> "DatasetConsumptionConfig":
        """The same input as a read-only folder with the dataset's files."""
        return DatasetConsumptionConfig(self._name, self.dataset, "mount", path_on_compute)

    def as_download(self, path_on_compute: Optional[str] = None) -> "DatasetConsumptionConfig":
        """The same input as copies of the dataset's files."""
        return DatasetConsumptionConfig(self._name, self.dataset, "download", path_on_compute)

    def as_hdfs(self) -> "DatasetConsumptionConfig":
        """Not supported."""
        raise unsupported("DatasetConsumptionConfig.as_hdfs", "Use as_mount() or as_download().")

    def _entry(self, dataset_id: str) -> Dict[str, Any]:
        """The entry of a run definition's `data`."""
        entry: Dict[str, Any] = {
            "dataLocation": {"dataset": {"id": dataset_id}},
            "mechanism": self.mode,
            "environmentVariableName": self._name,
        }
        if self.path_on_compute:
            entry["pathOnCompute"] = self.path_on_compute
        return entry

    def _is_same_as(self, other: Any) -> bool:
        return isinstance(other, DatasetConsumptionConfig) and (
            (self.dataset._definition, self.dataset._record_id, self.mode, self.path_on_compute)
            == (other.dataset._definition, other.dataset._record_id, other.mode, other.path_on_compute)
        )
