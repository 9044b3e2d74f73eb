"""Stores that do not keep to what they should: bytes are right, or there is an error that says what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.storage.lying_server import LyingServer

from localaml.errors import FailedPrecondition, LocalAmlError
from localaml.storage.azure_blob import AZURITE_ACCOUNT, AZURITE_KEY, AzureAccount, AzureBlobStore
from localaml.storage.remote import RemoteStore
from localaml.storage.s3 import S3Store
from localaml.storage.s3_client import S3Account

KEY = "localaml/my-container/folder/file.bin"
SIZE = 20_000_000


@pytest.fixture
def server() -> Iterator[LyingServer]:
    with LyingServer(os.urandom(SIZE)) as made:
        yield made


@pytest.fixture(params=["s3", "azure"])
def store(request: pytest.FixtureRequest, server: LyingServer) -> Iterator[RemoteStore]:
    made: RemoteStore
    if request.param == "s3":
        made = S3Store(S3Account(server.url, access_key="test", secret_key="test"), patience_seconds=1)
    else:
        account = AzureAccount(f"{server.url}/{AZURITE_ACCOUNT}", AZURITE_ACCOUNT, AZURITE_KEY)
        made = AzureBlobStore(account, patience_seconds=1)
    yield made
    made.close()


async def get(store: RemoteStore, target: Path) -> bytes | LocalAmlError:
    """The bytes, or the error after which there is no file."""
    try:
        await store.get_file(KEY, target)
    except LocalAmlError as error:
        assert not target.exists()
        return error
    return target.read_bytes()


async def test_a_server_that_keeps_to_it(store: RemoteStore, server: LyingServer, tmp_path: Path) -> None:
    """Else the other tests could say nothing."""
    server.break_after = 3_000_000
    assert await get(store, tmp_path / "file") == server.content
    assert server.break_after is None


async def test_ranges_that_are_ignored(store: RemoteStore, server: LyingServer, tmp_path: Path) -> None:
    server.ignores_range, server.break_after = True, 3_000_000
    got = await get(store, tmp_path / "file")
    if isinstance(got, LocalAmlError):
        assert got.reason == "OBJECT_STORE_REFUSED" and "range" in str(got)
    else:
        assert got == server.content


async def test_ranges_of_other_bytes(store: RemoteStore, server: LyingServer, tmp_path: Path) -> None:
    server.range_shift, server.break_after = -7, 3_000_000
    got = await get(store, tmp_path / "file")
    assert isinstance(got, LocalAmlError) or got == server.content, "these are other bytes"


async def test_a_condition_that_is_ignored(store: RemoteStore, server: LyingServer, tmp_path: Path) -> None:
    """A stranger replaces the object while it is read, by another one of the same size."""
    server.ignores_condition, server.break_after = True, 3_000_000
    server.next_content, server.next_tag = os.urandom(SIZE), '"second"'
    got = await get(store, tmp_path / "file")
    assert isinstance(got, FailedPrecondition) and got.reason == "OBJECT_REPLACED"


@pytest.mark.parametrize("header", ["ETag", "Last-Modified", "Content-Length", "Content-Range"])
async def test_answers_without_what_is_needed(
    store: RemoteStore, server: LyingServer, tmp_path: Path, header: str
) -> None:
    server.without, server.content = (header,), server.content[:100]
    if header == "Content-Length":
        server.content = b""  # no end of the body could be told
    got = await get(store, tmp_path / "file")
    assert isinstance(got, LocalAmlError) or got == server.content


async def test_nobody_is_followed_to_another_host_with_what_proves_who_we_are(
    store: RemoteStore, server: LyingServer, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"secret bytes")
    with LyingServer() as other:
        server.redirect_to = other.url
        with pytest.raises(LocalAmlError):
            await store.get_file(KEY, tmp_path / "file")
        with pytest.raises(LocalAmlError):
            await store.put_file(KEY, tmp_path / "source")
        with pytest.raises(LocalAmlError):
            await store.list("localaml/my-container/")
        for method, path, headers in other.seen:
            assert "authorization" not in headers and "x-amz-security-token" not in headers, (method, path)
            assert method != "PUT", "bytes of ours went to another host"
