"""How many requests things take: each is a round trip, and on a real cloud costs money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localaml.errors import FailedPrecondition
from localaml.storage import azure_blob
from localaml.storage.azure_blob import AzureAccount, AzureBlobStore
from localaml.storage.azure_marks import Marks
from localaml.storage.driver import Entry
from localaml.storage.remote import RemoteStore
from localaml.storage.s3 import S3Store
from localaml.storage.s3_client import S3Account


class Counted:
    """A driver whose calls are counted."""

    def __init__(self, driver: Any) -> None:
        self.calls: Counter[str] = Counter()
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if not callable(found) or name.startswith("is_"):
            return found

        def call(*arguments: Any) -> Any:
            self.calls[name] += 1
            return found(*arguments)

        return call


def counted(store: RemoteStore) -> Counted:
    driver = Counted(store.driver)
    store.driver = driver  # type: ignore[assignment]
    return driver


@pytest.fixture(params=["s3", "azure"])
def store(request: pytest.FixtureRequest) -> Iterator[RemoteStore]:
    made: RemoteStore
    if request.param == "s3":
        made = S3Store(request.getfixturevalue("s3_account"))
    else:
        made = AzureBlobStore(request.getfixturevalue("azure_account"))
    yield made
    made.close()


async def test_many_files_into_a_folder_take_one_request_each(store: RemoteStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    await store.put_file("acc/con/d/first", tmp_path / "file")
    driver = counted(store)
    for number in range(50):
        await store.put_file(f"acc/con/d/{number}", tmp_path / "file")
    assert driver.calls == {"put": 50}


async def test_a_folder_that_is_made_later_is_seen(store: RemoteStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    await store.put_file("acc/con/d/first", tmp_path / "file")
    await store.put_file("acc/con/d/below/x", tmp_path / "file")
    with pytest.raises(FailedPrecondition) as caught:
        await store.put_file("acc/con/d/below", tmp_path / "file")
    assert caught.value.reason == "OBJECT_PATH_CONFLICT"
    await store.delete("acc/con/d/below/x")
    await store.put_file("acc/con/d/below", tmp_path / "file")


async def test_folders_with_very_many_files_are_still_looked_at(s3_account: S3Account, tmp_path: Path) -> None:
    store = S3Store(s3_account)
    (tmp_path / "file").write_bytes(b"x")
    for name in (*(f"{number:04}" for number in range(1000)), "zz/file"):
        await store.put_file(f"acc/con/d/{name}", tmp_path / "file")
    store.close()
    store = S3Store(s3_account)
    driver = counted(store)
    for number in range(20):
        await store.put_file(f"acc/con/d/after-{number}", tmp_path / "file")
        await store.put_file(f"acc/con/d/{number:04}", tmp_path / "file")
    assert driver.calls["put"] == 40
    assert driver.calls["page"] <= 3
    with pytest.raises(FailedPrecondition):
        await store.put_file("acc/con/d/zz", tmp_path / "file")
    store.close()


async def test_many_are_looked_up_with_a_listing(store: RemoteStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for number in range(0, 100, 2):
        await store.put_file(f"acc/con/d/{number:03}", tmp_path / "file")
    driver = counted(store)
    found = await store.stat_many([f"acc/con/d/{number:03}" for number in range(100)])
    assert len(found) == 50
    assert driver.calls == {"page": 1}


async def test_an_azure_listing_goes_on_where_it_was(
    azure_account: AzureAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AzureBlobStore(azure_account)
    (tmp_path / "file").write_bytes(b"x")
    for number in range(60):
        await store.put_file(f"acc/con/d/{number:03}", tmp_path / "file")
    received = []

    def entry(*arguments: Any) -> Entry:
        received.append(arguments)
        return Entry(*arguments)

    monkeypatch.setattr(azure_blob, "Entry", entry)
    seen: list[str] = []
    while page := await store.list("acc/con/", seen[-1] if seen else "", 5):
        seen += [info.key for info in page]
    assert seen == [f"acc/con/d/{number:03}" for number in range(60)]
    # From the front each time, it would be 5 + 10 + 15 + ... + 60: 390 for 60. A page may come twice, but not more.
    assert len(received) <= 2 * 60 + 5
    # What is written meanwhile is seen, wherever a listing has been before.
    for name in ("0005", "030x", "059x"):
        await store.put_file(f"acc/con/d/{name}", tmp_path / "file")
    await store.delete("acc/con/d/030")
    keys = [info.key.rpartition("/")[2] for info in await store.list("acc/con/", "acc/con/d/028", 3)]
    assert keys == ["029", "030x", "031"]
    assert [info.key.rpartition("/")[2] for info in await store.list("acc/con/", "acc/con/d/059", 3)] == ["059x"]
    assert [info.key.rpartition("/")[2] for info in await store.list("acc/con/", "acc/con/d/000", 1)] == ["0005"]
    store.close()


async def test_a_marker_that_azure_takes_no_more_is_forgotten(azure_account: AzureAccount, tmp_path: Path) -> None:
    from azure.core.exceptions import HttpResponseError

    store = AzureBlobStore(azure_account)
    (tmp_path / "file").write_bytes(b"x")
    for number in range(6):
        await store.put_file(f"acc/con/d/{number}", tmp_path / "file")
    driver = store.driver
    original = driver._page  # type: ignore[attr-defined]

    def page(bucket: str, prefix: str, name: str, marker: str, limit: int) -> Any:
        if marker == "stale":
            error = HttpResponseError("The marker is not valid.")
            error.status_code = 400
            raise error
        return original(bucket, prefix, name, marker, limit)

    driver._page = page  # type: ignore[attr-defined]
    place = store.names.prefix_place("acc/con/")
    assert place is not None
    driver._marks.note(place.bucket, place.key, place.key + "d/2", "stale")  # type: ignore[attr-defined]
    found = await store.list("acc/con/", "acc/con/d/3")
    assert [info.key for info in found] == ["acc/con/d/4", "acc/con/d/5"]
    store.close()


def test_marks_stand_at_or_before_what_is_looked_for() -> None:
    marks = Marks()
    marks.note("b", "p", "c", "m1")
    marks.note("b", "p", "m", "m2")
    marks.note("b", "p", "first", "")
    assert [marks.find("b", "p", after) for after in ("", "b", "c", "d", "l", "m", "z")] == [
        *("", "", "m1", "m1", "m1", "m2", "m2")
    ]
    marks.note("b", "p", "c", "m3")
    assert marks.find("b", "p", "d") == "m3"
    assert (marks.find("b", "q", "z"), marks.find("a", "p", "z")) == ("", "")
    marks.forget("b", "p")
    assert marks.find("b", "p", "z") == ""
