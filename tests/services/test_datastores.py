"""Datastores: registrations and their data."""

from __future__ import annotations

from typing import Any

import pytest
from tests.services.harness import WORKSPACE, Emulated

from localaml.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from localaml.paths import default_container
from localaml_proto.v1 import datastore_pb2, resources_pb2

D = datastore_pb2
DEFAULT = f"{WORKSPACE}/datastores/workspaceblobstore"


async def _register(emulator: Emulated, name: str = "data", **values: Any) -> datastore_pb2.Datastore:
    request_values = {key: values.pop(key) for key in ("overwrite", "secret") if key in values}
    settings = {"datastore_type": "AzureBlob", "account_name": "acc", "container_name": "con", **values}
    request = D.RegisterDatastoreRequest(
        parent=WORKSPACE, datastore_name=name, datastore=D.Datastore(**settings), **request_values
    )
    answer: datastore_pb2.Datastore = await emulator.call("DatastoreService/RegisterDatastore", request)
    return answer


async def _files(emulator: Emulated, name: str = DEFAULT, **values: Any) -> list[str]:
    answer = await emulator.call(
        "DatastoreService/ListDatastoreFiles", D.ListDatastoreFilesRequest(name=name, **values)
    )
    return [file.path for file in answer.files]


async def test_every_workspace_begins_with_two(emulator: Emulated) -> None:
    answer = await emulator.call("DatastoreService/ListDatastores", D.ListDatastoresRequest(parent=WORKSPACE))
    blob, file = answer.datastores
    workspace_id = await emulator.workspace_id()
    assert (blob.name, blob.datastore_type, blob.is_default) == (DEFAULT, "AzureBlob", True)
    assert (blob.account_name, blob.container_name) == ("localaml", f"azureml-blobstore-{workspace_id}")
    assert (file.name, file.datastore_type, file.is_default) == (
        f"{WORKSPACE}/datastores/workspacefilestore",
        "AzureFile",
        False,
    )


