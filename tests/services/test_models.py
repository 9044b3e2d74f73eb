"""Registering models: of uploads and of a run's artifacts; listing, changing, removing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.services.harness import OWNER, WORKSPACE, Emulated

from localaml.domain.models import Artifact, RunKey
from localaml.errors import AlreadyExists, FailedPrecondition, InvalidArgument, LocalAmlError, NotFound
from localaml.paths import artifact_key, model_prefix
from localaml.services.model_files import remove_stale_uploads
from localaml.services.rpc import Caller
from localaml_proto.v1 import model_pb2 as m
from localaml_proto.v1 import resources_pb2

UPLOAD = "12345678-1234-1234-1234-123456789abc"


async def _artifacts(emulator: Emulated, run_id: str, *paths: str) -> None:
    key = RunKey(await emulator.workspace_id(), run_id)
    for path in paths:
        await emulator.put(artifact_key(key, path), path.encode())
        now = emulator.context.clock.now()
        emulator.store.artifacts.put(Artifact(key, path, len(path), now, artifact_key(key, path)))


async def _upload(emulator: Emulated, *paths: str, upload_id: str = UPLOAD) -> None:
    for path in paths:
        await emulator.put(model_prefix(await emulator.workspace_id(), upload_id) + path, path.encode())


async def _register(emulator: Emulated, caller: Caller = OWNER, **values: Any) -> m.Model:
    request = m.RegisterModelRequest(**{"parent": WORKSPACE, "model_name": "model", **values})
    made: m.Model = await emulator.call("ModelService/RegisterModel", request, caller)
    return made


async def _files(emulator: Emulated, model: m.Model) -> list[str]:
    """The model's paths, each proved to have the right bytes behind it."""
    answer = await emulator.call(
        "ModelService/CreateModelDownloadUrls",
        m.CreateModelDownloadUrlsRequest(name=model.name, version=model.version),
    )
    for url in answer.urls:
        assert f"/bytes/model/{await emulator.workspace_id()}/{model.asset_id}/" in url.url
    return [url.path for url in answer.urls]


async def test_a_runs_folder_becomes_a_model_that_outlives_it(emulator: Emulated) -> None:
    await emulator.create_run("r")
    await _artifacts(emulator, "r", "outputs/model/a", "outputs/model/deep/b", "outputs/model2", "logs/x")
    model = await _register(emulator, run_id="r", run_path="./outputs/model", tags={"t": "1"}, properties={"p": "q"})
    assert (model.version, model.run_id, model.experiment, model.file_count) == (1, "r", "exp", 2)
    assert model.size_bytes == len("outputs/model/a") + len("outputs/model/deep/b")
    assert await _files(emulator, model) == ["model/a", "model/deep/b"]
    # The run's files change and go: the model's do not.
    key = artifact_key(RunKey(await emulator.workspace_id(), "r"), "outputs/model/a")
    await emulator.put(key, b"changed")
    await emulator.objects.delete(key)
    stored = model_prefix(await emulator.workspace_id(), model.asset_id) + "model/a"
    assert b"".join([chunk async for chunk in emulator.objects.read(stored)]) == b"outputs/model/a"


async def test_a_runs_file_and_chosen_children(emulator: Emulated) -> None:
    await emulator.create_run("r")
    await _artifacts(emulator, "r", "outputs/model/a", "outputs/model/b", "outputs/model/deep/c", "model.pkl")
    assert await _files(emulator, await _register(emulator, run_id="r", run_path="model.pkl")) == ["model.pkl"]
    chosen = await _register(emulator, run_id="r", run_path="outputs/model", child_paths=["b", "deep"])
    assert await _files(emulator, chosen) == ["model/b", "model/deep/c"]
    assert await _files(emulator, await _register(emulator, run_id="r", run_path="outputs")) == [
        "outputs/model/a", "outputs/model/b", "outputs/model/deep/c",
    ]  # fmt: skip
    with pytest.raises(NotFound) as caught:
        await _register(emulator, run_id="r", run_path="outputs/model", child_paths=["b", "missing"])
    assert caught.value.reason == "MODEL_PATH_NOT_FOUND"


