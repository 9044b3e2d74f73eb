"""Mock clouds for the stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.azurite import Azurite, azurite_program

from localaml.storage.azure_blob import AZURITE_ACCOUNT, AZURITE_KEY, AzureAccount
from localaml.storage.moto_cloud import MotoCloud
from localaml.storage.s3_client import S3Account


@pytest.fixture(scope="session")
def moto() -> Iterator[MotoCloud]:
    """moto's S3 on a free port of this machine."""
    cloud = MotoCloud(0, 512 * 1024 * 1024)
    yield cloud
    cloud.close()


@pytest.fixture
def s3_account(moto: MotoCloud) -> S3Account:
    """An empty S3."""
    account = S3Account(moto.endpoint, access_key="test", secret_key="test")
    empty(account)
    return account


def empty(account: S3Account) -> None:
    """Removes all buckets."""
    client = account.client()
    for bucket in client.list_buckets()["Buckets"]:
        name = bucket["Name"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            # One by one: a test may have left names that no list of them can have.
            for found in page.get("Contents", ()):
                client.delete_object(Bucket=name, Key=found["Key"])
        client.delete_bucket(Bucket=name)
    client.close()


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Azurite on a free port."""
    with Azurite(azurite_program(), tmp_path_factory.mktemp("azurite")) as running:
        yield running


@pytest.fixture
def azure_account(azurite: Azurite) -> AzureAccount:
    """An empty account."""
    account = AzureAccount(azurite.endpoint, AZURITE_ACCOUNT, AZURITE_KEY)
    with account.client() as client:
        for container in client.list_containers():
            with client.get_container_client(container.name) as each:
                for blob in each.list_blobs():
                    each.delete_blob(blob.name)
    return account
