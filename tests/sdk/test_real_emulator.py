"""The client against a real emulator: snapshots, restarts, old interpreters."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.sdk.test_imports import SDK, VERSIONS
from tests.support.emulator_process import EmulatorProcess
from tests.support.old_pythons import need_python

from azureml._localaml import client as client_module
from azureml._localaml.client import get_client
from azureml._localaml.snapshot import create_snapshot
from azureml.core import Workspace
from azureml.exceptions import AzureMLException, UserErrorException


def test_a_snapshot_arrives_and_can_be_read_back(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "train.py").write_text("print('ä')")
    (tmp_path / "lib" / "empty.py").touch()
    first = create_snapshot(workspace._client, workspace._resource_name, str(tmp_path))
    assert create_snapshot(workspace._client, workspace._resource_name, str(tmp_path)) == first
    request = {"parent": workspace._resource_name, "snapshotId": first}
    answer = workspace._client.call("SnapshotService", "GetSnapshot", request)
    contents = {url["path"]: workspace._client.transfer.read(url["url"]) for url in answer["urls"]}
    assert contents == {"train.py": "print('ä')".encode(), "lib/empty.py": b""}


def test_more_files_than_azures_limit_travel_when_both_sides_allow_it(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(2100):
        (source / f"{number}").write_text(str(number % 50))
    monkeypatch.setenv("AML_SNAPSHOT_NO_FILE_LIMIT", "true")
    with EmulatorProcess(tmp_path / "state", tmp_path / "cache", snapshot_file_limit=3000) as roomy:
        monkeypatch.setenv("LOCALAML_STATE_DIR", str(roomy.state_dir))
        other = Workspace.create("ws", show_output=False)
        assert create_snapshot(other._client, other._resource_name, str(source))
        other._client.close()


def test_an_altered_url_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    store = workspace.get_default_datastore()
    request = {"name": store._resource_name, "paths": ["a"], "overwrite": True}
    url = workspace._client.call("DatastoreService", "CreateDatastoreUploadUrls", request)["urls"][0]["url"]
    workspace._client.transfer.upload_file(url, b"x")
    assert "/a?" in url
    with pytest.raises(AzureMLException) as caught:
        workspace._client.transfer.upload_file(url.replace("/a?", "/b?"), b"x")
    assert caught.value.reason.startswith("SIGNED_URL")
    with pytest.raises(AzureMLException) as caught:
        workspace._client.transfer.download_file(url, tmp_path / "x")
    assert caught.value.reason.startswith("SIGNED_URL")


@contextmanager
def taken(port: str) -> Iterator[None]:
    """Somebody else has this port."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", int(port)))
        holder.listen()
        yield


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_a_restart_on_other_ports_goes_unnoticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setenv("LOCALAML_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCALAML_TRANSPORT", transport)
    for name in ("LOCALAML_ENDPOINT", "AZUREML_RUN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    emulator = EmulatorProcess(tmp_path / "state", tmp_path / "cache")
    with emulator:
        workspace = Workspace.create("ws", show_output=False)
        old = dict(emulator.endpoint)
        request = {"name": workspace.get_default_datastore()._resource_name, "paths": ["a"], "overwrite": True}
        url = workspace._client.call("DatastoreService", "CreateDatastoreUploadUrls", request)["urls"][0]["url"]
        emulator.kill()
        # It would take its old ports again.
        with taken(old["http_address"].rpartition(":")[2]), taken(old["grpc_address"].rpartition(":")[2]):
            emulator.start()
        assert emulator.endpoint["http_address"] != old["http_address"]
        assert emulator.endpoint["grpc_address"] != old["grpc_address"]
        assert workspace.get_details()["name"] == "ws"
        # A URL that was signed before goes on, at the address of now.
        assert workspace._client.transfer.upload_file(url, b"content") == 7
        assert workspace.get_default_datastore().download(str(tmp_path / "down"), show_progress=False) == 1
    monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.2)
    with pytest.raises(UserErrorException, match="localaml start -d"):
        workspace.get_details()
    with pytest.raises(UserErrorException, match="localaml start -d"):
        Workspace.list("any")
    workspace._client.close()


