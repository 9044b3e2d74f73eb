"""Bytes to and from signed URLs, against a real HTTP server."""

from __future__ import annotations

import io
import os
import resource
import threading
import tracemalloc
from pathlib import Path

import pytest
from tests.sdk.fake_server import FakeServer

from azureml._localaml.client import Client
from azureml._localaml.transfer import Download, Upload, Watcher
from azureml.exceptions import AzureMLException

CONTENT = os.urandom(3_000_001)


@pytest.mark.parametrize("size", [0, 1, 4096, 3_000_001])
def test_a_file_arrives_as_it_is(server: FakeServer, client: Client, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "a", tmp_path / "new" / "folder" / "b"
    source.write_bytes(CONTENT[:size])
    url = server.address + "/bytes/x?signature=1%2F2"
    assert client.transfer.upload_file(url, source) == size
    assert server.files["/bytes/x?signature=1%2F2"] == CONTENT[:size]
    assert client.transfer.download_file(url, target) == size
    assert target.read_bytes() == CONTENT[:size]
    assert server.connections == 1


def test_streams_and_bytes_can_be_sent(server: FakeServer, client: Client, tmp_path: Path) -> None:
    url = server.address + "/x"
    client.transfer.upload_file(url, b"bytes")
    assert server.files["/x"] == b"bytes"
    stream = io.BytesIO(b"from here to the end")
    stream.seek(5)
    assert client.transfer.upload_file(url, stream) == 15
    assert server.files["/x"] == b"here to the end"
    read, write = os.pipe()
    with os.fdopen(write, "wb") as sink:
        sink.write(b"piped")
    with os.fdopen(read, "rb") as pipe:
        client.transfer.upload_file(url, pipe)
    assert server.files["/x"] == b"piped"
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    with file.open("rb") as opened:
        opened.seek(1_000_000)
        client.transfer.upload_file(url, opened)
    assert server.files["/x"] == CONTENT[1_000_000:]


def test_an_interrupted_download_goes_on_where_it_stopped(server: FakeServer, client: Client, tmp_path: Path) -> None:
    server.files["/x"] = CONTENT
    server.cut = [1_500_000, 0, 10]
    assert client.transfer.download_file(server.address + "/x", tmp_path / "t") == len(CONTENT)
    assert (tmp_path / "t").read_bytes() == CONTENT
    ranges = [headers.get("Range") for _, _, headers in server.requests]
    assert ranges == [None, "bytes=1500000-", "bytes=1500000-", "bytes=1500010-"]
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_file_that_changed_on_the_way_is_fetched_anew(server: FakeServer, client: Client, tmp_path: Path) -> None:
    server.files["/x"] = CONTENT
    server.cut = [1_500_000]
    seen = []

    def change() -> bool:
        seen.append(1)
        if len(seen) == 2:
            server.files["/x"] = CONTENT[::-1][:2_000_000]
        return False

    server.drop = change
    client.transfer.download_file(server.address + "/x", tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == CONTENT[::-1][:2_000_000]


def test_an_upload_is_sent_again_when_the_connection_is_lost(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    drops = iter([True])
    server.drop = lambda: next(drops, False)
    client.transfer.upload_file(server.address + "/x", io.BytesIO(b"again"))
    assert server.files == {"/x": b"again"}


def test_a_missing_file_leaves_nothing_behind(server: FakeServer, client: Client, tmp_path: Path) -> None:
    with pytest.raises(AzureMLException) as caught:
        client.transfer.download_file(server.address + "/none", tmp_path / "t")
    assert caught.value.reason == "ARTIFACT_NOT_FOUND"
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_target_is_its_own_error(server: FakeServer, client: Client, tmp_path: Path) -> None:
    server.files["/x"] = CONTENT
    with pytest.raises(IsADirectoryError):
        client.transfer.download_file(server.address + "/x", tmp_path)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, old[1]))  # as a disk that is full
    try:
        with pytest.raises(OSError) as caught:
            client.transfer.download_file(server.address + "/x", tmp_path / "t")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert not isinstance(caught.value, AzureMLException)
    assert list(tmp_path.iterdir()) == []
    assert len(server.requests) == 1


def test_a_file_that_shrinks_while_it_is_sent_is_told(server: FakeServer, client: Client) -> None:
    with pytest.raises(OSError, match="shorter"):
        client.transfer.upload_file(server.address + "/x", io.BytesIO(b"abc"), size=10)
    assert server.files == {}


def test_many_files_travel_side_by_side(server: FakeServer, client: Client, tmp_path: Path) -> None:
    started, done, at = [], [], {}
    main = threading.current_thread()

    class Watch(Watcher):
        def started(self, index: int) -> None:
            started.append(index)

        def moved(self, index: int, position: int, count: int) -> None:
            at[index] = (position, count)

        def done(self, index: int) -> None:
            assert threading.current_thread() is main
            done.append(index)

    uploads = [Upload(f"{server.address}/{i}", CONTENT[i : 1000 + i]) for i in range(200)]
    assert client.transfer.upload_files(uploads, Watch()) == 200_000
    assert sorted(done) == sorted(started) == list(range(200))
    assert at == {i: (1000, 1000) for i in range(200)}
    assert server.connections <= 4
    downloads = [Download(f"{server.address}/{i}", str(tmp_path / str(i))) for i in range(200)]
    assert client.transfer.download_files(downloads) == 200_000
    assert all((tmp_path / str(i)).read_bytes() == CONTENT[i : 1000 + i] for i in range(200))


def test_the_first_failure_of_many_is_raised(server: FakeServer, client: Client, tmp_path: Path) -> None:
    for i in range(50):
        server.files[f"/{i}"] = b"x"
    del server.files["/7"]
    with pytest.raises(AzureMLException, match="nothing at /7"):
        client.transfer.download_files([Download(f"{server.address}/{i}", str(tmp_path / str(i))) for i in range(50)])


def test_a_range_can_be_read(server: FakeServer, client: Client) -> None:
    server.files["/x"] = CONTENT
    read = client.transfer.read
    assert read(server.address + "/x", 10, 5) == CONTENT[10:15]
    assert read(server.address + "/x", 2_999_990) == CONTENT[2_999_990:]
    assert read(server.address + "/x", 5_000_000, 5) == b""
    assert read(server.address + "/x") == CONTENT


def test_memory_stays_flat(server: FakeServer, client: Client, tmp_path: Path) -> None:
    server.files["/big"] = bytes(32 << 20)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        client.transfer.download_file(server.address + "/big", tmp_path / "copy")
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert (tmp_path / "copy").stat().st_size == 32 << 20
    assert peak < 4 << 20, f"{peak} bytes for a file of 32 MiB"
