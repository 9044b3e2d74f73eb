"""Datastores that are containers of files: blob containers and file shares."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from azureml._localaml.unsupported import unsupported
from azureml._localaml.wire import integer
from azureml.data.abstract_datastore import AbstractDatastore
from azureml.data.data_reference import DataReference
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace

_log = logging.getLogger(__name__)

# Paths in one call for signed URLs, and the bytes behind them: the URLs must not end before the last file's turn.
_BATCH_PATHS = 1000
_BATCH_BYTES = 8 << 30


class _File(NamedTuple):
    """A file here and its path in the datastore."""

    local: str
    remote: str
    size: int


class AbstractAzureStorageDatastore(AbstractDatastore):
    """A datastore with files.

    Attributes:
        container_name: the blob container or file share.
        account_name: the storage account.
        sas_token, account_key: as given by the caller; the emulator never tells them.
        credential_type: ``AccountKey``, ``Sas`` or None.
        protocol, endpoint: as registered.
    """

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        datastore_type: str,
        container_name: str,
        account_name: str,
        sas_token: Optional[str] = None,
        account_key: Optional[str] = None,
        protocol: Optional[str] = None,
        endpoint: Optional[str] = None,
    ) -> None:
        super().__init__(workspace, name, datastore_type)
        self.container_name = container_name
        self.account_name = account_name
        self.sas_token = sas_token
        self.account_key = account_key
        self.credential_type: Optional[str] = "Sas" if sas_token else "AccountKey" if account_key else None
        self.protocol = protocol
        self.endpoint = endpoint

    @property
    def is_sas(self) -> bool:
        """Whether it was registered with a SAS token."""
        return self.credential_type == "Sas"

    def path(self, path: Optional[str] = None, data_reference_name: Optional[str] = None) -> DataReference:
        """A reference to a place in it, to be mounted unless said otherwise (`.as_download()`, `.as_upload()`)."""
        return DataReference(self, data_reference_name, path)

    def as_mount(self) -> DataReference:
        """A reference to all of it: a shared folder on the nodes, writes are seen in the datastore."""
        _warn_deprecated("as_mount")
        return DataReference(self).as_mount()

    def as_download(self, path_on_compute: Optional[str] = None) -> DataReference:
        """A reference to all of it: copied to the node before the run."""
        _warn_deprecated("as_download")
        return DataReference(self).as_download(path_on_compute)

    def as_upload(self, path_on_compute: Optional[str] = None) -> DataReference:
        """A reference to all of it: filled from the node after the run."""
        _warn_deprecated("as_upload")
        return DataReference(self).as_upload(path_on_compute)

    def upload(
        self, src_dir: str, target_path: Optional[str] = None, overwrite: bool = False, show_progress: bool = True
    ) -> DataReference:
        """Copies all files below a folder into the datastore.

        Args:
            src_dir: the folder.
            target_path: where they go; the datastore's root when None.
            overwrite: whether files that exist there are replaced; else they are left.
            show_progress: print a line per file.

        Returns:
            A reference to `target_path`.

        Raises:
            UserErrorException: no such folder, or the emulator has no data behind this datastore.
        """
        _warn_deprecated("upload")
        folder = os.path.expanduser(os.fspath(src_dir))
        if not os.path.isdir(folder):
            hint = " It is a file: use upload_files." if os.path.isfile(folder) else ""
            raise UserErrorException("The folder {} to upload does not exist.{}".format(folder, hint))
        files = []
        for here, folders, names in os.walk(folder):
            folders.sort()
            files += [os.path.join(here, name) for name in sorted(names)]
        return self._upload(
            [(file, os.path.relpath(file, folder)) for file in files], target_path, overwrite, show_progress
        )

    def upload_files(
        self,
        files: Sequence[str],
        relative_root: Optional[str] = None,
        target_path: Optional[str] = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> DataReference:
        """Copies files into the datastore.

        Args:
            files: their paths.
            relative_root: the part of their paths that is left out; default: what they have in common.
            target_path, overwrite, show_progress: as for `upload`.

        Returns:
            A reference to `target_path`.

        Raises:
            UserErrorException: a file does not exist or is not below `relative_root`.
        """
        _warn_deprecated("upload_files")
        if isinstance(files, (str, bytes)):
            raise UserErrorException("files must be a list of paths, not one path.")
        paths = [os.path.expanduser(os.fspath(file)) for file in files]
        for path in paths:
            if not os.path.isfile(path):
                raise UserErrorException("The file {} to upload does not exist.".format(path))
        if relative_root is None:
            folders = [os.path.dirname(os.path.abspath(path)) for path in paths]
            root = os.path.commonpath(folders) if folders else os.getcwd()
        else:
            root = os.path.abspath(os.path.expanduser(os.fspath(relative_root)))
        pairs = [(path, os.path.relpath(os.path.abspath(path), root)) for path in paths]
        for path, relative in pairs:
            if relative.split(os.sep)[0] == os.pardir:
                raise UserErrorException("The file {} is not below relative_root {}.".format(path, root))
        return self._upload(pairs, target_path, overwrite, show_progress)

    def download(
        self, target_path: str, prefix: Optional[str] = None, overwrite: bool = False, show_progress: bool = True
    ) -> int:
        """Copies files from the datastore into a folder, with their paths in the datastore.

        Args:
            target_path: the folder; made when missing.
            prefix: only what lies below this path.
            overwrite: whether files that exist here are replaced; else they are left.
            show_progress: print a line per file.

        Returns:
            The number of files that were copied.
        """
        root = os.path.abspath(os.path.expanduser(os.fspath(target_path)))
        wanted: List[_File] = []
        for message in self._client_pages(prefix):
            local = os.path.join(root, *message["path"].split("/"))
            if os.path.commonpath([root, os.path.abspath(local)]) != root:
                raise UserErrorException(
                    "The path {!r} of the datastore leads out of {}.".format(message["path"], root)
                )
            if os.path.exists(local) and not overwrite:
                if show_progress:
                    print("Target already exists. Skipping download for {}".format(local))
                continue
            wanted.append(_File(local, message["path"], integer(message, "sizeBytes")))
        progress = _Progress("Download", len(wanted), show_progress)
        for batch in _batches(wanted):
            from azureml._localaml.transfer import Download

            request = {"name": self._resource_name, "paths": [file.remote for file in batch]}
            answer = self._workspace._client.call("DatastoreService", "CreateDatastoreDownloadUrls", request)
            urls = {url["path"]: url["url"] for url in answer.get("urls") or ()}
            self._workspace._client.transfer.download_files(
                [Download(urls[file.remote], file.local) for file in batch],
                *progress.callbacks([f.remote for f in batch]),
            )
        progress.finish()
        return progress.count

    @property
    def blob_service(self) -> Any:
        """Not supported: Azure's storage client."""
        raise unsupported("datastore.blob_service")

    @property
    def file_service(self) -> Any:
        """Not supported: Azure's storage client."""
        raise unsupported("datastore.file_service")

    def _upload(
        self, pairs: Sequence[Tuple[str, str]], target_path: Optional[str], overwrite: bool, show_progress: bool
    ) -> DataReference:
        from azureml._localaml.transfer import Upload

        target = _clean(target_path)
        files = []
        for local, relative in pairs:
            remote = relative.replace(os.sep, "/")
            files.append(_File(local, target + "/" + remote if target else remote, os.path.getsize(local)))
        progress = _Progress("Upload", len(files), show_progress)
        for batch in _batches(files):
            request = {"name": self._resource_name, "paths": [file.remote for file in batch], "overwrite": overwrite}
            answer = self._workspace._client.call("DatastoreService", "CreateDatastoreUploadUrls", request)
            urls = {url["path"]: url["url"] for url in answer.get("urls") or ()}
            for path in answer.get("existingPaths") or ():
                if show_progress:
                    print("Target already exists. Skipping upload for {}".format(path))
            batch = [file for file in batch if file.remote in urls]
            self._workspace._client.transfer.upload_files(
                [Upload(urls[file.remote], file.local) for file in batch], *progress.callbacks([f.local for f in batch])
            )
        progress.finish()
        return DataReference(self, path_on_datastore=target or None)

    def _client_pages(self, prefix: Optional[str]) -> Iterator[Dict[str, Any]]:
        request = {"name": self._resource_name, "prefix": _clean(prefix)}
        return self._workspace._client.pages("DatastoreService", "ListDatastoreFiles", request, "files")

    def _as_dict(self) -> Dict[str, Any]:
        return {
            "name": self._name,
            "container_name": self.container_name,
            "account_name": self.account_name,
            "protocol": self.protocol,
            "endpoint": self.endpoint,
        }