async def test_registering_is_idempotent(emulator: Emulated) -> None:
    first = await _register(emulator, secret="s")
    assert (first.datastore_type, first.protocol, first.endpoint) == ("AzureBlob", "https", "core.windows.net")
    assert await _register(emulator, secret="s") == first
    for changes in ({"container_name": "other"}, {"secret": "t"}, {"datastore_type": "azurefile"}):
        with pytest.raises(AlreadyExists) as caught:
            await _register(emulator, **{"secret": "s", **changes})
        assert caught.value.reason == "DATASTORE_EXISTS"
    replaced = await _register(emulator, container_name="other", secret="s", overwrite=True)
    assert replaced.container_name == "other"
    got = await emulator.call("DatastoreService/GetDatastore", D.GetDatastoreRequest(name=first.name))
    assert got == replaced


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("INVALID_NAME", {"name": "a-b"}),
        ("INVALID_NAME", {"name": ""}),
        ("INVALID_NAME", {"name": "x" * 300}),
        ("INVALID_NAME", {"account_name": "../x"}),
        ("INVALID_NAME", {"account_name": ""}),
        ("INVALID_NAME", {"container_name": "a/b"}),
        ("INVALID_NAME", {"container_name": ".."}),
        ("INVALID_NAME", {"container_name": "x" * 64}),
        ("NAME_RESERVED", {"account_name": "Contents"}),
        ("DATASTORE_TYPE_UNKNOWN", {"datastore_type": "Floppy"}),
        ("CREDENTIAL_TYPE_UNKNOWN", {"credential_type": "Handshake"}),
    ],
)
async def test_refusals(emulator: Emulated, reason: str, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await _register(emulator, **values)
    assert caught.value.reason == reason


async def test_unregistering_forgets_the_name_and_keeps_the_data(emulator: Emulated) -> None:
    made = await _register(emulator)
    await emulator.put("acc/con/x", b"1")
    await emulator.call("DatastoreService/UnregisterDatastore", D.UnregisterDatastoreRequest(name=made.name))
    with pytest.raises(NotFound):
        await _files(emulator, made.name)
    await _register(emulator)
    assert await _files(emulator, made.name) == ["x"]
    with pytest.raises(FailedPrecondition) as caught:
        await emulator.call("DatastoreService/UnregisterDatastore", D.UnregisterDatastoreRequest(name=DEFAULT))
    assert caught.value.reason == "DATASTORE_IS_DEFAULT"


async def test_files_by_prefix_and_page(emulator: Emulated) -> None:
    root = f"localaml/{default_container(await emulator.workspace_id())}/"
    paths = ["a.txt", "data/1", "data/2", "data2/3"]
    for path in paths:
        await emulator.put(root + path, path.encode())
    await emulator.put("localaml/other/data/9", b"")
    assert await _files(emulator) == paths
    assert await _files(emulator, prefix="data") == paths[1:]
    for prefix in ("data/", "./data/", "/data/"):
        assert await _files(emulator, prefix=prefix) == paths[1:3]
    assert await _files(emulator, prefix=".") == paths
    with pytest.raises(InvalidArgument):
        await _files(emulator, prefix="../")
    seen: list[str] = []
    token = ""
    while True:
        page = resources_pb2.PageRequest(page_size=1, page_token=token)
        request = D.ListDatastoreFilesRequest(name=DEFAULT, prefix="data", page=page)
        answer = await emulator.call("DatastoreService/ListDatastoreFiles", request)
        seen += [file.path for file in answer.files]
        token = answer.next_page_token
        if not token:
            break
    assert seen == paths[1:]


async def test_urls(emulator: Emulated) -> None:
    root = f"localaml/{default_container(await emulator.workspace_id())}/"
    await emulator.put(root + "there", b"1")

    async def upload(*paths: str, overwrite: bool = False) -> datastore_pb2.CreateDatastoreUploadUrlsResponse:
        request = D.CreateDatastoreUploadUrlsRequest(name=DEFAULT, paths=paths, overwrite=overwrite)
        answer: datastore_pb2.CreateDatastoreUploadUrlsResponse = await emulator.call(
            "DatastoreService/CreateDatastoreUploadUrls", request
        )
        return answer

    async def download(*paths: str) -> datastore_pb2.CreateDatastoreDownloadUrlsResponse:
        request = D.CreateDatastoreDownloadUrlsRequest(name=DEFAULT, paths=paths)
        answer: datastore_pb2.CreateDatastoreDownloadUrlsResponse = await emulator.call(
            "DatastoreService/CreateDatastoreDownloadUrls", request
        )
        return answer

    answer = await upload("there", "./new")
    assert [url.path for url in answer.urls] == ["new"] and list(answer.existing_paths) == ["there"]
    assert f"/bytes/datastore/{root}new?access=write" in answer.urls[0].url
    answer = await upload("there", overwrite=True)
    assert [url.path for url in answer.urls] == ["there"] and not answer.existing_paths
    assert "access=read" in (await download("there")).urls[0].url
    with pytest.raises(NotFound, match="'missing'") as caught:
        await download("there", "missing")
    assert caught.value.reason == "FILE_NOT_FOUND"
    for call in (upload, download):
        with pytest.raises(InvalidArgument):
            await call("../x")
        with pytest.raises(InvalidArgument):
            await call(*["x"] * 1001)


@pytest.mark.parametrize("kind", ["AzureDataLake", "AzureSqlDatabase", "AzurePostgreSql"])
async def test_kinds_without_data(emulator: Emulated, kind: str) -> None:
    made = await _register(emulator, datastore_type=kind, account_name="", container_name="", settings={"server": "s"})
    assert (made.datastore_type, dict(made.settings)) == (kind, {"server": "s"})
    for method, request in (
        ("ListDatastoreFiles", D.ListDatastoreFilesRequest(name=made.name)),
        ("CreateDatastoreUploadUrls", D.CreateDatastoreUploadUrlsRequest(name=made.name)),
        ("CreateDatastoreDownloadUrls", D.CreateDatastoreDownloadUrlsRequest(name=made.name)),
    ):
        with pytest.raises(FailedPrecondition, match=kind) as caught:
            await emulator.call(f"DatastoreService/{method}", request)
        assert caught.value.reason == "DATASTORE_NOT_SUPPORTED"
