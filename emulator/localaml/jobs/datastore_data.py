"""Which datastores have data here, and where."""

from __future__ import annotations

from localaml.domain.models import Datastore
from localaml.errors import FailedPrecondition
from localaml.paths import datastore_prefix

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
