"""Workspaces and the admin service."""

from __future__ import annotations

from typing import Any

import pytest
from tests.services.harness import EXPERIMENT, GROUP, WORKSPACE, Emulated

from localaml.errors import AlreadyExists, InvalidArgument, NotFound
from localaml.paths import default_container
from localaml.store import FORMAT_VERSION
from localaml_proto.admin.v1 import admin_pb2
from localaml_proto.v1 import (
    dataset_pb2,
    datastore_pb2,
    environment_pb2,
    experiment_pb2,
    resources_pb2,
    run_pb2,
    secret_pb2,
    workspace_pb2,
)

W = workspace_pb2


async def _create(emulator: Emulated, name: str, parent: str = GROUP, **values: Any) -> workspace_pb2.Workspace:
    request = W.CreateWorkspaceRequest(parent=parent, workspace_name=name, **values)
    answer: workspace_pb2.Workspace = await emulator.call("WorkspaceService/CreateWorkspace", request)
    return answer


async def _list(emulator: Emulated, parent: str = "", size: int = 0) -> list[str]:
    names: list[str] = []
    token = ""
    while True:
        page = resources_pb2.PageRequest(page_size=size, page_token=token)
        request = W.ListWorkspacesRequest(parent=parent, page=page)
        answer = await emulator.call("WorkspaceService/ListWorkspaces", request)
        names += [each.name.rpartition("/")[2] for each in answer.workspaces]
        token = answer.next_page_token
        if not token:
            return names


async def test_create_get_update(emulator: Emulated) -> None:
    given = W.Workspace(friendly_name="F", description="D", location="eastus2", tags={"a": "b"})
    made = await _create(emulator, "new", workspace=given)
    assert (made.name, made.friendly_name, made.location, made.sku) == (
        f"{GROUP}/workspaces/new",
        "F",
        "eastus2",
        "Basic",
    )
    assert len(made.workspace_id) == 36 and made.default_datastore == "workspaceblobstore"
    shouted = made.name.replace("sub/", "SUB/")
    assert await emulator.call("WorkspaceService/GetWorkspace", W.GetWorkspaceRequest(name=shouted)) == made

    async def update(**values: Any) -> workspace_pb2.Workspace:
        request = W.UpdateWorkspaceRequest(name=made.name, **values)
        answer: workspace_pb2.Workspace = await emulator.call("WorkspaceService/UpdateWorkspace", request)
        return answer

    assert dict((await update(tags={"c": "d"})).tags) == {"a": "b", "c": "d"}
    assert dict((await update(tags={"e": "f"}, replace_tags=True)).tags) == {"e": "f"}
    changed = await update(friendly_name="G", default_datastore="workspacefilestore")
    assert (changed.friendly_name, changed.description, changed.default_datastore) == ("G", "D", "workspacefilestore")
    with pytest.raises(NotFound) as caught:
        await update(default_datastore="nope", description="not taken")
    assert caught.value.reason == "DATASTORE_NOT_FOUND"
    assert (await update()).description == "D"


async def test_taken_names(emulator: Emulated) -> None:
    first = await _create(emulator, "new", request_id="q")
    assert await _create(emulator, "new", request_id="q") == first
    assert await _create(emulator, "NEW", allow_existing=True) == first
    for values in ({}, {"request_id": "other"}):
        with pytest.raises(AlreadyExists) as caught:
            await _create(emulator, "new", **values)
        assert caught.value.reason == "WORKSPACE_EXISTS"
    other = await _create(emulator, "new", parent="subscriptions/sub/resourceGroups/elsewhere", request_id="q")
    assert other.workspace_id != first.workspace_id


@pytest.mark.parametrize("name", ["", "x", "a/b", "..", "-ab", "x" * 300, "a\nb", "ä"])
async def test_bad_names(emulator: Emulated, name: str) -> None:
    with pytest.raises(InvalidArgument):
        await _create(emulator, name)


async def test_lists(emulator: Emulated) -> None:
    await _create(emulator, "bb")
    await _create(emulator, "aa", parent="subscriptions/sub/resourceGroups/elsewhere")
    await _create(emulator, "cc", parent="subscriptions/another/resourceGroups/group")
    assert await _list(emulator) == await _list(emulator, size=1) == ["aa", "bb", "cc", "ws"]
    assert await _list(emulator, "subscriptions/sub") == ["aa", "bb", "ws"]
    assert await _list(emulator, "subscriptions/SUB/resourceGroups/Group") == ["bb", "ws"]
    assert await _list(emulator, "subscriptions/nope") == []
    for parent in ("subscriptions", "subscriptions/a/b", "x/y/z/w/v", "subscriptions/a b"):
        with pytest.raises(InvalidArgument):
            await _list(emulator, parent)


