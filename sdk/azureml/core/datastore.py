"""`Datastore`: finds and registers datastores."""

import uuid
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Optional

from azureml.data._other_datastores import CLASSES
from azureml.data.abstract_datastore import AbstractDatastore
from azureml.data.azure_storage_datastore import AzureBlobDatastore, AzureFileDatastore
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace

_PROTOCOL, _ENDPOINT = "https", "core.windows.net"


class Datastore(AbstractDatastore):
    """Calling it gives the datastore itself: an `AzureBlobDatastore`, `AzureFileDatastore`, ...

    Args:
        workspace: the workspace.
        name: the default datastore when None.

    Raises:
        UserErrorException: there is none of that name.
    """

    def __new__(cls, workspace: "Workspace", name: Optional[str] = None) -> Any:
        if name is None:
            return cls.get_default(workspace)
        return cls.get(workspace, name)

    def __init__(self, workspace: "Workspace", name: Optional[str] = None) -> None:  # pragma: no cover - see __new__
        raise AssertionError("__new__ gives objects of other classes")

    @staticmethod
    def get(workspace: "Workspace", datastore_name: str) -> Any:
        """The datastore of this name. Raises UserErrorException when there is none."""
        name = "{}/datastores/{}".format(workspace._resource_name, datastore_name)
        return _datastore(workspace, workspace._client.call("DatastoreService", "GetDatastore", {"name": name}))

    @staticmethod
    def get_default(workspace: "Workspace") -> Any:
        """The workspace's default datastore."""
        return Datastore.get(workspace, str(workspace._refresh().get("defaultDatastore") or ""))

    @staticmethod
    def register_azure_blob_container(
        workspace: "Workspace",
        datastore_name: str,
        container_name: str,
        account_name: str,
        sas_token: Optional[str] = None,
        account_key: Optional[str] = None,
        protocol: Optional[str] = None,
        endpoint: Optional[str] = None,
        overwrite: bool = False,
        create_if_not_exists: bool = False,
        skip_validation: bool = False,
        blob_cache_timeout: Optional[int] = None,
        grant_workspace_access: bool = False,
        subscription_id: Optional[str] = None,
        resource_group: Optional[str] = None,
    ) -> AzureBlobDatastore:
        """Registers a blob container. The emulator keeps its files in its own store, under account and container; but
        for an account that can be reached: with an endpoint that is a URL, has a port or is this machine (Azurite:
        protocol ``http``, endpoint ``127.0.0.1:10000/devstoreaccount1``).

        Args:
            account_key, sas_token: for an account that can be reached; else only kept.
            overwrite: change the registration that has the name, when its settings differ.

        Raises:
            UserErrorException: the name is taken with other settings, or is not a good one.
        """
        return _register(
            workspace,
            datastore_name,
            _storage("AzureBlob", account_name, container_name, sas_token, account_key, protocol, endpoint),
            sas_token or account_key,
            overwrite,
            create_if_not_exists,
        )

    @staticmethod
    def register_azure_file_share(
        workspace: "Workspace",
        datastore_name: str,
        file_share_name: str,
        account_name: str,
        sas_token: Optional[str] = None,
        account_key: Optional[str] = None,
        protocol: Optional[str] = None,
        endpoint: Optional[str] = None,
        overwrite: bool = False,
        create_if_not_exists: bool = False,
        skip_validation: bool = False,
    ) -> AzureFileDatastore:
        """Registers a file share; as `register_azure_blob_container`."""
        return _register(
            workspace,
            datastore_name,
            _storage("AzureFile", account_name, file_share_name, sas_token, account_key, protocol, endpoint),
            sas_token or account_key,
            overwrite,
            create_if_not_exists,
        )

    @staticmethod
    def register_azure_data_lake(
        workspace: "Workspace",
        datastore_name: str,
        store_name: str,
        tenant_id: Optional[str] = None,
        client_id: Optional[str] = None,
        client_secret: Optional[str] = None,
        resource_url: Optional[str] = None,
        authority_url: Optional[str] = None,
        subscription_id: Optional[str] = None,
        resource_group: Optional[str] = None,
        overwrite: bool = False,
        grant_workspace_access: bool = False,
    ) -> AbstractDatastore:
        """Registers a Data Lake store. Only the registration: the emulator cannot reach its data."""
        settings = {
            "store_name": store_name,
            "tenant_id": tenant_id,
            "client_id": client_id,
            "resource_url": resource_url,
            "authority_url": authority_url,
            "subscription_id": subscription_id,
            "resource_group": resource_group,
        }
        return _register(workspace, datastore_name, _settings("AzureDataLake", settings), client_secret, overwrite)

    @staticmethod
    def register_azure_data_lake_gen2(
        workspace: "Workspace",
        datastore_name: str,
        filesystem: str,
        account_name: str,
        tenant_id: Optional[str] = None,
        client_id: Optional[str] = None,
        client_secret: Optional[str] = None,
        resource_url: Optional[str] = None,
        authority_url: Optional[str] = None,
        protocol: Optional[str] = None,
        endpoint: Optional[str] = None,
        overwrite: bool = False,
        subscription_id: Optional[str] = None,
        resource_group: Optional[str] = None,
        grant_workspace_access: bool = False,
    ) -> AbstractDatastore:
        """Registers a Data Lake Gen2 file system. Only the registration: the emulator cannot reach its data.

        Raises:
            UserErrorException: some of `tenant_id`, `client_id` and `client_secret`, but not all.
        """
        principal = (tenant_id, client_id, client_secret)
        if any(principal) and not all(principal):
            raise UserErrorException("tenant_id, client_id and client_secret go together: give all of them, or none.")
        settings = {
            "container_name": filesystem,
            "account_name": account_name,
            "tenant_id": tenant_id,
            "client_id": client_id,
            "resource_url": resource_url,
            "authority_url": authority_url,
            "protocol": protocol or _PROTOCOL,
            "endpoint": endpoint or _ENDPOINT,
            "subscription_id": subscription_id,
            "resource_group": resource_group,
        }
        return _register(workspace, datastore_name, _settings("AzureDataLakeGen2", settings), client_secret, overwrite)

    @staticmethod
    def register_azure_sql_database(
        workspace: "Workspace",
        datastore_name: str,
        server_name: str,
        database_name: str,
        tenant_id: Optional[str] = None,
        client_id: Optional[str] = None,
        client_secret: Optional[str] = None,
        resource_url: Optional[str] = None,
        authority_url: Optional[str] = None,
        endpoint: Optional[str] = None,
        overwrite: bool = False,
        username: Optional[str] = None,
        password: Optional[str] = None,
        subscription_id: Optional[str] = None,
        resource_group: Optional[str] = None,
        grant_workspace_access: bool = False,
        **kwargs: Any,
    ) -> AbstractDatastore:
        """Registers an SQL database. Only the registration: the emulator cannot reach its data."""
        settings = {
            "server_name": server_name,
            "database_name": database_name,
            "tenant_id": tenant_id,
            "client_id": client_id,
            "resource_url": resource_url,
            "authority_url": authority_url,
            "endpoint": endpoint,
            "username": username,
            "subscription_id": subscription_id,
            "resource_group": resource_group,
        }
        secret = client_secret or password
        return _register(workspace, datastore_name, _settings("AzureSqlDatabase", settings), secret, overwrite)

    @staticmethod
    def register_azure_postgre_sql(
        workspace: "Workspace",
        datastore_name: str,
        server_name: str,
        database_name: str,
        user_id: str,
        user_password: str,
        port_number: Optional[int] = None,
        endpoint: Optional[str] = None,
        overwrite: bool = False,
        enforce_ssl: bool = True,
        **kwargs: Any,
    ) -> AbstractDatastore:
        """Registers a PostgreSQL database. Only the registration: the emulator cannot reach its data."""
        settings = {
            "server_name": server_name,
            "database_name": database_name,
            "user_id": user_id,
            "port_number": port_number or 5432,
            "endpoint": endpoint,
            "enforce_ssl": enforce_ssl,
        }
        return _register(workspace, datastore_name, _settings("AzurePostgreSql", settings), user_password, overwrite)

    @staticmethod
    def register_azure_my_sql(
        workspace: "Workspace",
        datastore_name: str,
        server_name: str,
        database_name: str,
        user_id: str,
        user_password: str,
        port_number: Optional[int] = None,
        endpoint: Optional[str] = None,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> AbstractDatastore:
        """Registers a MySQL database. Only the registration: the emulator cannot reach its data."""
        settings = {
            "server_name": server_name,
            "database_name": database_name,
            "user_id": user_id,
            "port_number": port_number or 3306,
            "endpoint": endpoint,
        }
        return _register(workspace, datastore_name, _settings("AzureMySql", settings), user_password, overwrite)

    @staticmethod
    def register_dbfs(workspace: "Workspace", datastore_name: str) -> AbstractDatastore:
        """Registers the Databricks file system. Only the registration: the emulator cannot reach its data."""
        return _register(workspace, datastore_name, _settings("DBFS", {}), None, False)

    @staticmethod
    def register_hdfs(
        workspace: "Workspace",
        datastore_name: str,
        protocol: str,
        namenode_address: str,
        hdfs_server_certificate: Optional[str],
        kerberos_realm: str,
        kerberos_kdc_address: str,
        kerberos_principal: str,
        kerberos_keytab: Optional[str] = None,
        kerberos_password: Optional[str] = None,
        overwrite: bool = False,
    ) -> AbstractDatastore:
        """Registers an HDFS cluster. Only the registration: the emulator cannot reach its data."""
        settings = {
            "protocol": protocol,
            "namenode_address": namenode_address,
            "hdfs_server_certificate": hdfs_server_certificate,
            "kerberos_realm": kerberos_realm,
            "kerberos_kdc_address": kerberos_kdc_address,
            "kerberos_principal": kerberos_principal,
        }
        secret = kerberos_keytab or kerberos_password
        return _register(workspace, datastore_name, _settings("Hdfs", settings), secret, overwrite)


def list_datastores(workspace: "Workspace") -> Iterator[Any]:
    """All datastores of a workspace."""
    request = {"parent": workspace._resource_name}
    for message in workspace._client.pages("DatastoreService", "ListDatastores", request, "datastores"):
        yield _datastore(workspace, message)


def _datastore(workspace: "Workspace", message: Mapping[str, Any]) -> Any:
    name = str(message["name"]).rpartition("/")[2]
    kind = str(message.get("datastoreType") or "")
    if kind in ("AzureBlob", "AzureFile"):
        make: Any = AzureBlobDatastore if kind == "AzureBlob" else AzureFileDatastore
        datastore = make(
            workspace,
            name,
            message.get("containerName", ""),
            message.get("accountName", ""),
            protocol=message.get("protocol") or _PROTOCOL,
            endpoint=message.get("endpoint") or _ENDPOINT,
        )
        credential = message.get("credentialType")
        datastore.credential_type = None if credential in (None, "", "None") else credential
        return datastore
    found = CLASSES.get(kind)
    if found is None:
        raise UserErrorException(
            "The datastore {!r} is of a kind that this SDK does not know: {!r}.".format(name, kind)
        )
    settings = dict(message.get("settings") or {})
    for key, field in (("container_name", "containerName"), ("account_name", "accountName")):
        if message.get(field):
            settings.setdefault(key, message[field])
    return found(workspace, name, settings)


def _storage(
    kind: str,
    account_name: str,
    container_name: str,
    sas_token: Optional[str],
    account_key: Optional[str],
    protocol: Optional[str],
    endpoint: Optional[str],
) -> Dict[str, Any]:
    if sas_token and account_key:
        raise UserErrorException("Give sas_token or account_key, not both.")
    return {
        "datastoreType": kind,
        "accountName": account_name,
        "containerName": container_name,
        "protocol": protocol or _PROTOCOL,
        "endpoint": endpoint or _ENDPOINT,
        "credentialType": "Sas" if sas_token else "AccountKey" if account_key else "None",
    }


def _settings(kind: str, settings: Mapping[str, Any]) -> Dict[str, Any]:
    known = {key: str(value) for key, value in settings.items() if value is not None}
    return {"datastoreType": kind, "settings": known, "credentialType": "None"}


def _register(
    workspace: "Workspace",
    name: str,
    datastore: Dict[str, Any],
    secret: Optional[str],
    overwrite: bool,
    create_if_not_exists: bool = False,
) -> Any:
    request = {
        "parent": workspace._resource_name,
        "datastoreName": name,
        "datastore": datastore,
        "secret": secret or "",
        "overwrite": overwrite,
        "createIfNotExists": create_if_not_exists,
        "requestId": str(uuid.uuid4()),
    }
    return _datastore(workspace, workspace._client.call("DatastoreService", "RegisterDatastore", request))
