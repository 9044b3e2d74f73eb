"""`DataReference`: a place in a datastore, and how a run gets it."""

import uuid
from typing import TYPE_CHECKING, Optional

from azureml._localaml.path_text import path_text
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core.runconfig import DataReferenceConfiguration
    from azureml.data.abstract_datastore import AbstractDatastore
    from azureml.data.datapath import DataPath, DataPathComputeBinding

_MODES = ("mount", "download", "upload")


class DataReference:
    """A place in a datastore. In the arguments of a run it stands for the place's path on the node.

    Args:
        datastore: the datastore.
        data_reference_name: default: the datastore's name, or 32 random hex digits when there is a path.
        path_on_datastore: relative to the datastore's root; all of it when None.
        mode: ``mount`` (shared, writes are seen in the datastore), ``download`` (copied before the run) or ``upload``
            (copied back after it).
        path_on_compute: where it is to lie on the node.
        overwrite: whether existing files are replaced.

    Raises:
        UserErrorException: an unknown mode, or no datastore.
    """

    def __init__(
        self,
        datastore: "AbstractDatastore",
        data_reference_name: Optional[str] = None,
        path_on_datastore: Optional[str] = None,
        mode: str = "mount",
        path_on_compute: Optional[str] = None,
        overwrite: bool = False,
    ) -> None:
        if not isinstance(getattr(datastore, "name", None), str):
            raise UserErrorException("A DataReference needs a datastore, not {!r}.".format(datastore))
        if mode not in _MODES:
            raise UserErrorException("The mode of a data reference is {}, not {!r}.".format(" or ".join(_MODES), mode))
        self.datastore = datastore
        self.path_on_datastore = path_text(path_on_datastore)
        self.data_reference_name = data_reference_name or _default_name(datastore.name, self.path_on_datastore)
        self.mode = mode
        self.path_on_compute = path_text(path_on_compute)
        self.overwrite = overwrite

    def path(self, path: Optional[str] = None, data_reference_name: Optional[str] = None) -> "DataReference":
        """A reference to a place below this one."""
        given = (self.path_on_datastore, path_text(path))
        parts = [part.strip("/") for part in given if part and part.strip("/") not in ("", ".")]
        return DataReference(self.datastore, data_reference_name, "/".join(parts) or None)

    def as_mount(self) -> "DataReference":
        """The same place, mounted."""
        return self._copy("mount")

    def as_download(self, path_on_compute: Optional[str] = None, overwrite: bool = False) -> "DataReference":
        """The same place, copied to the node before the run."""
        return self._copy("download", path_on_compute, overwrite)

    def as_upload(self, path_on_compute: Optional[str] = None, overwrite: bool = False) -> "DataReference":
        """The same place, filled from the node after the run."""
        return self._copy("upload", path_on_compute, overwrite)

    def to_config(self) -> "DataReferenceConfiguration":
        """The form that a run configuration holds under `data_references[data_reference_name]`."""
        from azureml.core.runconfig import DataReferenceConfiguration

        return DataReferenceConfiguration(
            self.datastore.name, self.mode, self.path_on_datastore, self.path_on_compute, self.overwrite
        )

    @staticmethod
    def create(
        data_reference_name: Optional[str] = None,
        datapath: "Optional[DataPath]" = None,
        datapath_compute_binding: "Optional[DataPathComputeBinding]" = None,
    ) -> "DataReference":
        """Puts a `DataPath` and a `DataPathComputeBinding` together."""
        if datapath is None:
            raise ValueError("datapath is a required parameter")
        return datapath.create_data_reference(data_reference_name, datapath_compute_binding)

    def _copy(self, mode: str, path_on_compute: Optional[str] = None, overwrite: bool = False) -> "DataReference":
        return DataReference(
            self.datastore, self.data_reference_name, self.path_on_datastore, mode, path_on_compute, overwrite
        )

    def __str__(self) -> str:
        return "$AZUREML_DATAREFERENCE_{}".format(self.data_reference_name)

    __repr__ = __str__


def _default_name(datastore_name: str, path: Optional[str]) -> str:
    return uuid.uuid4().hex if path and path.strip("/") not in ("", ".") else datastore_name
