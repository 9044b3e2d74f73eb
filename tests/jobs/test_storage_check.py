"""Uploads that nobody completed: whose, and how old. The rest is in `acceptance/test_storage_commands`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from localaml.domain.models import Datastore, Workspace
from localaml.domain.names import ChildName, WorkspaceName
from localaml.jobs.storage_check import check_storage
from localaml.paths import default_container
from localaml.storage.driver import Unfinished
from localaml.storage.moto_cloud import MotoCloud
from localaml.storage.s3 import S3Store
from localaml.storage.s3_client import S3Account
from localaml.store import Store

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
ID = "11111111-2222-3333-4444-555555555555"
OWN = default_container(ID)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "metadata.sqlite3")
    name = WorkspaceName("sub", "group", "ws")
    store.workspaces.insert(Workspace(name, ID, NOW))
    store.datastores.put(Datastore(ChildName(name, "datastores", "lake"), ID, "AzureBlob", NOW, "localaml", "my-lake"))
    yield store
    store.close()


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """With an upload of each age in a container of LocalAML's own, in a registered one, and in somebody else's. moto
    says of all that they were begun in 2010: the ages are put on here, by their names."""
    cloud = MotoCloud(0, 1 << 30)
    store = S3Store(S3Account(cloud.endpoint, access_key="test", secret_key="test"))
    client = store.account.client()
    for bucket in (OWN, "my-lake", "other"):
        client.create_bucket(Bucket=bucket)
        for name in ("old", "young"):
            client.create_multipart_upload(Bucket=bucket, Key=name)
    client.close()
    original = store.driver.unfinished

    def unfinished(bucket: str, prefix: str) -> list[Unfinished]:
        ages = {"old": timedelta(hours=25), "young": timedelta(hours=23)}
        return [Unfinished(each.name, each.upload, NOW - ages[each.name]) for each in original(bucket, prefix)]

    monkeypatch.setattr(store.driver, "unfinished", unfinished)
    yield store
    store.close()
    cloud.close()


def left(store: S3Store) -> list[str]:
    driver: Any = store.driver
    return [f"{bucket}/{each.name}" for bucket in driver.buckets() for each in driver.unfinished(bucket, "")]


async def test_uploads_by_age_and_owner(records: Store, objects: S3Store) -> None:
    everything = left(objects)
    findings = await check_storage(records, objects, repair=False, now=NOW)
    assert sorted(findings.unfinished_uploads) == [f"localaml/{OWN}/old", "localaml/my-lake/old"]
    assert left(objects) == everything
    findings = await check_storage(records, objects, repair=True, now=NOW)
    assert sorted(findings.unfinished_uploads) == [
        f"localaml/{OWN}/old",
        f"localaml/{OWN}/young",
        "localaml/my-lake/old",
    ]
    # Somebody may be writing to the registered container at this moment; the other one is none of our business.
    assert sorted(left(objects)) == ["my-lake/young", "other/old", "other/young"]
    findings = await check_storage(records, objects, repair=True, now=NOW)
    assert findings.unfinished_uploads == []