@pytest.mark.parametrize(
    ("values", "error", "reason"),
    [
        ({"run_id": "r", "run_path": "outputs/nothing"}, NotFound, "MODEL_PATH_NOT_FOUND"),
        ({"run_id": "r", "run_path": "outputs/mod"}, NotFound, "MODEL_PATH_NOT_FOUND"),
        ({"run_id": "r", "run_path": "../x"}, InvalidArgument, "INVALID_PATH"),
        ({"run_id": "r", "run_path": "/etc/passwd"}, InvalidArgument, "INVALID_PATH"),
        ({"run_id": "missing", "run_path": "x"}, NotFound, "RUN_NOT_FOUND"),
        ({"run_path": "x"}, InvalidArgument, "INVALID_NAME"),
        ({"run_id": "r", "run_path": "outputs/model.pkl", "child_paths": ["a"]}, InvalidArgument, "MODEL_CHILD_PATHS"),
        ({"run_id": "r", "run_path": "outputs", "child_paths": ["../x"]}, InvalidArgument, "INVALID_PATH"),
        ({"run_id": "r"}, InvalidArgument, "MODEL_SOURCE"),
        ({"upload_id": UPLOAD, "run_id": "r", "run_path": "outputs"}, InvalidArgument, "MODEL_SOURCE"),
        ({"upload_id": UPLOAD}, FailedPrecondition, "MODEL_FILES_MISSING"),
        ({"upload_id": "../../x"}, InvalidArgument, "MODEL_UPLOAD_ID"),
        ({"upload_id": UPLOAD, "model_name": "a/b"}, InvalidArgument, "INVALID_NAME"),
        ({"upload_id": UPLOAD, "model_name": ""}, InvalidArgument, "INVALID_NAME"),
        ({"upload_id": UPLOAD, "tags": {"": "x"}}, InvalidArgument, "INVALID_LABEL"),
        ({"upload_id": UPLOAD, "datasets": [m.ModelDataset(purpose="p")]}, InvalidArgument, "MODEL_DATASET_INVALID"),
        (
            {"upload_id": UPLOAD, "resource_configuration": m.ResourceConfiguration(cpu=-1)},
            InvalidArgument,
            "RESOURCES_INVALID",
        ),
    ],
)
async def test_what_cannot_be_registered(
    emulator: Emulated, values: dict[str, Any], error: type[LocalAmlError], reason: str
) -> None:
    await emulator.create_run("r")
    await _artifacts(emulator, "r", "outputs/model.pkl")
    before = len(await emulator.objects.list(""))
    with pytest.raises(error) as caught:
        await _register(emulator, **values)
    assert caught.value.reason == reason
    assert len(await emulator.objects.list("")) == before, "no copy is left"
    assert emulator.store.assets.list(await emulator.workspace_id(), "model") == []


async def test_uploads(emulator: Emulated) -> None:
    request = m.CreateModelUploadUrlsRequest(parent=WORKSPACE, upload_id=UPLOAD, paths=["model/a", "model/ü"])
    urls = (await emulator.call("ModelService/CreateModelUploadUrls", request)).urls
    assert [url.path for url in urls] == ["model/a", "model/ü"]
    await _upload(emulator, "model/a")
    with pytest.raises(FailedPrecondition) as missing:
        await _register(emulator, upload_id=UPLOAD, file_count=2)
    assert missing.value.reason == "MODEL_FILES_MISSING"
    await _upload(emulator, "model/ü")
    model = await _register(emulator, upload_id=UPLOAD, file_count=2)
    assert (model.asset_id, await _files(emulator, model)) == (UPLOAD, ["model/a", "model/ü"])
    for call in (_register(emulator, upload_id=UPLOAD), emulator.call("ModelService/CreateModelUploadUrls", request)):
        with pytest.raises(AlreadyExists) as used:
            await call
        assert used.value.reason == "MODEL_UPLOAD_USED"
    with pytest.raises(InvalidArgument):
        await emulator.call(
            "ModelService/CreateModelUploadUrls",
            m.CreateModelUploadUrlsRequest(parent=WORKSPACE, upload_id=UPLOAD.replace("1", "2"), paths=["../x"]),
        )


async def test_a_request_that_comes_twice_makes_one_version_and_one_copy(emulator: Emulated) -> None:
    await emulator.create_run("r")
    await _artifacts(emulator, "r", "outputs/m")
    values = {"run_id": "r", "run_path": "outputs/m", "request_id": "same"}
    models = await asyncio.gather(*(_register(emulator, **values) for _ in range(3)))
    assert {(model.version, model.asset_id) for model in models} == {(1, models[0].asset_id)}
    assert len(await emulator.objects.list("_models/")) == 1
    assert (await _register(emulator, run_id="r", run_path="outputs/m", request_id="other")).version == 2


async def test_listing_by_pages_and_filters(emulator: Emulated) -> None:
    await emulator.create_run("r")
    await _artifacts(emulator, "r", "m")
    source: dict[str, Any] = {"run_id": "r", "run_path": "m"}
    datasets = [m.ModelDataset(purpose="training", dataset_id="d1")]
    await _register(emulator, **source, model_name="a", framework="Onnx", tags={"k": "1"})
    await _register(emulator, **source, model_name="b", datasets=datasets)
    await _upload(emulator, "m")
    await _register(emulator, upload_id=UPLOAD, model_name="a", tags={"k": "2"})

    async def listed(**filters: Any) -> list[str]:
        request = m.ListModelsRequest(parent=WORKSPACE, **filters)
        answer = await emulator.call("ModelService/ListModels", request)
        return [f"{model.name.rpartition('/')[2]}:{model.version}" for model in answer.models]

    assert await listed() == ["a:2", "b:1", "a:1"]
    assert await listed(model_name="a") == ["a:2", "a:1"]
    assert await listed(latest_only=True) == ["a:2", "b:1"]
    assert await listed(run_id="r") == ["b:1", "a:1"]
    assert await listed(framework="Onnx") == ["a:1"]
    assert await listed(dataset_id="d1") == ["b:1"]
    assert await listed(tags={"k": ""}) == ["a:2", "a:1"]
    assert await listed(tags={"k": "1"}, run_id="other") == []
    request = m.ListModelsRequest(parent=WORKSPACE, page=resources_pb2.PageRequest(page_size=2))
    first = await emulator.call("ModelService/ListModels", request)
    request.page.page_token = first.next_page_token
    rest = await emulator.call("ModelService/ListModels", request)
    assert (len(first.models), len(rest.models), rest.next_page_token) == (2, 1, "")