class AzureBlobDatastore(AbstractAzureStorageDatastore):
    """A blob container."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        container_name: str,
        account_name: str,
        sas_token: Optional[str] = None,
        account_key: Optional[str] = None,
        protocol: Optional[str] = None,
        endpoint: Optional[str] = None,
        request_session: Any = None,
        workspace_msi_has_access: bool = False,
        subscription_id: Optional[str] = None,
        resource_group: Optional[str] = None,
        service_data_access_auth_identity: Optional[str] = None,
    ) -> None:
        super().__init__(
            workspace, name, "AzureBlob", container_name, account_name, sas_token, account_key, protocol, endpoint
        )
        self.workspace_msi_has_access = workspace_msi_has_access
        self.subscription_id = subscription_id
        self.resource_group = resource_group
        self.service_data_access_auth_identity = service_data_access_auth_identity


class AzureFileDatastore(AbstractAzureStorageDatastore):
    """A file share."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        container_name: str,
        account_name: str,
        sas_token: Optional[str] = None,
        account_key: Optional[str] = None,
        protocol: Optional[str] = None,
        endpoint: Optional[str] = "core.windows.net",
        request_session: Any = None,
    ) -> None:
        super().__init__(
            workspace, name, "AzureFile", container_name, account_name, sas_token, account_key, protocol, endpoint
        )


class _Progress:
    """Prints the lines that Azure's SDK prints, and counts."""

    def __init__(self, verb: str, total: int, show: bool) -> None:
        self._verb = verb
        self._total = total
        self._show = show
        self.count = 0

    def callbacks(self, names: List[str]) -> Tuple[Any, Any]:
        """`done` and `started` for a batch of files."""

        def done(index: int) -> None:
            self.count += 1
            form = "{}ed {}, {} files out of an estimated total of {}"
            self._print(form.format(self._verb, names[index], self.count, self._total))

        def started(index: int) -> None:
            self._print("{}ing {}".format(self._verb, names[index]))

        return done, started

    def finish(self) -> None:
        self._print("{}ed {} files".format(self._verb, self.count))

    def _print(self, line: str) -> None:
        if self._show:
            sys.stdout.write(line + "\n")  # in one piece: several threads write


def _batches(files: Sequence[_File]) -> Iterator[List[_File]]:
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


def _clean(path: Optional[str]) -> str:
    """A path in a datastore as the emulator writes it; `.`, `/` and None are the root."""
    parts = (path or "").replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _warn_deprecated(method: str) -> None:
    _log.warning(
        "datastore.%s is deprecated since SDK 1.0.69 in favour of datasets (LocalAML keeps supporting it).", method
    )
