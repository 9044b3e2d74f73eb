"""`DataPath`: a place in a datastore; with a `DataPathComputeBinding` it becomes a `DataReference`."""

import uuid
from typing import TYPE_CHECKING, Optional

from azureml._localaml.path_text import path_text
from azureml.data.data_reference import DataReference

if TYPE_CHECKING:
    from azureml.data.abstract_datastore import AbstractDatastore


class DataPathComputeBinding:
    """How a run gets a place: the mode, the path on the node, whether files are replaced."""

    def __init__(self, mode: str = "mount", path_on_compute: Optional[str] = None, overwrite: bool = False) -> None:
        self._mode = mode
        self._path_on_compute = path_text(path_on_compute)
        self._overwrite = overwrite

    @property
    def mode(self) -> str:
        """``mount``, ``download`` or ``upload``."""
        return self._mode

    @property
    def path_on_compute(self) -> Optional[str]:
        """Where it is to lie on the node."""
        return self._path_on_compute

    @property
    def overwrite(self) -> bool:
        """Whether existing files are replaced."""
        return self._overwrite

    def create_data_reference(self, data_reference_name: str, datapath: "DataPath") -> DataReference:
        """A reference to a place, got in this way."""
        return datapath.create_data_reference(data_reference_name, self)


class DataPath:
    """A place in a datastore.

    Args:
        datastore: the datastore.
        path_on_datastore: relative to its root.
        name: default: the datastore's name and 8 random hex digits.
    """

    def __init__(
        self,
        datastore: "Optional[AbstractDatastore]" = None,
        path_on_datastore: Optional[str] = None,
        name: Optional[str] = None,
    ) -> None:
        if datastore is None:
            raise ValueError("datastore is a required parameter")
        self._datastore = datastore
        self._path_on_datastore = path_text(path_on_datastore)
        self._name = name or "{}_{}".format(datastore.name, uuid.uuid4().hex[:8])

    @property
    def datastore_name(self) -> str:
        """The datastore's name."""
        return self._datastore.name

    @property
    def path_on_datastore(self) -> Optional[str]:
        """The path."""
        return self._path_on_datastore

    def create_data_reference(
        self,
        data_reference_name: Optional[str] = None,
        datapath_compute_binding: "Optional[DataPathComputeBinding]" = None,
    ) -> DataReference:
        """A reference to this place, got as the binding says."""
        if datapath_compute_binding is None:
            raise ValueError("datapath_compute_binding is a required parameter")
        return DataReference(
            self._datastore,
            data_reference_name,
            self._path_on_datastore,
            datapath_compute_binding.mode,
            datapath_compute_binding.path_on_compute,
            datapath_compute_binding.overwrite,
        )

    @staticmethod
    def create_from_data_reference(data_reference: DataReference) -> "DataPath":
        """The place that a reference means. Raises ValueError for anything else."""
        if not hasattr(data_reference, "path_on_datastore"):
            raise ValueError("A DataReference is needed, not {!r}.".format(data_reference))
        return DataPath(data_reference.datastore, data_reference.path_on_datastore)
