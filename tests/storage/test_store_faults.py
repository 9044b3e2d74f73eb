"""Stores in clouds that are away, answer with errors, or slowly, or break off: the same suite over each."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.storage.faulty_proxy import FaultyProxy

from localaml.errors import Unavailable
from localaml.storage.azure_blob import AZURITE_ACCOUNT, AZURITE_KEY, AzureAccount, AzureBlobStore
from localaml.storage.remote import RemoteStore
from localaml.storage.s3 import S3Store
from localaml.storage.s3_client import S3Account

KEY = "localaml/my-container/folder/file.bin"
PART = 8 * 1024 * 1024

Open = Callable[..., RemoteStore]


@pytest.fixture(params=["s3", "azure"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def proxy(request: pytest.FixtureRequest, kind: str) -> Iterator[FaultyProxy]:
    account = request.getfixturevalue(f"{kind}_account")
    with FaultyProxy(account.endpoint) as made:
        yield made


@pytest.fixture
def open_store(kind: str, proxy: FaultyProxy) -> Iterator[Open]:
    """Makes stores behind the proxy."""
    made: list[RemoteStore] = []

    def make(patience: float = 20.0, read_seconds: float = 60.0) -> RemoteStore:
        store: RemoteStore
        if kind == "s3":
            account = S3Account(proxy.url, access_key="test", secret_key="test", read_seconds=read_seconds)
            store = S3Store(account, patience_seconds=patience)
        else:
            azure = AzureAccount(
                f"{proxy.url}/{AZURITE_ACCOUNT}", AZURITE_ACCOUNT, AZURITE_KEY, read_seconds=read_seconds
            )
            store = AzureBlobStore(azure, patience_seconds=patience)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(open_store: Open) -> RemoteStore:
    return open_store()


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file of two parts and a bit."""
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(2 * PART + 12345))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def keys(store: RemoteStore) -> list[str]:
    return [info.key for info in await store.list("localaml/my-container/")]


async def test_the_store_stops_for_4_seconds_in_the_middle_of_an_upload(
    store: RemoteStore, proxy: FaultyProxy, big: Path, tmp_path: Path
) -> None:
    """For 20 seconds, with a run that waits: `acceptance/test_store_outages`."""
    writer = await store.open_writer(KEY)
    data = big.read_bytes()
    await writer.write(data[: PART + 1])
    proxy.stop()
    back = threading.Timer(4, proxy.start)
    back.start()
    await writer.write(data[PART + 1 :])
    assert await writer.commit()
    back.join()
    await store.get_file(KEY, tmp_path / "back")
    assert digest(tmp_path / "back") == digest(big)


async def test_a_store_that_stays_away_is_an_error_in_time_and_nothing_is_listed(
    open_store: Open, proxy: FaultyProxy, big: Path
) -> None:
    store = open_store(0.5)
    writer = await store.open_writer(KEY)
    data = big.read_bytes()
    await writer.write(data[: PART + 1])
    proxy.stop()
    with pytest.raises(Unavailable) as caught:
        await writer.write(data[PART + 1 :])
        await writer.commit()  # parts may still be under way until then
    assert caught.value.reason == "OBJECT_STORE_UNAVAILABLE"
    await writer.discard()
    proxy.start()
    assert await keys(store) == []


@pytest.mark.parametrize("status", [500, 503])
async def test_errors_of_the_store_are_waited_out(
    open_store: Open, proxy: FaultyProxy, big: Path, status: int, tmp_path: Path
) -> None:
    await open_store().put_file(KEY, big)
    for what in ("stat", "list", "put", "get"):
        # A new one has no connections yet: each is a new one, and gets an error.
        store = open_store()
        proxy.error_status, proxy.errors = status, 8
        if what == "stat":
            assert (await store.stat(KEY)).size_bytes == big.stat().st_size
        elif what == "list":
            assert await keys(store) == [KEY]
        elif what == "put":
            await store.put_file(KEY, big)
        else:
            await store.get_file(KEY, tmp_path / "back")
            assert digest(tmp_path / "back") == digest(big)
        assert proxy.errors == 0, what


