"""Mock clouds for the stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
            keys = [{"Key": found["Key"]} for found in page.get("Contents", ())]
            if keys:
                client.delete_objects(Bucket=name, Delete={"Objects": keys})
        client.delete_bucket(Bucket=name)
    client.close()
