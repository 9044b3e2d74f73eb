"""Which registered datastores are reached, and which LocalAML keeps itself."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from localaml.domain.models import Datastore
from localaml.domain.names import ChildName, WorkspaceName
from localaml.jobs.datastore_data import account_url


@pytest.mark.parametrize(
    ("protocol", "endpoint", "url"),
    [
        ("https", "core.windows.net", None),
        ("https", "core.chinacloudapi.cn", None),
        ("https", "", None),
        ("http", "127.0.0.1:10000/devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1"),
        ("http", "localhost/devstoreaccount1/", "http://localhost/devstoreaccount1"),
        ("", "azurite:10000/devstoreaccount1", "https://azurite:10000/devstoreaccount1"),
        ("http", "https://real.blob.core.windows.net", "https://real.blob.core.windows.net"),
    ],
)
def test_reached_or_kept(protocol: str, endpoint: str, url: str | None) -> None:
    def datastore(kind: str) -> Datastore:
        return Datastore(
            ChildName(WorkspaceName("s", "g", "w"), "datastores", "d"),
            "wid",
            kind,
            datetime(2026, 1, 1, tzinfo=timezone.utc),
            account_name="account",
            container_name="container",
            protocol=protocol,
            endpoint=endpoint,
        )

    assert account_url(datastore("AzureBlob")) == url
    assert account_url(datastore("AzureFile")) is None