async def test_a_connection_lost_half_way_through_a_download(
    store: RemoteStore, proxy: FaultyProxy, big: Path, tmp_path: Path
) -> None:
    await store.put_file(KEY, big)
    for cut in (100, 3_000_000, 9_000_000):
        proxy.cut_after = cut
        await store.get_file(KEY, tmp_path / "back")
        assert proxy.cut_after is None, "the fault did not happen"
        assert digest(tmp_path / "back") == digest(big)


async def test_a_connection_lost_half_way_through_a_part(
    store: RemoteStore, proxy: FaultyProxy, big: Path, tmp_path: Path
) -> None:
    proxy.cut_upload_after = 3_000_000
    await store.put_file(KEY, big)
    assert proxy.cut_upload_after is None, "the fault did not happen"
    await store.get_file(KEY, tmp_path / "back")
    assert digest(tmp_path / "back") == digest(big)


async def test_a_download_that_cannot_be_completed_leaves_no_file(
    open_store: Open, proxy: FaultyProxy, big: Path, tmp_path: Path
) -> None:
    store = open_store(0.3)
    await store.put_file(KEY, big)
    reader = await store.open_reader(KEY)
    proxy.stop()
    with pytest.raises(Unavailable):
        await asyncio.to_thread(lambda: [reader.read_into(memoryview(bytearray(PART)), at * PART) for at in range(3)])
    reader.close()
    with pytest.raises(Unavailable):
        await store.get_file(KEY, tmp_path / "back")
    assert not (tmp_path / "back").exists()


async def test_a_store_that_takes_its_time_is_no_error(
    open_store: Open, proxy: FaultyProxy, big: Path, tmp_path: Path
) -> None:
    """Answers come after seconds: longer than the patience, which is for a store that does not answer."""
    store = open_store(0.5)
    (tmp_path / "small").write_bytes(b"x")
    await store.put_file(KEY, tmp_path / "small")
    proxy.delay = 2.0
    begun = time.monotonic()
    await store.put_file(KEY, tmp_path / "small")
    await store.get_file(KEY, tmp_path / "back")
    assert time.monotonic() - begun > 4
    assert (tmp_path / "back").read_bytes() == b"x"


async def test_a_store_that_trickles_is_no_error(
    open_store: Open, proxy: FaultyProxy, big: Path, tmp_path: Path
) -> None:
    """The bytes come one block now and then; all of them take longer than the time that one wait may take."""
    store = open_store(0.5, read_seconds=1.5)
    await store.put_file(KEY, big)
    proxy.rate = big.stat().st_size / 4
    begun = time.monotonic()
    await store.get_file(KEY, tmp_path / "back")
    assert time.monotonic() - begun > 3.5
    assert digest(tmp_path / "back") == digest(big)


async def test_a_store_that_says_nothing_any_more_is_an_error_in_time(
    open_store: Open, proxy: FaultyProxy, big: Path, tmp_path: Path
) -> None:
    store = open_store(1.0, read_seconds=0.5)
    await store.put_file(KEY, big)
    proxy.delay = 60.0
    begun = time.monotonic()
    for call in (store.stat(KEY), store.put_file(KEY + "2", big)):
        with pytest.raises(Unavailable) as caught:
            await call
        assert caught.value.reason == "OBJECT_STORE_UNAVAILABLE"
    # The library's own attempts come on top, each with its wait.
    assert time.monotonic() - begun < 30
    proxy.stop()  # ends the waiting ones
    proxy.delay = 0.0
    proxy.start()
    assert await keys(store) == [KEY]
    await store.put_file(KEY + "2", big)
    assert await keys(store) == [KEY, KEY + "2"]
