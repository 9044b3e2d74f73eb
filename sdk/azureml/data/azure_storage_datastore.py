"""Datastores that are containers of files: blob containers and file shares."""

import os
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple

from azureml._localaml.deprecation import warn_deprecated
from azureml._localaml.path_text import path_text
from azureml._localaml.unsupported import unsupported
from azureml.data.abstract_datastore import AbstractDatastore
from azureml.data.data_reference import DataReference
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace
    from azureml.data._datastore_files import DatastoreFiles


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
        workspace: "Workspace",
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
        warn_deprecated("datastore.as_mount", "a dataset")
        return DataReference(self).as_mount()

    def as_download(self, path_on_compute: Optional[str] = None) -> DataReference:
        """A reference to all of it: copied to the node before the run."""
        warn_deprecated("datastore.as_download", "a dataset")
        return DataReference(self).as_download(path_on_compute)

    def as_upload(self, path_on_compute: Optional[str] = None) -> DataReference:
        """A reference to all of it: filled from the node after the run."""
        warn_deprecated("datastore.as_upload", "a dataset")
        return DataReference(self).as_upload(path_on_compute)

    def upload(
        self, src_dir: str, target_path: Optional[str] = None, overwrite: bool = False, show_progress: bool = True
    ) -> DataReference:
        """Copies all files below a folder into the datastore.

        Args:
            src_dir: the folder.
            target_path: where they go; the datastore's root when None.
            overwrite: whether files that exist there are replaced; else they are left. Of those that exist with the
                same size and the same SHA-256 nothing is sent.
            show_progress: print lines per file, as Azure's SDK does; and to standard error how far all bytes are.

        Interrupted, it can be called again: a file is in the datastore when all of it has arrived, and what is there
        is not sent again.

        Returns:
            A reference to `target_path`.

        Raises:
            UserErrorException: no such folder, or the emulator has no data behind this datastore.
        """
        warn_deprecated("datastore.upload", "a dataset")
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
        warn_deprecated("datastore.upload_files", "a dataset")
        if isinstance(files, (str, bytes, os.PathLike)):
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
            overwrite: whether files that exist here are replaced; else they are left. Those that have the size and
                the SHA-256 of the datastore's are not fetched.
            show_progress: as for `upload`.

        Interrupted, it can be called again: a file is here when all of it has arrived. Of a large one (8 MiB and more)
        the part that has come lies beside it, hidden, and is gone on with once its SHA-256 has been compared.

        Returns:
            The number of files that were copied, or found to be the same.
        """
        root = os.path.abspath(os.path.expanduser(os.fspath(target_path)))
        return self._files().download(root, _clean(prefix), overwrite, show_progress)

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
        target = _clean(target_path)
        self._files().upload(pairs, target, overwrite, show_progress)
        return DataReference(self, path_on_datastore=target or None)

    def _files(self) -> "DatastoreFiles":
        from azureml.data._datastore_files import DatastoreFiles

        return DatastoreFiles(self._workspace._client, self._resource_name)

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
        workspace: "Workspace",
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
        workspace: "Workspace",
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


def _clean(path: Optional[str]) -> str:
    """A path in a datastore as the emulator writes it; `.`, `/` and None are the root."""
    parts = path_text(path or "").replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))
