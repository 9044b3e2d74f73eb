"""Moves files between folders here and a datastore: what is there, what is to be replaced, what is the same."""

import os
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from azureml._localaml.progress import Display
from azureml._localaml.wire import integer
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml._localaml.client import Client

# Paths in one call for signed URLs, and the bytes behind them: the URLs must not end before the last file's turn.
_BATCH_PATHS = 1000
_BATCH_BYTES = 8 << 30


class _File(NamedTuple):
    """A file here and its path in the datastore. `compare`: both are there, with the same size."""

    local: str
    remote: str
    size: int
    compare: bool = False


class DatastoreFiles:
    """The files of one datastore.

    Args:
        name: the datastore's resource name.
    """

    def __init__(self, client: "Client", name: str) -> None:
        self._client = client
        self._name = name

    def upload(self, pairs: Sequence[Tuple[str, str]], target: str, overwrite: bool, show: bool) -> None:
        """Sends files.

        Args:
            pairs: paths here, and below `target`.
            overwrite: whether files that exist are replaced: those with another content are sent, the same ones not.
            show: print lines and progress.
        """
        files = []
        for local, relative in pairs:
            remote = relative.replace(os.sep, "/")
            files.append(_File(local, target + "/" + remote if target else remote, os.path.getsize(local)))
        display = Display("Upload", [file.size for file in files], show)
        display.line("Uploading an estimated of {} files".format(len(files)))
        try:
            for batch in _batches(files):
                self._upload_batch(batch, overwrite, display)
        finally:
            display.finish()

    def download(self, root: str, prefix: str, overwrite: bool, show: bool) -> int:
        """Fetches files into a folder.

        Args:
            prefix: only what lies below this path.
            overwrite: whether files that exist here are replaced: those with another content are fetched, the same
                ones not.
            show: print lines and progress.

        Returns:
            How many were fetched, or found to be the same.
        """
        files, existing = [], []
        for message in self._listing(prefix):
            local = os.path.join(root, *message["path"].split("/"))
            if os.path.commonpath([root, os.path.abspath(local)]) != root:
                raise UserErrorException(
                    "The path {!r} of the datastore leads out of {}.".format(message["path"], root)
                )
            size = integer(message, "sizeBytes")
            if not os.path.exists(local):
                files.append(_File(local, message["path"], size))
            elif overwrite:
                same_size = os.path.isfile(local) and os.path.getsize(local) == size
                files.append(_File(local, message["path"], size, same_size))
            else:
                existing.append(_File(local, message["path"], size))
        display = Display("Download", [file.size for file in files], show)
        for file in existing:
            display.line("Target already exists. Skipping download for {}".format(file.local))
        try:
            for batch in _batches(files):
                self._download_batch(batch, display)
        finally:
            display.finish()
        return display.count + display.unchanged

    def _upload_batch(self, batch: "List[_File]", overwrite: bool, display: Display) -> None:
        from azureml._localaml.transfer import Upload

        answer = self._ask("Upload", [file.remote for file in batch], overwrite=False)
        urls, existing = _by_path(answer), list(answer.get("existingPaths") or ())
        to_read: Dict[str, str] = {}
        if overwrite and existing:
            urls.update(_by_path(self._ask("Upload", existing, overwrite=True)))
            to_read = self._read_urls(existing)
        wanted = []
        for file in batch:
            if file.remote in urls:
                wanted.append(file)
            else:
                display.skipped(file.local, file.remote, file.size)
        uploads = [Upload(urls[file.remote], file.local, None, to_read.get(file.remote)) for file in wanted]
        self._client.transfer.upload_files(
            uploads, display.watcher([file.local for file in wanted], [file.size for file in wanted])
        )

    def _download_batch(self, batch: "List[_File]", display: Display) -> None:
        from azureml._localaml.transfer import Download

        urls = _by_path(self._ask("Download", [file.remote for file in batch]))
        downloads = [Download(urls[file.remote], file.local, True, file.compare) for file in batch]
        self._client.transfer.download_files(
            downloads, display.watcher([file.remote for file in batch], [file.size for file in batch])
        )

    def _read_urls(self, paths: List[str]) -> Dict[str, str]:
        from azureml.exceptions import AzureMLException

        try:
            return _by_path(self._ask("Download", paths))
        except AzureMLException as error:
            if getattr(error, "reason", "") != "FILE_NOT_FOUND":
                raise
            return {}  # one of them was removed just now: they are all sent

    def _ask(self, direction: str, paths: List[str], **more: Any) -> Dict[str, Any]:
        request = dict(more, name=self._name, paths=paths)
        return self._client.call("DatastoreService", "CreateDatastore{}Urls".format(direction), request)

    def _listing(self, prefix: str) -> Iterator[Dict[str, Any]]:
        request = {"name": self._name, "prefix": prefix}
        return self._client.pages("DatastoreService", "ListDatastoreFiles", request, "files")


def _by_path(answer: Dict[str, Any]) -> Dict[str, str]:
    return {url["path"]: url["url"] for url in answer.get("urls") or ()}


def _batches(files: "Sequence[_File]") -> "Iterator[List[_File]]":
    batch: List[_File] = []
    size = 0
    for file in files:
        if batch and (len(batch) == _BATCH_PATHS or size + file.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch
