"""Datastores and their files, against a real emulator."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azureml.core import Datastore, Workspace
from azureml.data.azure_storage_datastore import AzureBlobDatastore, AzureFileDatastore
from azureml.exceptions import UserErrorException


@pytest.fixture
def datastore(workspace: Workspace) -> AzureBlobDatastore:
    store = workspace.get_default_datastore()
    assert isinstance(store, AzureBlobDatastore)
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in ("data/a.txt", "data/sub/b c.txt", "data/sub/ü"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    return tmp_path / "data"


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_goes_up_and_comes_down(
    datastore: AzureBlobDatastore, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = datastore.upload(str(folder), "target/./here/")
    assert re.fullmatch(r"\$AZUREML_DATAREFERENCE_[0-9a-f]{32}", str(reference))
    assert (reference.path_on_datastore, reference.mode) == ("target/here", "mount")
    lines = capsys.readouterr().out.splitlines()
    assert set(lines[:-1]) >= {f"Uploading {folder / 'a.txt'}", f"Uploading {folder / 'sub' / 'ü'}"}
    assert re.fullmatch(r"Uploaded .*, 3 files out of an estimated total of 3", lines[-2])
    assert lines[-1] == "Uploaded 3 files"
    assert datastore.download(str(tmp_path / "down"), "target") == 3
    assert files(tmp_path / "down" / "target" / "here") == files(folder)


def test_existing_files_stay_unless_overwritten(
    datastore: AzureBlobDatastore, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    datastore.upload(str(folder), "t", show_progress=False)
    (folder / "a.txt").write_text("new")
    (folder / "c.txt").write_text("c")
    capsys.readouterr()
    datastore.upload(str(folder), "t")
    told = capsys.readouterr().out.splitlines()
    assert "Target already exists. Skipping upload for t/a.txt" in told
    assert told[-1] == "Uploaded 1 files"
    assert datastore.download(str(tmp_path / "one"), show_progress=False) == 4
    assert (tmp_path / "one/t/a.txt").read_text() == "data/a.txt"
    datastore.upload(str(folder), "t", overwrite=True, show_progress=False)
    assert datastore.download(str(tmp_path / "one"), show_progress=False) == 0
    assert datastore.download(str(tmp_path / "one"), overwrite=True, show_progress=False) == 4
    assert (tmp_path / "one/t/a.txt").read_text() == "new"
    assert capsys.readouterr().out == ""


def test_single_files_lose_what_their_paths_have_in_common(
    datastore: AzureBlobDatastore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    names = ["sub/b c.txt", str(folder / "a.txt")]
    reference = datastore.upload_files(names, target_path="x", show_progress=False)
    assert reference.path_on_datastore == "x"
    datastore.upload_files(["a.txt"], show_progress=False)
    datastore.upload_files(["sub/ü"], relative_root="..", target_path="y", show_progress=False)
    datastore.download(str(tmp_path / "down"), show_progress=False)
    assert set(files(tmp_path / "down")) == {"x/sub/b c.txt", "x/a.txt", "a.txt", "y/data/sub/ü"}
    with pytest.raises(UserErrorException, match="not below relative_root"):
        datastore.upload_files(["a.txt"], relative_root="sub")


def test_what_is_not_there_is_named(datastore: AzureBlobDatastore, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserErrorException, match="nothing to upload does not exist"):
        datastore.upload(str(tmp_path / "nothing"))
    with pytest.raises(UserErrorException, match="use upload_files"):
        datastore.upload(str(folder / "a.txt"))
    with pytest.raises(UserErrorException, match=r"missing\.txt to upload does not exist"):
        datastore.upload_files([str(folder / "missing.txt")])
    with pytest.raises(UserErrorException, match="list of paths"):
        datastore.upload_files(str(folder / "a.txt"))
    assert datastore.download(str(tmp_path / "down"), "nowhere") == 0


@pytest.mark.parametrize("target", ["../x", "a/../../b", "a\x01b", "x" * 300])
def test_paths_that_lead_out_are_refused(datastore: AzureBlobDatastore, folder: Path, target: str) -> None:
    with pytest.raises(UserErrorException):
        datastore.upload(str(folder), target)


def test_more_files_than_one_call_takes(datastore: AzureBlobDatastore, tmp_path: Path) -> None:
    source = tmp_path / "many"
    source.mkdir()
    for number in range(1100):
        (source / f"{number:04}").write_text(str(number))
    datastore.upload(str(source), "many", show_progress=False)
    assert datastore.download(str(tmp_path / "down"), "many", show_progress=False) == 1100
    assert files(tmp_path / "down" / "many") == files(source)


def test_a_big_file_comes_back_bit_for_bit(datastore: AzureBlobDatastore, tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    with (tmp_path / "big").open("wb") as file:
        for number in range(48):
            file.write(bytes([number]) + block)
    datastore.upload_files([str(tmp_path / "big")], show_progress=False)
    datastore.download(str(tmp_path / "down"), "big", show_progress=False)
    assert (tmp_path / "down" / "big").read_bytes() == (tmp_path / "big").read_bytes()


def test_registering(workspace: Workspace) -> None:
    made = Datastore.register_azure_blob_container(
        workspace, datastore_name="mine", container_name="c", account_name="a", account_key="secret"
    )
    assert type(made) is AzureBlobDatastore
    found = Datastore.get(workspace, "mine")
    assert (found.container_name, found.account_name, found.protocol) == ("c", "a", "https")
    assert (found.credential_type, found.account_key, found.endpoint) == ("AccountKey", None, "core.windows.net")
    share = Datastore.register_azure_file_share(workspace, "share", "s", "a", sas_token="t")
    assert type(share) is AzureFileDatastore
    assert share.is_sas
    assert set(workspace.datastores) == {"mine", "share", "workspaceblobstore", "workspacefilestore"}
    with pytest.raises(UserErrorException, match="overwrite=True"):
        Datastore.register_azure_blob_container(workspace, "mine", "other", "a")
    again = Datastore.register_azure_blob_container(workspace, "mine", "other", "a", overwrite=True)
    assert again.container_name == "other"
    with pytest.raises(UserErrorException, match="not both"):
        Datastore.register_azure_blob_container(workspace, "x", "c", "a", sas_token="t", account_key="k")
    found.unregister()
    with pytest.raises(UserErrorException, match="mine"):
        Datastore.get(workspace, "mine")


def test_files_survive_unregistering(workspace: Workspace, folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        store = Datastore.register_azure_blob_container(
            workspace, "mine", "container-x", f"account{workspace.name[3:]}"
        )
        count = store.download(str(tmp_path / "down"), overwrite=True, show_progress=False)
        store.upload(str(folder), show_progress=False)
        store.unregister()
    assert count == 3


def test_kinds_without_files_keep_their_settings_and_no_secret(workspace: Workspace) -> None:
    made = Datastore.register_azure_sql_database(
        workspace, "sql", "server", "database", tenant_id="t", client_id="c", client_secret="very secret"
    )
    found = Datastore.get(workspace, "sql")
    for store in (made, found):
        assert store.datastore_type == "AzureSqlDatabase"
        assert (store.server_name, store.database_name, store.tenant_id) == ("server", "database", "t")
        assert "very secret" not in repr(store) + repr(vars(store))
    postgres = Datastore.register_azure_postgre_sql(workspace, "pg", "s", "d", "user", "password")
    assert postgres.port_number == 5432
    lake = Datastore.register_azure_data_lake(workspace, "lake", "store")
    assert lake.store_name == "store"


@pytest.mark.parametrize(
    ("register", "kind"),
    [
        (lambda ws: Datastore.register_azure_data_lake(ws, "x", "s", "t", "c", "very secret"), "AzureDataLake"),
        (
            lambda ws: Datastore.register_azure_data_lake_gen2(ws, "x", "f", "a", "t", "c", "very secret"),
            "AzureDataLakeGen2",
        ),
        (
            lambda ws: Datastore.register_azure_sql_database(ws, "x", "s", "d", username="u", password="very secret"),
            "AzureSqlDatabase",
        ),
        (
            lambda ws: Datastore.register_azure_postgre_sql(ws, "x", "s", "d", "u", "very secret", enforce_ssl=False),
            "AzurePostgreSql",
        ),
        (lambda ws: Datastore.register_azure_my_sql(ws, "x", "s", "d", "u", "very secret"), "AzureMySql"),
        (lambda ws: Datastore.register_dbfs(ws, "x"), "DBFS"),
        (
            lambda ws: Datastore.register_hdfs(
                ws, "x", "http", "n:1", None, "r", "k:88", "p", kerberos_password="very secret"
            ),
            "Hdfs",
        ),
    ],
)
def test_every_kind_without_data_is_kept_and_its_data_refused(
    workspace: Workspace, register: Callable[[Workspace], Any], kind: str
) -> None:
    made = register(workspace)
    found = workspace.datastores["x"]
    assert (made.datastore_type, found.datastore_type) == (kind, kind)
    assert vars(found) == vars(made) | {"_workspace": found._workspace}
    assert "very secret" not in repr(found) + repr(vars(found))
    for use in (
        lambda: found.upload("."),
        lambda: found.download("."),
        lambda: found.path("a"),
        lambda: found.as_mount(),
    ):
        with pytest.raises(UserErrorException, match=f"kind {kind}, whose data LocalAML cannot reach"):
            use()
    found.unregister()
    assert "x" not in workspace.datastores


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "x" * 300, ""])
def test_bad_names_are_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(UserErrorException):
        Datastore.register_azure_blob_container(workspace, name, "c", "a")
