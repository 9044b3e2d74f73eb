"""What only a store on S3 has to withstand: large objects, foreign names, a store that is away or breaks off."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.storage.faulty_proxy import FaultyProxy

from localaml.errors import FailedPrecondition, PermissionDenied, ResourceExhausted
from localaml.storage.moto_cloud import MotoCloud
from localaml.storage.s3 import S3Store
from localaml.storage.s3_client import S3Account

KEY = "localaml/my-container/folder/file.bin"
PART = 8 * 1024 * 1024


@pytest.fixture
def proxy(moto: MotoCloud) -> Iterator[FaultyProxy]:
    with FaultyProxy(moto.endpoint) as made:
        yield made


@pytest.fixture
def store(s3_account: S3Account, proxy: FaultyProxy) -> Iterator[S3Store]:
    made = S3Store(S3Account(proxy.url, access_key="test", secret_key="test"), patience_seconds=20)
    yield made
    made.close()


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file of two parts and a bit."""
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(2 * PART + 12345))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def keys(store: S3Store, prefix: str = "localaml/my-container/") -> list[str]:
    return [info.key for info in await store.list(prefix)]


async def test_buckets_and_keys_are_those_that_a_foreign_client_expects(store: S3Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    await store.put_file(KEY, tmp_path / "file")
    client = store.account.client()
    assert client.get_object(Bucket="my-container", Key="folder/file.bin")["Body"].read() == b"content"
    client.put_object(Bucket="my-container", Key="from/outside.txt", Body=b"hello")
    assert await keys(store) == [KEY, "localaml/my-container/from/outside.txt"]
    client.close()


async def test_names_that_could_not_be_keys_are_not_listed(store: S3Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    await store.put_file(KEY, tmp_path / "file")
    client = store.account.client()
    for name in ("folder/", "back\\slash", "a//b", "tab\tname"):
        client.put_object(Bucket="my-container", Key=name, Body=b"x")
    client.close()
    assert await keys(store) == [KEY]
    assert await keys(store, "localaml/my-container/../") == []


async def test_a_large_file_goes_up_in_parts_and_comes_back(store: S3Store, big: Path, tmp_path: Path) -> None:
    info = await store.put_file(KEY, big)
    assert info.size_bytes == big.stat().st_size
    await store.get_file(KEY, tmp_path / "back")
    assert digest(tmp_path / "back") == digest(big)
    client = store.account.client()
    head = client.head_object(Bucket="my-container", Key="folder/file.bin")
    assert head["ETag"].endswith('-3"')
    await store.copy(KEY, "localaml/my-container/copy")
    assert client.head_object(Bucket="my-container", Key="copy")["ContentLength"] == info.size_bytes
    client.close()


async def test_parts_are_seen_by_nobody_and_go_when_they_are_discarded(store: S3Store, big: Path) -> None:
    writer = await store.open_writer(KEY)
    await writer.write(big.read_bytes())
    client = store.account.client()
    assert len(client.list_multipart_uploads(Bucket="my-container")["Uploads"]) == 1
    assert await keys(store) == []
    await writer.discard()
    assert "Uploads" not in client.list_multipart_uploads(Bucket="my-container")
    client.close()


async def test_memory_stays_flat(store: S3Store, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(96 * 1024 * 1024)

    class Sink:
        """A client that throws parts away: moto, in this process, would keep them."""

        def create_multipart_upload(self, **_: object) -> dict[str, str]:
            return {"UploadId": "1"}

        def upload_part(self, **_: object) -> dict[str, str]:
            return {"ETag": "x"}

        def complete_multipart_upload(self, **_: object) -> dict[str, object]:
            return {"ResponseMetadata": {"HTTPHeaders": {"date": "Mon, 23 Nov 2026 05:00:00 GMT"}}}

    store.driver.client.close()
    store.driver.client = type("Client", (Sink,), {"close": lambda self: None})()
    store.folders.check = lambda key: None  # type: ignore[method-assign]
    tracemalloc.start()
    try:
        await store.put_file(KEY, path)
        assert tracemalloc.get_traced_memory()[1] < 40 * 1024 * 1024
    finally:
        tracemalloc.stop()


async def test_a_replaced_object_is_an_error_and_not_a_mixture(store: S3Store, big: Path) -> None:
    await store.put_file(KEY, big)
    reader = await store.open_reader(KEY)
    buffer = memoryview(bytearray(1024))
    reader.read_into(buffer, 0)
    big.write_bytes(os.urandom(2 * PART))
    await store.put_file(KEY, big)
    with pytest.raises(FailedPrecondition) as caught:
        reader.read_into(buffer, PART)
    assert caught.value.reason == "OBJECT_REPLACED"
    reader.close()


# -- refusals ---------------------------------------------------------------------------------------------------------


async def test_refusals_are_told(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    def deny(**_: object) -> None:
        answer = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(answer, "HeadObject")

    monkeypatch.setattr(store.driver.client, "head_object", deny)
    with pytest.raises(PermissionDenied) as caught:
        await store.stat(KEY)
    assert caught.value.reason == "OBJECT_STORE_DENIED"


# -- moto --------------------------------------------------------------------------------------------------------------


async def test_moto_takes_no_more_than_it_may_and_goes_with_its_buckets(tmp_path: Path) -> None:
    cloud = MotoCloud(0, 1_000_000)
    store = S3Store(S3Account(cloud.endpoint, access_key="test", secret_key="test"))
    other = MotoCloud(0, 1_000_000)
    elsewhere = S3Store(S3Account(other.endpoint, access_key="test", secret_key="test"))
    try:
        file = tmp_path / "file"
        file.write_bytes(b"x" * 400_000)
        for _ in range(5):  # what is replaced takes no room
            await store.put_file(KEY, file)
        await store.put_file("localaml/my-container/second", file)
        with pytest.raises(ResourceExhausted) as caught:
            await store.put_file("localaml/my-container/third", file)
        assert caught.value.reason == "DISK_FULL"
        await store.delete(KEY)
        await store.put_file("localaml/my-container/third", file)
        await elsewhere.put_file("localaml/their-container/file", file)
        store.close()
        cloud.close()
        assert await keys(elsewhere, "localaml/my-container/") == []
        assert await keys(elsewhere, "localaml/their-container/") == ["localaml/their-container/file"]
    finally:
        elsewhere.close()
        other.close()


async def test_moto_answers_loopback_names_only(moto: MotoCloud) -> None:
    import urllib.error
    import urllib.request

    assert moto.endpoint.startswith("http://127.0.0.1:")
    request = urllib.request.Request(moto.endpoint, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    assert caught.value.code == 421
    caught.value.close()


async def test_names_of_strangers_stop_no_listing_and_no_removal(store: S3Store) -> None:
    """XML cannot say some of them, and stores answer with an error where they are named in it."""
    client = store.account.client()
    client.create_bucket(Bucket="my-container")
    strange = ["b\x01c", "b\x0bd", "e\ufffe", "f\uffff", "g\x08h\x1f", "folder/", "x\\y", "k\rl"]
    for name in ["a", "d", "z", *strange]:
        client.put_object(Bucket="my-container", Key=name, Body=b"x")
    wanted = [f"localaml/my-container/{name}" for name in "adz"]
    for limit in (1, 2, 1000):
        found: list[str] = []
        while page := await store.list("localaml/my-container/", found[-1] if found else "", limit):
            found += [info.key for info in page]
        assert found == wanted, limit
    # Pages that end with any of them.
    names: list[str] = []
    after = ""
    while True:
        entries = store.driver.page("my-container", "", after, 1)
        names += [entry.name for entry in entries.entries]
        after = entries.next_after
        if not after:
            break
    assert names == sorted(["a", "d", "z", *strange])
    assert await store.delete_prefix("localaml/my-container/") == 3
    assert await keys(store) == []
    client.close()