async def test_changing(emulator: Emulated) -> None:
    await _upload(emulator, "m")
    model = await _register(emulator, upload_id=UPLOAD, tags={"a": "1"}, properties={"p": "1"})

    async def update(**values: Any) -> m.Model:
        request = m.UpdateModelRequest(name=model.name, version=1, **values)
        changed: m.Model = await emulator.call("ModelService/UpdateModel", request)
        return changed

    changed = await update(set_tags={"b": "2"}, add_properties={"p": "1", "q": "2"}, description="new")
    assert (dict(changed.tags), dict(changed.properties)) == ({"a": "1", "b": "2"}, {"p": "1", "q": "2"})
    assert dict((await update(set_tags={"c": "3"}, replace_tags=True)).tags) == {"c": "3"}
    assert dict((await update(remove_tags=["c", "none"])).tags) == {}
    with pytest.raises(FailedPrecondition) as caught:
        await update(add_properties={"p": "2"}, set_tags={"d": "4"})
    assert caught.value.reason == "PROPERTY_EXISTS"
    pair = m.ModelDataset(purpose="training", dataset_id="d")
    for _ in range(2):
        changed = await update(add_datasets=[pair, pair], sample_input_dataset_id="d")
    assert (list(changed.datasets), changed.sample_input_dataset_id) == ([pair], "d")
    changed = await update(resource_configuration=m.ResourceConfiguration(cpu=0.5, gpu=0))
    assert changed.resource_configuration == m.ResourceConfiguration(cpu=0.5, gpu=0)
    assert not changed.resource_configuration.HasField("memory_in_gb")
    assert changed == await emulator.call("ModelService/GetModel", m.GetModelRequest(name=model.name))


async def test_deleting_takes_the_files_along(emulator: Emulated) -> None:
    await _upload(emulator, "m")
    model = await _register(emulator, upload_id=UPLOAD)
    with pytest.raises(InvalidArgument):
        await emulator.call("ModelService/DeleteModel", m.DeleteModelRequest(name=model.name))
    request = m.DeleteModelRequest(name=model.name, version=1)
    await emulator.call("ModelService/DeleteModel", request)
    assert await emulator.objects.list("_models/") == []
    for method, message in (
        ("DeleteModel", request),
        ("GetModel", m.GetModelRequest(name=model.name)),
        ("CreateModelDownloadUrls", m.CreateModelDownloadUrlsRequest(name=model.name)),
    ):
        with pytest.raises(NotFound) as caught:
            await emulator.call(f"ModelService/{method}", message)
        assert caught.value.reason == "MODEL_NOT_FOUND"


async def test_models_go_with_their_workspace(emulator: Emulated) -> None:
    from localaml_proto.v1 import workspace_pb2

    await _upload(emulator, "m")
    await _register(emulator, upload_id=UPLOAD)
    await emulator.call("WorkspaceService/DeleteWorkspace", workspace_pb2.DeleteWorkspaceRequest(name=WORKSPACE))
    assert await emulator.objects.list("_models/") == []


async def test_uploads_that_are_never_registered_go_after_a_day(emulator: Emulated) -> None:
    stale, registered = UPLOAD.replace("1", "0"), UPLOAD
    await _upload(emulator, "a", "b", upload_id=stale)
    await _upload(emulator, "m", upload_id=registered)
    await _register(emulator, upload_id=registered)

    class Later:
        def __init__(self, hours: int) -> None:
            self._now = emulator.context.clock.now() + timedelta(hours=hours)

        def now(self) -> Any:
            return self._now

    assert await remove_stale_uploads(emulator.store, emulator.objects, Later(23)) == 0  # type: ignore[arg-type]
    assert await remove_stale_uploads(emulator.store, emulator.objects, Later(25)) == 1  # type: ignore[arg-type]
    assert [info.key.rpartition("/")[2] for info in await emulator.objects.list("_models/")] == ["m"]


async def test_who_registered_it_may_change_it(emulator: Emulated) -> None:
    run = await emulator.create_run("r")
    await _artifacts(emulator, "r", "m")
    job = Caller(is_owner=False, run=await emulator.key(run))
    model = await _register(emulator, caller=job, run_id="r", run_path="m")
    request = m.UpdateModelRequest(name=model.name, version=1, set_tags={"a": "b"})
    assert dict((await emulator.call("ModelService/UpdateModel", request, job)).tags) == {"a": "b"}
    other = replace(job, run=RunKey(await emulator.workspace_id(), (await emulator.create_run("o")).run_id))
    with pytest.raises(LocalAmlError, match="not registered"):
        await emulator.call("ModelService/UpdateModel", request, other)