async def test_missing_workspaces_are_named_with_those_that_exist(emulator: Emulated) -> None:
    with pytest.raises(NotFound, match=r"'nope'.*There is: ws \(sub/group\)") as caught:
        await emulator.call("WorkspaceService/GetWorkspace", W.GetWorkspaceRequest(name=f"{GROUP}/workspaces/nope"))
    assert caught.value.reason == "WORKSPACE_NOT_FOUND"


async def test_delete_takes_everything_along(emulator: Emulated) -> None:
    await emulator.cluster()
    run = await emulator.submit({"target": "cpu"})
    await emulator.until(run, run_pb2.RUN_STATE_RUNNING)
    workspace_id = await emulator.workspace_id()
    await emulator.put(f"localaml/{default_container(workspace_id)}/data", b"1")
    await emulator.put("acc/con/registered", b"1")
    await emulator.workspace("other")
    request = W.DeleteWorkspaceRequest(name=WORKSPACE)
    await emulator.call("WorkspaceService/DeleteWorkspace", request)
    with pytest.raises(NotFound):
        await emulator.call("WorkspaceService/DeleteWorkspace", request)
    assert [each.key for each in await emulator.objects.list("")] == ["acc/con/registered"]
    assert not emulator.store.clusters.list() and not emulator.store.runs.list_active()
    assert emulator.runtime.nodes == {}
    assert await _list(emulator) == ["other"]
    assert (await emulator.workspace()).workspace_id != workspace_id


async def test_info_and_shutdown(emulator: Emulated) -> None:
    run = await emulator.submit()
    info = await emulator.call("AdminService/GetInfo", admin_pb2.GetInfoRequest())
    assert (info.version, info.process_id, info.state_format_version) == ("0.1.0", 7, FORMAT_VERSION)
    assert (info.compute_runtime, info.active_run_count) == ("fake", 1)
    await emulator.call("AdminService/Shutdown", admin_pb2.ShutdownRequest())
    assert emulator.shutdowns == 1
    assert emulator.store.runs.count_active() == 1, "jobs outlive the emulator"
    await emulator.call("AdminService/Shutdown", admin_pb2.ShutdownRequest(cancel_runs=True))
    assert emulator.shutdowns == 2
    await emulator.until(run, run_pb2.RUN_STATE_CANCELED)


async def test_reset(emulator: Emulated) -> None:
    await emulator.cluster(min_node_count=1)
    await emulator.submit({"target": "cpu"})
    await emulator.submit({"target": "cpu"})
    request = datastore_pb2.RegisterDatastoreRequest(
        parent=WORKSPACE,
        datastore_name="d",
        datastore=datastore_pb2.Datastore(datastore_type="AzureBlob", account_name="acc", container_name="con"),
    )
    await emulator.call("DatastoreService/RegisterDatastore", request)
    await emulator.put("acc/con/x", b"1")
    answer = await emulator.call("AdminService/Reset", admin_pb2.ResetRequest())
    assert answer.canceled_run_count == 2
    assert await _list(emulator) == []
    assert await emulator.objects.list("") == []
    assert emulator.runtime.nodes == {}


@pytest.mark.parametrize("token", ["ä", "☃", "AA=A", "_w"])
async def test_a_page_token_that_is_none(emulator: Emulated, token: str) -> None:
    """Also one that is not ASCII: every listing refuses it by name."""
    page = {"page_token": token}
    requests = [
        ("WorkspaceService/ListWorkspaces", workspace_pb2.ListWorkspacesRequest(page=page)),
        ("RunService/ListRuns", run_pb2.ListRunsRequest(parent=EXPERIMENT, page=page)),
        ("ExperimentService/ListExperiments", experiment_pb2.ListExperimentsRequest(parent=WORKSPACE, page=page)),
        ("SecretService/ListSecrets", secret_pb2.ListSecretsRequest(parent=WORKSPACE, page=page)),
        ("DatasetService/ListDatasets", dataset_pb2.ListDatasetsRequest(parent=WORKSPACE, page=page)),
        ("EnvironmentService/ListEnvironments", environment_pb2.ListEnvironmentsRequest(parent=WORKSPACE, page=page)),
    ]
    for method, request in requests:
        with pytest.raises(InvalidArgument) as caught:
            await emulator.call(method, request)
        assert caught.value.reason == "INVALID_PAGE_TOKEN", method
