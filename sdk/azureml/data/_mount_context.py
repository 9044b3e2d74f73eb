"""What `FileDataset.mount` gives: a folder with the dataset's files for as long as a `with` statement lasts."""

import os
import shutil
import tempfile
from typing import Any, List, Optional

from azureml.exceptions import UserErrorException


class MountContext:
    """A read-only folder with copies of a dataset's files.

    Args:
        mount_point: a folder that is empty or does not exist yet; a temporary one when None.
    """

    def __init__(self, dataset: Any, mount_point: Optional[str] = None) -> None:
        self._dataset = dataset
        self._given = mount_point
        self._mount_point = os.path.abspath(os.path.expanduser(mount_point)) if mount_point else ""
        self._made: List[str] = []

    @property
    def mount_point(self) -> str:
        """The folder's path."""
        if not self._mount_point:
            self._mount_point = os.path.join(tempfile.gettempdir(), "localaml-mount-{}".format(os.urandom(8).hex()))
        return self._mount_point

    def start(self) -> None:
        """Makes the folder and fills it. Raises UserErrorException when something is in it already."""
        folder = self.mount_point
        if self._made:
            raise UserErrorException("The dataset is mounted at {} already.".format(folder))
        if os.path.lexists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
            raise UserErrorException("The mount point {} must be an empty folder, or not exist.".format(folder))
        existed = os.path.isdir(folder)
        os.makedirs(folder, exist_ok=True)
        self._made = ["" if existed else folder]
        try:
            for path in self._dataset.download(folder, overwrite=False):
                os.chmod(path, 0o400)
        except BaseException:
            self.stop()
            raise
        for current, _, _ in os.walk(folder, topdown=False):
            os.chmod(current, 0o500)

    def stop(self) -> None:
        """Takes the files away again. Idempotent."""
        if not self._made:
            return
        folder, made = self.mount_point, self._made[0]
        self._made = []
        os.chmod(folder, 0o700)
        for current, folders, _ in os.walk(folder):
            for name in folders:
                os.chmod(os.path.join(current, name), 0o700)
        if made:
            shutil.rmtree(folder, ignore_errors=True)
            return
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)

    def __enter__(self) -> "MountContext":
        self.start()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.stop()
