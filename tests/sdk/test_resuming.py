"""Transfers of datastores that are interrupted, and called again: what is complete does not travel twice.

The client is a process of its own that is killed; the emulator counts what it is asked for.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.storage.faulty_proxy import FaultyProxy

from azureml._localaml import part_files
from azureml._localaml.transfer import Upload
from azureml.exceptions import AzureMLException
from localaml.testing.plugin import workspace as workspace

MIB = 1 << 20
# Connects as a user does, and then does what it is told in one line.
CLIENT = """
import os, signal, sys
from azureml.core import Workspace
workspace = Workspace.get(sys.argv[1], subscription_id=sys.argv[2], resource_group=sys.argv[3])
store = workspace.get_default_datastore()
exec(sys.argv[4])
"""
# Kills itself when the first file has come so far.
DIE_AT = """
from azureml._localaml import progress
original = progress.Display.moved
def moved(self, name, position, count, size):
    if position >= {0}:
        os.kill(os.getpid(), signal.{1})
    original(self, name, position, count, size)
progress.Display.moved = moved
"""


class Client:
    """Clients of one workspace, in processes of their own."""

    def __init__(self, workspace: Any) -> None:
        self._words = [workspace.name, workspace.subscription_id, workspace.resource_group]

    def start(self, code: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-u", "-c", CLIENT, *self._words, code],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kill_after(self, code: str, lines: int) -> None:
        """Kills it when it has written so many lines that files have arrived."""
        process = self.start(code)
        assert process.stdout is not None
        told = []
        with process.stdout:
            for line in process.stdout:
                told.append(line)
                lines -= "files out of an estimated total" in line
                if lines == 0:
                    process.kill()
                    break
        assert process.wait(30) == -signal.SIGKILL, "".join(told)

    def run(self, code: str, ends_with: int = 0) -> str:
        process = self.start(code)
        told, _ = process.communicate(timeout=120)
        assert process.returncode == ends_with, told
        return told


@pytest.fixture
def client(workspace: Any) -> Client:
    return Client(workspace)


@pytest.fixture
def store(workspace: Any) -> Any:
    return workspace.get_default_datastore()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number:03}").write_bytes(os.urandom(1000))
    return folder


def transfers(faults: Any, method: str) -> Iterator[int]:
    """How many transfers there were since the last time; each takes a little longer, so that it can be interrupted."""
    rule = faults.add("delay", method=f"bytes/{method}/datastore", delay_seconds=0.01)
    before = 0
    while True:
        [now] = [each.seen for each in faults.list() if each.fault_id == rule.fault_id]
        yield now - before
        before = now


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_upload_that_was_killed_sends_only_what_is_missing(
    client: Client, store: Any, source: Path, tmp_path: Path, faults: Any, overwrite: bool
) -> None:
    puts = transfers(faults, "PUT")
    next(puts)
    upload = f"store.upload({str(source)!r}, 'data', overwrite={overwrite})"
    client.kill_after(upload, 60)
    there = store.download(str(tmp_path / "half"), "data", show_progress=False)
    assert 60 <= there < 300
    # Nothing that is listed is half a file.
    assert all((source / name).read_bytes() == content for name, content in files(tmp_path / "half/data").items())
    next(puts)
    told = client.run(upload)
    missing = next(puts)
    # Four were under way at most; of these some may have arrived after the client's death.
    assert 300 - there - 4 <= missing <= 300 - there
    assert told.count("Target ") == 300 - missing
    assert f"Uploaded {missing} files" in told
    store.download(str(tmp_path / "all"), "data", show_progress=False)
    assert files(tmp_path / "all/data") == files(source)
    # And once more: nothing.
    client.run(upload)
    assert next(puts) == 0


def test_what_has_another_content_is_sent_though_size_and_time_are_the_same(
    store: Any, source: Path, tmp_path: Path, faults: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    store.upload(str(source), "data", show_progress=False)
    puts = transfers(faults, "PUT")
    next(puts)
    changed = source / "007"
    before = changed.stat()
    changed.write_bytes(os.urandom(1000))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    (source / "008").write_bytes(b"longer" * 1000)
    (source / "009").write_bytes(b"")
    store.upload(str(source), "data", overwrite=True)
    assert next(puts) == 3
    told = capsys.readouterr().out.splitlines()
    assert f"Target is the same already. Skipping upload of {source / '010'}" in told
    assert told[-1] == "Uploaded 3 files"
    # An empty file is the same as an empty file.
    store.upload(str(source), "data", overwrite=True, show_progress=False)
    assert next(puts) == 0
    store.download(str(tmp_path / "down"), "data", show_progress=False)
    assert files(tmp_path / "down/data") == files(source)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_download_that_was_killed_fetches_only_what_is_missing(
    client: Client, store: Any, source: Path, tmp_path: Path, faults: Any, overwrite: bool
) -> None:
    store.upload(str(source), "data", show_progress=False)
    gets = transfers(faults, "GET")
    next(gets)
    download = f"print(store.download({str(tmp_path)!r}, 'data', overwrite={overwrite}))"
    client.kill_after(download, 60)
    folder = tmp_path / "data"
    there = {name: content for name, content in files(folder).items() if not name.startswith(".")}
    assert 60 <= len(there) < 300
    assert all((source / name).read_bytes() == content for name, content in there.items())
    next(gets)
    told = client.run(download)
    assert next(gets) == 300 - len(there)
    assert told.splitlines()[-1] == str(300 if overwrite else 300 - len(there))
    assert files(folder) == files(source)  # also: nothing hidden is left


def test_an_unchanged_big_file_does_not_travel(store: Any, tmp_path: Path, faults: Any) -> None:
    (tmp_path / "big").write_bytes(os.urandom(20 * MIB))
    store.upload_files([str(tmp_path / "big")], show_progress=False)
    puts, gets = transfers(faults, "PUT"), transfers(faults, "GET")
    next(puts), next(gets)
    store.upload_files([str(tmp_path / "big")], overwrite=True, show_progress=False)
    assert store.download(str(tmp_path), overwrite=True, show_progress=False) == 1
    assert (next(puts), next(gets)) == (0, 0)
    with (tmp_path / "big").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    store.upload_files([str(tmp_path / "big")], overwrite=True, show_progress=False)
    assert (next(puts), next(gets)) == (1, 0)


# -- parts of large files ---------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, workspace: Any) -> Iterator[FaultyProxy]:
    """Between the clients of this test and the emulator; counts."""
    target = workspace._client.endpoint.http_address
    with FaultyProxy(target) as made:
        monkeypatch.setenv("LOCALAML_ENDPOINT", made.url)
        monkeypatch.setenv("LOCALAML_TOKEN", workspace._client.endpoint.token)
        yield made


@pytest.fixture
def big(store: Any, tmp_path: Path) -> bytes:
    content = os.urandom(40 * MIB)
    (tmp_path / "big").write_bytes(content)
    store.upload_files([str(tmp_path / "big")], show_progress=False)
    (tmp_path / "big").unlink()
    return content


def download(tmp_path: Path, die_at: int | None = None, by: str = "SIGKILL") -> str:
    lines = "" if die_at is None else DIE_AT.format(die_at, by)
    return f"{lines}\nstore.download({str(tmp_path / 'down')!r}, show_progress=False)"


def part_of(tmp_path: Path) -> Path:
    [part] = (tmp_path / "down").iterdir()
    assert part.name.startswith(".big.")
    return part


@pytest.mark.parametrize("by", ["SIGKILL", "SIGINT"])
def test_a_big_download_goes_on_in_another_process(
    client: Client, big: bytes, proxy: FaultyProxy, tmp_path: Path, by: str
) -> None:
    client.run(download(tmp_path, 20 * MIB, by), -signal.SIGKILL if by == "SIGKILL" else -signal.SIGINT)
    size = part_of(tmp_path).stat().st_size
    assert size >= 20 * MIB
    before = proxy.received
    client.run(download(tmp_path))
    assert files(tmp_path / "down") == {"big": big}
    assert proxy.received - before < len(big) - size + MIB


def test_what_was_left_is_not_trusted(client: Client, big: bytes, proxy: FaultyProxy, tmp_path: Path) -> None:
    """As after an outage of the machine: the file is as long as it was, its end is zeros."""
    client.run(download(tmp_path, 20 * MIB), -signal.SIGKILL)
    with part_of(tmp_path).open("r+b") as file:
        file.seek(10 * MIB)
        file.write(bytes(1000))
    client.run(download(tmp_path))
    assert files(tmp_path / "down") == {"big": big}


def test_a_file_that_was_replaced_meanwhile_is_never_a_mixture(
    client: Client, big: bytes, store: Any, proxy: FaultyProxy, tmp_path: Path
) -> None:
    client.run(download(tmp_path, 20 * MIB), -signal.SIGKILL)
    other = big[: 5 * MIB] + os.urandom(20 * MIB)
    (tmp_path / "big").write_bytes(other)
    store.upload_files([str(tmp_path / "big")], overwrite=True, show_progress=False)
    client.run(download(tmp_path))
    assert files(tmp_path / "down") == {"big": other}


def test_two_clients_with_one_target_do_not_meet(client: Client, big: bytes, store: Any, tmp_path: Path) -> None:
    target = tmp_path / "down"
    target.mkdir()
    part = part_files.PartFile(str(target / "big"), True)
    part.file.write(b"another client's" * MIB)
    assert store.download(str(target), show_progress=False) == 1
    assert (target / "big").read_bytes() == big
    part.give_up(False)
    assert files(target) == {"big": big}


def test_a_link_in_the_place_of_the_part_is_not_followed(
    client: Client, big: bytes, store: Any, tmp_path: Path
) -> None:
    target, precious = tmp_path / "down", tmp_path / "precious"
    target.mkdir()
    precious.write_bytes(b"mine")
    part = part_files.PartFile(str(target / "big"), True)
    part.give_up(False)
    Path(part.path).symlink_to(precious)
    assert store.download(str(target), show_progress=False) == 1
    assert (target / "big").read_bytes() == big
    assert precious.read_bytes() == b"mine"


def test_nothing_is_left_of_a_download_that_is_refused(
    client: Client, big: bytes, store: Any, tmp_path: Path, faults: Any
) -> None:
    faults.add("error", method="bytes/GET/datastore", code="permission_denied")
    with pytest.raises(AzureMLException):
        store.download(str(tmp_path / "down"), show_progress=False)
    assert list((tmp_path / "down").iterdir()) == []


def test_one_failure_of_many_ends_those_that_are_under_way(store: Any, workspace: Any, tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, count: int = -1) -> bytes:
            self.given += count
            return bytes(count)

    request = {"name": store._resource_name, "paths": ["a", "b"], "overwrite": True}
    answer = workspace._client.call("DatastoreService", "CreateDatastoreUploadUrls", request)
    a, b = (url["url"] for url in answer["urls"])
    endless = Endless()
    with pytest.raises(FileNotFoundError):
        workspace._client.transfer.upload_files([Upload(a, endless, 1 << 40), Upload(b, str(tmp_path / "none"))])
    assert endless.given < 4 << 30
    assert store.download(str(tmp_path / "down"), show_progress=False) == 0


def test_a_part_whose_name_another_file_takes_never_becomes_the_target(tmp_path: Path) -> None:
    """A stranger can give an object of the same folder the hidden name of another one's part."""
    target = tmp_path / "data.bin"
    part = part_files.PartFile(str(target), True)
    part.file.write(b"content of data.bin")
    (tmp_path / "other").write_bytes(b"of a stranger")
    (tmp_path / "other").replace(part.path)
    with pytest.raises(OSError, match="was replaced while it was written"):
        part.finish()
    part.give_up(False)
    assert not target.exists()
    assert Path(part.path).read_bytes() == b"of a stranger"
