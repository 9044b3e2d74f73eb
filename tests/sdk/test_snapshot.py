"""Packing source folders."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.fake_server import FakeServer

from azureml._localaml import snapshot
from azureml._localaml.client import Client
from azureml._localaml.snapshot import create_snapshot, list_source_files
from azureml.core import Workspace
from azureml.exceptions import SnapshotException, UserErrorException

CREATE = "/localaml.v1.SnapshotService/CreateSnapshot"


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def names(folder: Path) -> list[str]:
    return [file.path for file in list_source_files(str(folder))]


@pytest.fixture
def contents(server: FakeServer) -> dict[str, bytes]:
    """Makes the server answer as the emulator does: it asks for the contents it lacks."""

    def create(request: dict[str, Any]) -> dict[str, Any]:
        missing = [entry["sha256"] for entry in request["entries"] if "/content/" + entry["sha256"] not in server.files]
        if missing:
            return {
                "missing": [
                    {"path": sha256, "url": f"{server.address}/content/{sha256}"} for sha256 in dict.fromkeys(missing)
                ]
            }
        return {"snapshot": {"snapshotId": hashlib.sha256(repr(request["entries"]).encode()).hexdigest()}}

    server.unary[CREATE] = create
    return server.files


def test_only_missing_contents_travel(
    server: FakeServer, client: Client, contents: dict[str, bytes], tmp_path: Path
) -> None:
    write(tmp_path, "train.py", "lib/a.py", "lib/b.py")
    (tmp_path / "copy of train.py").write_text("train.py")
    first = create_snapshot(client, "workspaces/w", str(tmp_path))
    assert sorted(contents.values()) == [b"lib/a.py", b"lib/b.py", b"train.py"]
    assert create_snapshot(client, "workspaces/w", str(tmp_path)) == first
    puts = [path for method, path, _ in server.requests if method == "PUT"]
    assert len(puts) == 3
    (tmp_path / "lib" / "a.py").write_text("changed")
    assert create_snapshot(client, "workspaces/w", str(tmp_path)) != first
    puts = [path for method, path, _ in server.requests if method == "PUT"]
    assert len(puts) == 4


def test_a_rewritten_file_is_hashed_anew_although_its_time_and_size_stay(
    client: Client, contents: dict[str, bytes], tmp_path: Path
) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    first = create_snapshot(client, "w", str(tmp_path))
    stamp = file.stat().st_mtime_ns
    file.write_text("2")
    os.utime(file, ns=(stamp, stamp))
    assert create_snapshot(client, "w", str(tmp_path)) != first


def test_entries_say_what_a_file_is(server: FakeServer, client: Client, tmp_path: Path) -> None:
    write(tmp_path, "run.sh", "empty")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "empty").write_bytes(b"")
    seen: list[dict[str, Any]] = []

    def create(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"snapshot": {"snapshotId": "id"}}

    server.unary[CREATE] = create
    assert create_snapshot(client, "subscriptions/s/w", str(tmp_path)) == "id"
    assert seen[0]["parent"] == "subscriptions/s/w"
    digest = hashlib.sha256(b"run.sh").hexdigest()
    assert seen[0]["entries"] == [
        {"path": "empty", "sha256": hashlib.sha256().hexdigest(), "sizeBytes": "0"},
        {"path": "run.sh", "sha256": digest, "sizeBytes": "6", "executable": True},
    ]


def test_ignored_folders_are_not_entered(tmp_path: Path) -> None:
    write(tmp_path, "a.py", ".git/config", "x/__pycache__/a.pyc", "node/deep/b", "x/c", ".azureml/config.json")
    (tmp_path / ".amlignore").write_text("/node/\n")
    (tmp_path / "node" / "out").symlink_to("/etc")
    assert names(tmp_path) == [".amlignore", ".azureml/config.json", "a.py", "x/c"]


def test_a_single_file_is_a_snapshot(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "b.py")
    assert names(tmp_path / "a.py") == ["a.py"]


def test_links_inside_are_followed(tmp_path: Path) -> None:
    write(tmp_path, "real/a.py")
    (tmp_path / "alias.py").symlink_to("real/a.py")
    (tmp_path / "other").symlink_to(tmp_path / "real")
    assert names(tmp_path) == ["alias.py", "other/a.py", "real/a.py"]


def test_links_that_lead_out_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    source = tmp_path / "source"
    write(source, "a.py")
    (source / "link").symlink_to("../secret")
    with pytest.raises(SnapshotException, match=r"link is a symbolic link to .*secret.*'/link'"):
        list_source_files(str(source))
    (source / ".amlignore").write_text("/link\n")
    assert names(source) == [".amlignore", "a.py"]
    (tmp_path / "source-two").mkdir()
    (source / "sibling").symlink_to(tmp_path / "source-two")
    with pytest.raises(SnapshotException, match="sibling"):
        list_source_files(str(source))


def test_a_link_to_a_folder_above_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a/b/c.py")
    (tmp_path / "a" / "b" / "loop").symlink_to("..")
    with pytest.raises(SnapshotException, match="a folder that contains it"):
        list_source_files(str(tmp_path))


def test_what_is_no_file_stays_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a.py")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listening:
        folder = os.open(tmp_path, os.O_RDONLY)
        try:
            listening.bind(f"/proc/self/fd/{folder}/socket")
        finally:
            os.close(folder)
        assert names(tmp_path) == ["a.py"]
    assert len(caplog.records) == 3


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.py")).write_text("x")
    with pytest.raises(SnapshotException, match="Unicode"):
        list_source_files(str(tmp_path))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserErrorException, match="nowhere does not exist"):
        list_source_files(str(tmp_path / "nowhere"))


def test_over_300_mb_the_error_names_the_biggest_and_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, "train.py")
    with (tmp_path / "data.bin").open("wb") as file:
        file.truncate(snapshot.MAX_BYTES)
    with pytest.raises(SnapshotException, match=r"data\.bin \(300\.0 MB\).*\.amlignore.*datastore"):
        list_source_files(str(tmp_path))
    (tmp_path / "train.py").unlink()
    assert names(tmp_path) == ["data.bin"]


def test_over_2000_files_only_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(snapshot.NO_FILE_LIMIT_VARIABLE, raising=False)
    for number in range(2001):
        (tmp_path / f"{number}").touch()
    with pytest.raises(SnapshotException, match="2001 files; the limit is 2000"):
        list_source_files(str(tmp_path))
    monkeypatch.setenv(snapshot.NO_FILE_LIMIT_VARIABLE, "true")
    assert len(names(tmp_path)) == 2001


def test_a_file_that_changes_while_it_is_sent_is_taken_as_it_is_then(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = snapshot._upload
    contents = iter(["the second content"])

    def change_and_send(client: Client, missing: list[tuple[str, snapshot.SourceFile]]) -> None:
        for content in contents:
            (tmp_path / "notebook.db").write_text(content)
            break
        send(client, missing)

    (tmp_path / "notebook.db").write_text("first")
    monkeypatch.setattr(snapshot, "_upload", change_and_send)
    made = create_snapshot(workspace._client, workspace._resource_name, str(tmp_path))
    request = {"parent": workspace._resource_name, "snapshotId": made}
    [entry] = workspace._client.call("SnapshotService", "GetSnapshot", request)["entries"]
    assert entry["sizeBytes"] == str(len("the second content"))
    contents = (f"content {'x' * number}" for number in range(100))
    (tmp_path / "notebook.db").write_text("again")
    with pytest.raises(SnapshotException, match=r"notebook\.db changed while it was sent"):
        create_snapshot(workspace._client, workspace._resource_name, str(tmp_path))
