"""Azure Blob Storage and Azurite as the cloud of an emulator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from localaml.errors import FailedPrecondition
from localaml.storage.azure_blob import (
    AZURITE_ACCOUNT,
    AZURITE_ENDPOINT,
    AZURITE_KEY,
    AzureAccount,
    AzureBlobStore,
)
from localaml.storage.clouds import Cloud
from localaml.storage.endpoints import without_secrets

if TYPE_CHECKING:
    from localaml.settings import StorageSettings

# The program's name is not its package's.
AZURITE_COMMAND = "npx --yes --package azurite azurite-blob --disableTelemetry"
# Where Azure's own tools look.
_CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"


def open_azure_cloud(settings: StorageSettings) -> Cloud:
    """Opens a cloud. Raises FailedPrecondition as `clouds.open_cloud`."""
    if settings.cloud == "azurite":
        endpoint = settings.azure_endpoint or AZURITE_ENDPOINT
        account = AzureAccount(endpoint, AZURITE_ACCOUNT, AZURITE_KEY)
        variables = {
            _CONNECTION_STRING: f"DefaultEndpointsProtocol={endpoint.partition(':')[0]};AccountName={AZURITE_ACCOUNT};"
            f"AccountKey={AZURITE_KEY};BlobEndpoint={endpoint};"
        }
        hint = f"Start it with '{AZURITE_COMMAND}', or say where it is with LOCALAML_AZURE_ENDPOINT."
    else:
        connection_string = os.environ.get(_CONNECTION_STRING, "")
        if not connection_string:
            raise FailedPrecondition(
                "AZURE_CREDENTIALS_MISSING",
                f"--cloud azure takes the account from the variable {_CONNECTION_STRING}: set it.",
            )
        account = AzureAccount(connection_string=connection_string)
        # Never the key of whoever runs the emulator.
        variables = {}
        hint = f"Look at {_CONNECTION_STRING}."
    record = {"cloud": settings.cloud, "endpoint": check_reachable(account, hint)}
    store = AzureBlobStore(account, patience_seconds=settings.store_patience_seconds)
    return Cloud(store, record, variables, store.close)


def check_reachable(account: AzureAccount, hint: str) -> str:
    """Asks once, so that what is wrong is told at the start; returns the URL of the account.

    Raises FailedPrecondition ``CLOUD_NOT_REACHABLE``, PermissionDenied ``OBJECT_STORE_DENIED``.
    """
    with account.client() as client:
        # A SAS is no part of an address.
        url = without_secrets(str(client.primary_endpoint)).rstrip("/")
        try:
            next(iter(client.list_containers(results_per_page=1)), None)
        except Exception as error:
            from localaml.storage.azure_blob import AzureDriver
            from localaml.storage.bucket_names import AZURE_NAMES

            driver = AzureDriver(account, AZURE_NAMES)
            try:
                if driver.is_transient(error):
                    text = str(error).partition("\n")[0][:300]
                    raise FailedPrecondition(
                        "CLOUD_NOT_REACHABLE", f"No blob service answers properly at {url} ({text}). {hint}"
                    ) from None
                raise driver.refused(error, "list containers") from error
            finally:
                driver.close()
    return url
