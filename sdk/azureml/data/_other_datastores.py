"""Datastores without files of their own here: they can be registered and read back, not uploaded to."""

from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from azureml.data.abstract_datastore import AbstractDatastore
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace


class SettingsDatastore(AbstractDatastore):
    """A datastore that is a set of settings; each is an attribute, None when it was not given. Secrets are not told."""

    TYPE = ""
    SETTINGS: Any = ()

    def __init__(self, workspace: "Workspace", name: str, settings: Mapping[str, str]) -> None:
        super().__init__(workspace, name, self.TYPE)
        self._settings = dict(settings)
        for key in self.SETTINGS:
            value: Any = settings.get(key)
            setattr(self, key, int(value) if key == "port_number" and value else value)

    def _as_dict(self) -> Dict[str, Any]:
        content = super()._as_dict()
        content.update(self._settings)
        return content

    def path(self, path: Optional[str] = None, data_reference_name: Optional[str] = None) -> Any:
        """Refused, as everything about the data is."""
        raise self._no_data("path")

    def upload(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        raise self._no_data("upload")

    def upload_files(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        raise self._no_data("upload_files")

    def download(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        raise self._no_data("download")

    def as_mount(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        raise self._no_data("as_mount")

    def as_download(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        raise self._no_data("as_download")

    def as_upload(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        raise self._no_data("as_upload")

    def _no_data(self, method: str) -> UserErrorException:
        return UserErrorException(
            "{}: the datastore {!r} is of kind {}, whose data LocalAML cannot reach. Register the data with "
            "Datastore.register_azure_blob_container or register_azure_file_share.".format(
                method, self.name, self.datastore_type
            )
        )


_TOKEN = ("tenant_id", "client_id", "resource_url", "authority_url")
_DATABASE = ("server_name", "database_name", "user_id", "port_number", "endpoint")


class AzureDataLakeDatastore(SettingsDatastore):
    """An Azure Data Lake Gen1 store."""

    TYPE = "AzureDataLake"
    SETTINGS = ("store_name", "subscription_id", "resource_group", *_TOKEN)


class AzureDataLakeGen2Datastore(SettingsDatastore):
    """An Azure Data Lake Gen2 file system."""

    TYPE = "AzureDataLakeGen2"
    SETTINGS = ("container_name", "account_name", "protocol", "endpoint", "subscription_id", "resource_group", *_TOKEN)


class AzureSqlDatabaseDatastore(SettingsDatastore):
    """An Azure SQL database."""

    TYPE = "AzureSqlDatabase"
    SETTINGS = ("server_name", "database_name", "endpoint", "username", "subscription_id", "resource_group", *_TOKEN)


class AzurePostgreSqlDatastore(SettingsDatastore):
    """An Azure Database for PostgreSQL."""

    TYPE = "AzurePostgreSql"
    SETTINGS = (*_DATABASE, "enforce_ssl")


class AzureMySqlDatastore(SettingsDatastore):
    """An Azure Database for MySQL."""

    TYPE = "AzureMySql"
    SETTINGS = _DATABASE


class DBFSDatastore(SettingsDatastore):
    """The Databricks file system."""

    TYPE = "DBFS"


class HDFSDatastore(SettingsDatastore):
    """An HDFS cluster."""

    TYPE = "Hdfs"
    SETTINGS = (
        "protocol",
        "namenode_address",
        "hdfs_server_certificate",
        "kerberos_realm",
        "kerberos_kdc_address",
        "kerberos_principal",
    )


CLASSES = {
    kind.TYPE: kind
    for kind in (
        AzureDataLakeDatastore,
        AzureDataLakeGen2Datastore,
        AzureSqlDatabaseDatastore,
        AzurePostgreSqlDatastore,
        AzureMySqlDatastore,
        DBFSDatastore,
        HDFSDatastore,
    )
}
