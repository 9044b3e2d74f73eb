"""Which datastores have data here, and where."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from localaml.domain.models import Datastore
from localaml.errors import FailedPrecondition
from localaml.paths import datastore_prefix

if TYPE_CHECKING:
    from localaml.storage.azure_blob import AzureAccount
    from localaml.store import Store

WITH_DATA = ("AzureBlob", "AzureFile")
"""Kinds whose data is here."""


def data_prefix(datastore: Datastore) -> str:
    """Where the data of a datastore is in the object store; ends with `/`.

    Raises FailedPrecondition ``DATASTORE_NOT_SUPPORTED`` for kinds that have no data here.
    """
    if datastore.datastore_type not in WITH_DATA:
        raise FailedPrecondition(
            "DATASTORE_NOT_SUPPORTED",
            f"Datastore {datastore.name.name!r} is of kind {datastore.datastore_type}, "
            f"whose data LocalAML cannot reach. "
            f"Register the data as one of: {', '.join(WITH_DATA)}.",
            {"datastore": datastore.name.name, "datastore_type": datastore.datastore_type},
        )
    return datastore_prefix(datastore.account_name, datastore.container_name)


# A URL, a port, or this machine: an address of its own, and not one of Azure's clouds (`core.windows.net`).
_REACHABLE = re.compile(r"https?://.+|[^/:]+:\d+(/.*)?|(localhost|127\.\d+\.\d+\.\d+)(/.*)?")


def account_url(datastore: Datastore) -> str | None:
    """Where the account of a blob datastore really is; None for one whose data LocalAML keeps itself.

    Azure's own endpoints are kept here, so that code written for Azure runs offline. An endpoint that is a URL, has a
    port or is this machine (Azurite: ``http``, ``127.0.0.1:10000/devstoreaccount1``) is reached.
    """
    endpoint = datastore.endpoint.rstrip("/")
    if datastore.datastore_type != "AzureBlob" or not _REACHABLE.fullmatch(endpoint):
        return None
    return endpoint if "://" in endpoint else f"{datastore.protocol or 'https'}://{endpoint}"


def account_finder(store: Store) -> Callable[[str, str], AzureAccount | None]:
    """Looks up which account a registered container is in, for `storage.routed`."""

    def find(account: str, container: str) -> AzureAccount | None:
        for datastore in store.datastores.at(account, container):
            url = account_url(datastore)
            if url is not None:
                from localaml.storage.azure_blob import AzureAccount

                if datastore.credential_type == "Sas":
                    return AzureAccount(url, account, sas_token=datastore.secret)
                return AzureAccount(url, account, datastore.secret)
        return None

    return find
