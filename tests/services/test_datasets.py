"""Datasets: definitions, names and versions, and the files that they mean."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from tests.services.harness import WORKSPACE, Emulated

from localaml.domain.datasets import FileSelection, fixed_folder, pattern_of, select
from localaml.domain.job import DatasetInput, DatasetMode
from localaml.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unimplemented
from localaml.paths import ACCOUNT, datastore_prefix, default_container
from localaml.services.definition import check_definition, job_spec
from localaml.services.rpc import Caller
from localaml_proto.v1 import dataset_pb2, datastore_pb2
from localaml_proto.v1.run_definition_pb2 import RunDefinition

STORE = "workspaceblobstore"


def _definition(*paths: str, **values: Any) -> dict[str, Any]:
    sources = [{"url": p} if p.startswith("http") else {"datastoreName": STORE, "path": p} for p in paths or ("d",)]
    return {"datasetType": "DATASET_TYPE_FILE", "sources": sources, **values}


async def _call(emulator: Emulated, method: str, caller: Caller | None = None, **values: Any) -> Any:
    message = getattr(dataset_pb2, f"{method}Request")()
    json_format.ParseDict({"parent": WORKSPACE, **values}, message)
    extra = (caller,) if caller is not None else ()
    return await emulator.call(f"DatasetService/{method}", message, *extra)


async def _register(emulator: Emulated, name: str = "", definition: dict[str, Any] | None = None, **values: Any) -> Any:
    return await _call(emulator, "RegisterDataset", datasetName=name, definition=definition or _definition(), **values)


async def _fill(emulator: Emulated, *paths: str) -> None:
    prefix = datastore_prefix(ACCOUNT, default_container(await emulator.workspace_id()))
    for path in paths:
        await emulator.put(prefix + path, b"data")


async def _files(emulator: Emulated, *paths: str, **values: Any) -> list[str]:
    page = values.pop("page", {})
    answer = await _call(emulator, "ListDatasetFiles", definition=_definition(*paths, **values), page=page)
    return [file.path for file in answer.files]


async def test_unregistered_datasets_with_one_definition_have_one_id(emulator: Emulated) -> None:
    first = await _register(emulator)
    assert (first.name, first.version, first.is_latest) == ("", 0, False)
    assert (await _register(emulator)).dataset_id == first.dataset_id
    assert (await _register(emulator, definition=_definition("e"))).dataset_id != first.dataset_id
    assert await _call(emulator, "GetDataset", datasetId=first.dataset_id) == first
    assert not (await _call(emulator, "ListDatasets")).datasets
    with pytest.raises(InvalidArgument, match="register it first"):
        await _call(emulator, "UpdateDataset", datasetId=first.dataset_id, setTags={"a": "1"})


async def test_versions(emulator: Emulated) -> None:
    first = await _register(emulator, "d", description="one", tags={"a": "1"})
    assert (first.version, first.is_latest, first.description, dict(first.tags)) == (1, True, "one", {"a": "1"})
    same = await _register(emulator, "d", tags={"b": "2"})
    assert (same.dataset_id, dict(same.tags), same.description) == (first.dataset_id, {"a": "1", "b": "2"}, "one")
    with pytest.raises(AlreadyExists) as caught:
        await _register(emulator, "d", _definition("e"))
    assert caught.value.reason == "DATASET_EXISTS"
    second = await _register(emulator, "d", _definition("e"), createNewVersion=True, requestId="r")
    # A repeated call is taken once.
    assert await _register(emulator, "d", _definition("e"), createNewVersion=True, requestId="r") == second
    assert second.version == 2
    assert not (await _call(emulator, "GetDataset", datasetName="d", version=1)).is_latest
    assert (await _call(emulator, "GetDataset", datasetName="d")).version == 2
    with pytest.raises(NotFound, match="no version 3"):
        await _call(emulator, "GetDataset", datasetName="d", version=3)
    await _register(emulator, "other")
    listed = await _call(emulator, "ListDatasets", latestOnly=True)
    assert [(each.name, each.version) for each in listed.datasets] == [("other", 1), ("d", 2)]
    listed = await _call(emulator, "ListDatasets", datasetName="d")
    assert [each.version for each in listed.datasets] == [2, 1]


async def test_pages(emulator: Emulated) -> None:
    for number in range(5):
        await _register(emulator, f"d{number}")
        await _register(emulator, definition=_definition(f"x{number}"))
    names, token = [], ""
    while True:
        page = {"pageSize": 2, "pageToken": token}
        answer = await _call(emulator, "ListDatasets", page=page)
        names += [each.name for each in answer.datasets]
        token = answer.next_page_token
        if not token:
            break
    assert names == ["d4", "d3", "d2", "d1", "d0"]
    await _fill(emulator, *(f"d/{number}" for number in range(5)))
    first = await _call(emulator, "ListDatasetFiles", definition=_definition("d"), page={"pageSize": 3})
    rest = await _files(emulator, "d", page={"pageSize": 3, "pageToken": first.next_page_token})
    assert [file.path for file in first.files] + rest == ["0", "1", "2", "3", "4"]


async def test_update_and_unregister(emulator: Emulated) -> None:
    made = await _register(emulator, "d", tags={"a": "1", "b": "2"})
    request = {"datasetId": made.dataset_id, "setTags": {"c": "3"}, "removeTags": ["a"], "description": ""}
    changed = await _call(emulator, "UpdateDataset", **request)
    assert dict(changed.tags) == {"b": "2", "c": "3"}
    await _call(emulator, "UnregisterDataset", datasetName="d")
    for request in ({"datasetName": "d"}, {"datasetId": made.dataset_id}):
        with pytest.raises(NotFound) as caught:
            await _call(emulator, "GetDataset", **request)
        assert caught.value.reason == "DATASET_NOT_FOUND"
    with pytest.raises(NotFound):
        await _call(emulator, "UnregisterDataset", datasetName="d")


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"datasetType": "DATASET_TYPE_FILE"}, "DATASET_INVALID"),
        ({"sources": [{"datastoreName": STORE}]}, "DATASET_INVALID"),
        (_definition(sources=[{}]), "DATASET_INVALID"),
        (_definition(sources=[{"datastoreName": STORE, "url": "http://x/y"}]), "DATASET_INVALID"),
        (_definition("../x"), "INVALID_PATH"),
        (_definition("a\\b"), "INVALID_PATH"),
        (_definition("a/[b"), "DATASET_INVALID"),
        (_definition("a/[z-a]"), "DATASET_INVALID"),
        (_definition("http://x/"), "DATASET_INVALID"),
        (_definition("http:///y"), "DATASET_INVALID"),
        (_definition("http://[::1/y"), "DATASET_INVALID"),
        (_definition("http://u:p@x/y"), "DATASET_INVALID"),
        (_definition("http://x/*.csv"), "DATASET_INVALID"),
        (_definition("http://x/../../y"), "INVALID_PATH"),
        (_definition("http://x/.."), "INVALID_PATH"),
        (_definition("http://x/a b"), "DATASET_INVALID"),
        (_definition(selections=[{}]), "DATASET_INVALID"),
        (_definition(selections=[{"take": -1}]), "DATASET_INVALID"),
        (_definition(selections=[{"sample": {"probability": 1.5}}]), "DATASET_INVALID"),
        (_definition(selections=[{"sample": {"probability": "NaN"}}]), "DATASET_INVALID"),
        (_definition(datasetType="DATASET_TYPE_TABULAR", selections=[{"take": 1}]), "DATASET_INVALID"),
        (_definition(datasetType="DATASET_TYPE_TABULAR", table={"x": "y" * 1024 * 1024}), "DATASET_INVALID"),
    ],
)
async def test_definitions_that_mean_nothing(emulator: Emulated, definition: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await _register(emulator, "d", definition)
    assert caught.value.reason == reason


async def test_a_file_url_is_no_way_to_the_machines_files(emulator: Emulated) -> None:
    for url in ("file:///etc/passwd", "ftp://x/y"):
        with pytest.raises(InvalidArgument, match="use http:// or https://"):
            await _register(emulator, definition=_definition(sources=[{"url": url}]))


@pytest.mark.parametrize("name", ["a/b", "a\\b", " a", "a ", "a\n", "x" * 256])
async def test_bad_names(emulator: Emulated, name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await _register(emulator, name)
    assert caught.value.reason == "INVALID_NAME"


async def test_files(emulator: Emulated) -> None:
    await _fill(emulator, "d/x.txt", "d/.h", "d/a/y.txt", "d2/x.txt", "e/z")
    assert await _files(emulator, "d") == [".h", "a/y.txt", "x.txt"]
    assert await _files(emulator, "*/x.txt") == ["d/x.txt", "d2/x.txt"]
    assert await _files(emulator, "d/x.txt", "http://h:1/f.csv") == [
        f"{STORE}/d/x.txt",
        "http%3A/%2Fh%3A1/f.csv",
    ]
    assert await _files(emulator, "d/x.txt", "d") == [
        f"{STORE}/d/{name}" for name in ("x.txt", ".h", "a/y.txt", "x.txt")
    ]
    assert await _files(emulator, "d", selections=[{"skip": 1}, {"take": 1}]) == ["a/y.txt"]
    with pytest.raises(NotFound) as caught:
        await _files(emulator, "d", "nope")
    assert caught.value.reason == "DATA_NOT_FOUND"
    with pytest.raises(NotFound) as caught:
        await _register(emulator, definition=_definition(sources=[{"datastoreName": "nope"}]))
    assert caught.value.reason == "DATASTORE_NOT_FOUND"


def test_patterns() -> None:
    for pattern, good, bad in (
        ("a/**/b", ("a/b", "a/x/b", "a/x/y/b"), ("a/bb", "xa/b", "a/b/c")),
        ("**", ("a", "a/b"), ()),
        ("a**b", ("ab", "axxb"), ("a/b",)),
        ("[!a]?", ("bc", "--"), ("ac", "/c", "b/")),
        ("[]a]", ("]", "a"), ("b",)),
        ("a.(b)+", ("a.(b)+",), ("axb",)),
        ("[a-c\\d]", ("b",), ("-",)),
    ):
        expression = pattern_of(pattern)
        assert all(expression.fullmatch(path) for path in good), pattern
        assert not any(expression.fullmatch(path) for path in bad), pattern
    assert [fixed_folder(pattern) for pattern in ("a/b/*.c", "*", "a*/b", "a/**")] == ["a/b/", "", "", "a/"]


def test_samples_repeat_and_split() -> None:
    files = list(range(100))
    first = select(files, [FileSelection("sample", probability=0.3, seed=5)])
    assert first == select(files, [FileSelection("sample", probability=0.3, seed=5)])
    rest = select(files, [FileSelection("sample", probability=0.3, seed=5, complement=True)])
    assert sorted(first + rest) == files and 10 < len(first) < 50


# -- as inputs of runs ------------------------------------------------------------------------------------------------


def _run(**data: Any) -> RunDefinition:
    return json_format.ParseDict({"script": "train.py", "nodeCount": 1, "data": data}, RunDefinition())


def _input(**values: Any) -> dict[str, Any]:
    return {"dataLocation": {"dataset": {"id": "x"}}, **values}


def test_inputs() -> None:
    spec = job_spec(
        _run(
            a=_input(mechanism="Mount", environmentVariableName="A_DATA", pathOnCompute="./in"),
            b={"dataLocation": {"dataset": {"name": "d", "version": "3"}}},
        )
    )
    assert spec.datasets == (
        DatasetInput("a", DatasetMode.MOUNT, dataset_id="x", variable="A_DATA", path_on_compute="in"),
        DatasetInput("b", DatasetMode.DIRECT, dataset="d", version=3, variable="b"),
    )


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        ({"1a": _input()}, InvalidArgument, "DATASET_INPUT_INVALID"),
        ({"PATH": _input()}, InvalidArgument, "DATASET_INPUT_INVALID"),
        ({"a": _input(environmentVariableName="AZUREML_RUN_TOKEN")}, InvalidArgument, "DATASET_INPUT_INVALID"),
        ({"a": _input(environmentVariableName="LD_PRELOAD")}, InvalidArgument, "DATASET_INPUT_INVALID"),
        ({"a": _input(mechanism="teleport")}, InvalidArgument, "DATASET_INPUT_INVALID"),
        ({"a": _input(mechanism="hdfs")}, Unimplemented, "DATASET_MECHANISM_NOT_SUPPORTED"),
        ({"a": {}}, InvalidArgument, "DATASET_INPUT_INVALID"),
        ({"a": {"dataLocation": {"dataset": {"name": "d", "version": "x"}}}}, InvalidArgument, "DATASET_INPUT_INVALID"),
        ({"a": _input(pathOnCompute="../x")}, InvalidArgument, "INVALID_PATH"),
    ],
)
def test_inputs_that_are_refused(data: dict[str, Any], kind: type[Exception], reason: str) -> None:
    with pytest.raises(kind) as caught:
        job_spec(_run(**data))
    assert caught.value.reason == reason  # type: ignore[attr-defined]


def test_words_name_inputs_that_there_are() -> None:
    definition = _run(a=_input())
    definition.arguments.extend(["DatasetConsumptionConfig:a", "x=DatasetConsumptionConfig:a"])
    job_spec(definition)
    definition.arguments.append("DatasetConsumptionConfig:b")
    with pytest.raises(InvalidArgument) as caught:
        job_spec(definition)
    assert caught.value.reason == "DATASET_INPUT_UNKNOWN"


async def test_inputs_are_looked_up_and_settled(emulator: Emulated) -> None:
    made = await _register(emulator, "d")
    table = await _register(emulator, definition=_definition(datasetType="DATASET_TYPE_TABULAR"))

    async def check(**data: Any) -> Any:
        return check_definition(
            _run(**data),
            store=emulator.store,
            workspace_id=await emulator.workspace_id(),
            snapshot_id=await emulator.snapshot(),
        )

    checked = await check(a={"dataLocation": {"dataset": {"name": "d"}}, "mechanism": "mount"})
    kept = RunDefinition.FromString(checked.stored).data["a"].data_location.dataset
    assert (kept.id, kept.name, kept.version) == (made.dataset_id, "d", "1")
    with pytest.raises(NotFound):
        await check(a=_input())
    with pytest.raises(InvalidArgument, match="only datasets of files"):
        await check(a={"dataLocation": {"dataset": {"id": table.dataset_id}}, "mechanism": "download"})
    request = datastore_pb2.RegisterDatastoreRequest(
        parent=WORKSPACE, datastore_name="lake", datastore=datastore_pb2.Datastore(datastore_type="AzureDataLake")
    )
    await emulator.call("DatastoreService/RegisterDatastore", request)
    lake = await _register(emulator, definition=_definition(sources=[{"datastoreName": "lake"}]))
    with pytest.raises(FailedPrecondition) as caught:
        await check(a={"dataLocation": {"dataset": {"id": lake.dataset_id}}})
    assert caught.value.reason == "DATASTORE_NOT_SUPPORTED"