PROGRAM = """
import os, sys
for name in ("grpc", "google"):
    sys.modules[name] = None
from azureml.core import Workspace, ComputeTarget
from azureml.core.compute import AmlCompute
from azureml._localaml.snapshot import create_snapshot
ws = Workspace.create(sys.argv[1], subscription_id="tests", resource_group="old", show_output=False)
try:
    cluster = ComputeTarget.create(ws, "cpu", AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes="1"))
    cluster.wait_for_completion()
    store = ws.get_default_datastore()
    store.upload(".", "x", show_progress=False)
    assert store.download("down", "x", show_progress=False) == 1
    assert create_snapshot(ws._client, ws._resource_name, ".")
    cluster.delete()
    cluster.wait_for_completion(is_delete_operation=True)
finally:
    ws.delete()
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_old_interpreters_with_nothing_installed(version: str, connected: EmulatorProcess, tmp_path: Path) -> None:
    interpreter = sys.executable if version == VERSIONS[0] else need_python(version)
    (tmp_path / "a.txt").write_text("a")
    done = subprocess.run(
        [interpreter, "-Werror", "-Wignore::PendingDeprecationWarning", "-c", PROGRAM, f"old-{len(sys.version)}"],
        env={"PYTHONPATH": str(SDK), "LOCALAML_STATE_DIR": str(connected.state_dir), "PATH": os.environ["PATH"]},
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_forked_child_of_a_grpc_user_gets_answers(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LOCALAML_TRANSPORT", raising=False)
    workspace._client.close()
    assert workspace.get_details()["name"] == workspace.name
    assert type(workspace._client._get_transport()).__name__ == "GrpcTransport"
    child = os.fork()
    if child == 0:
        try:
            store = workspace.get_default_datastore()
            (tmp_path / "a").write_text("from the child")
            store.upload_files([str(tmp_path / "a")], show_progress=False)
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert workspace.get_default_datastore().download(str(tmp_path / "down"), show_progress=False) == 1


def test_grpcio_without_the_protocol_leads_to_http(connected: EmulatorProcess) -> None:
    """tensorboard and others bring grpcio; `localaml_proto` comes with LocalAML's extra only."""
    program = (
        "import sys; sys.modules['localaml_proto'] = None; import grpc\n"
        "from azureml.core import Workspace; print(type(Workspace.list('nothing')).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "dict"), done.stderr


def test_the_client_is_shared(workspace: Workspace) -> None:
    assert get_client() is workspace._client


def test_a_snapshot_over_300_mb_where_the_limit_is_raised(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azureml._localaml.snapshot import create_snapshot
    from azureml._restclient import snapshots_client
    from azureml.exceptions import SnapshotException, UserErrorException

    with (tmp_path / "weights.bin").open("wb") as file:
        file.truncate(300 * 1024 * 1024 + 1)
    client, name = workspace._client, workspace._resource_name
    with pytest.raises(SnapshotException, match=r"snapshots_client\.SNAPSHOT_MAX_SIZE_BYTES"):
        create_snapshot(client, name, str(tmp_path))
    monkeypatch.setattr(snapshots_client, "SNAPSHOT_MAX_SIZE_BYTES", 2e9)
    assert create_snapshot(client, name, str(tmp_path))
    monkeypatch.setattr(snapshots_client, "SNAPSHOT_MAX_SIZE_BYTES", 1000)
    with pytest.raises(SnapshotException, match=r"the limit is 0\.0 MB"):
        create_snapshot(client, name, str(tmp_path))
    monkeypatch.setattr(snapshots_client, "SNAPSHOT_MAX_SIZE_BYTES", "2 GB")
    with pytest.raises(UserErrorException, match="must be a number above 0, not '2 GB'"):
        create_snapshot(client, name, str(tmp_path))
