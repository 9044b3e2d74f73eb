"""`FileDataset`: files of datastores or of the web that belong together."""

import shutil
import tempfile
import uuid
from typing import Any, Dict, List, Optional, Tuple

from azureml._localaml.unsupported import unsupported
from azureml.data._dataset_files import fetch, files_of
from azureml.data._mount_context import MountContext
from azureml.data.abstract_dataset import AbstractDataset, chance, count
from azureml.data.dataset_consumption_config import DatasetConsumptionConfig
from azureml.exceptions import UserErrorException


class FileDataset(AbstractDataset):
    """Files. Made by `Dataset.File.from_files`."""

    _is_file = True

    # -- getting at the files -----------------------------------------------------------------------------------------

    def to_path(self) -> List[str]:
        """Where the files are in a mount or download of the dataset, each beginning with `/`."""
        return ["/" + file.path for file in files_of(self._definition, self._workspace)]

    def download(
        self, target_path: Optional[str] = None, overwrite: bool = False, ignore_not_found: bool = False
    ) -> List[str]:
        """Copies the files into a folder; returns their paths.

        Args:
            target_path: the folder; when None a new one below the system's folder for temporary files. It stays, also
                when the program has ended: the files are what was asked for.
            overwrite: whether files that exist are replaced.
            ignore_not_found: give nothing instead of an error when nothing is at the dataset's paths.

        Raises:
            UserErrorException: a file exists already, or there is nothing to copy.
        """
        try:
            files = files_of(self._definition, self._workspace)
        except UserErrorException as error:
            if ignore_not_found and getattr(error, "reason", "") == "DATA_NOT_FOUND":
                return []
            raise
        if target_path:
            return fetch(files, target_path, self._workspace, overwrite)
        folder = tempfile.mkdtemp(prefix="localaml-dataset-")
        try:
            return fetch(files, folder, self._workspace, overwrite)
        except BaseException:
            # Nobody was told of it.
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def mount(self, mount_point: Optional[str] = None, **kwargs: Any) -> MountContext:
        """A context manager: a read-only folder (`.mount_point`) with the files.

        Args:
            mount_point: an empty folder, or one to be made; a temporary one when None.
        """
        if kwargs:
            raise unsupported("FileDataset.mount({}=...)".format(sorted(kwargs)[0]))
        return MountContext(self, mount_point)

    # -- as an input of a run -----------------------------------------------------------------------------------------

    def as_mount(self, path_on_compute: Optional[str] = None) -> DatasetConsumptionConfig:
        """The dataset as a read-only folder on the node. Give the input a name with `as_named_input`."""
        return self._unnamed_input().as_mount(path_on_compute)

    def as_download(self, path_on_compute: Optional[str] = None) -> DatasetConsumptionConfig:
        """The dataset as copies on the node."""
        return self._unnamed_input().as_download(path_on_compute)

    def as_hdfs(self) -> DatasetConsumptionConfig:
        """Not supported."""
        raise unsupported("FileDataset.as_hdfs", "Use as_mount() or as_download().")

    def as_cache(self, datacache_store: Any) -> Any:
        """Not supported."""
        raise unsupported("FileDataset.as_cache", "Use as_mount() or as_download().")

    def hydrate(self, datacache_store: Any, replica_count: Optional[int] = None) -> Any:
        """Not supported."""
        raise unsupported("FileDataset.hydrate")

    # -- choosing among the files -------------------------------------------------------------------------------------

    def take(self, count: int) -> "FileDataset":
        """The first so many files."""
        return self._chosen({"take": str(_count(count))})

    def skip(self, count: int) -> "FileDataset":
        """All files but the first so many."""
        return self._chosen({"skip": str(_count(count))})

    def take_sample(self, probability: float, seed: Optional[int] = None) -> "FileDataset":
        """Each file with a probability. The same seed gives the same files."""
        return self._chosen(_sample(chance(probability, "probability", seed)))

    def random_split(self, percentage: float, seed: Optional[int] = None) -> "Tuple[FileDataset, FileDataset]":
        """Two datasets: each file is in the first with this probability (0 to 1), else in the second."""
        first = chance(percentage, "percentage", seed)
        return self._chosen(_sample(first)), self._chosen(_sample(dict(first, complement=True)))

    def filter(self, expression: Any) -> "FileDataset":
        """Not supported."""
        raise unsupported("FileDataset.filter", "Use patterns in from_files.")

    def file_metadata(self, col: str) -> Any:
        """Not supported."""
        raise unsupported("FileDataset.file_metadata")

    # -- inside -------------------------------------------------------------------------------------------------------

    def _chosen(self, selection: Dict[str, Any]) -> "FileDataset":
        selections = [*self._definition.get("selections", ()), selection]
        return FileDataset._new(dict(self._definition, selections=selections), self._workspace)

    def _unnamed_input(self) -> DatasetConsumptionConfig:
        return self.as_named_input("input__{}".format(uuid.uuid4().hex[:8]))

    def _shown_steps(self) -> List[str]:
        return ["GetFiles"] + [
            "{}({})".format(kind.capitalize(), value)
            for selection in self._definition.get("selections") or ()
            for kind, value in selection.items()
        ]


# The parameters above are called as in Azure's SDK.
_count = count


def _sample(values: Dict[str, Any]) -> Dict[str, Any]:
    return {"sample": dict(values, seed=str(values["seed"]))}
