"""Workspaces, against a real emulator over both transports."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulator_process import EmulatorProcess

from azureml._localaml.transport_http import HttpTransport
from azureml.core import Datastore, Workspace
from azureml.exceptions import UserErrorException, WorkspaceException

PLACE: dict[str, Any] = {"subscription_id": "tests", "resource_group": "group", "show_output": False}


@pytest.fixture(autouse=True, params=["grpc", "http"])
def transport(request: pytest.FixtureRequest, connected: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    from azureml._localaml.client import get_client

    monkeypatch.setenv("LOCALAML_TRANSPORT", request.param)
    get_client().close()


def test_the_transport_is_the_one_asked_for(workspace: Workspace, request: pytest.FixtureRequest) -> None:
    is_http = isinstance(workspace._client._get_transport(), HttpTransport)
    assert is_http == ("http" in request.node.name)


def test_a_made_workspace_can_be_found_in_every_way(workspace: Workspace) -> None:
    name = workspace.name
    assert repr(workspace) == f"Workspace.create(name='{name}', subscription_id='tests', resource_group='group')"
    for found in (
        Workspace("tests", "group", name),
        Workspace.get(name, subscription_id="tests", resource_group="group"),
        Workspace.get(name),
        Workspace.list("tests")[name][0],
        Workspace.list("tests", resource_group="group")[name][0],
        pickle.loads(pickle.dumps(workspace)),
    ):
        assert (found.name, found.subscription_id, found.resource_group) == (name, "tests", "group")
        assert found._workspace_id == workspace._workspace_id
    assert Workspace.list("tests", resource_group="other") == {}


def test_from_config_prints_where_it_found_it(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    workspace.write_config(str(tmp_path))
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert Workspace.from_config().name == workspace.name
    assert capsys.readouterr().out == f"Found the config file in: {tmp_path / '.azureml' / 'config.json'}\n"


def test_a_taken_name_and_exist_ok(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceException, match="exist_ok") as caught:
        Workspace.create(workspace.name, **PLACE)
    assert caught.value.reason == "WORKSPACE_EXISTS"
    assert Workspace.create(workspace.name, exist_ok=True, **PLACE)._workspace_id == workspace._workspace_id


@pytest.mark.parametrize("name", ["a/b", "..", "a\n", "x" * 300, ""])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UserErrorException):
        Workspace.create(name, **PLACE)
    with pytest.raises((UserErrorException, WorkspaceException)):
        Workspace("tests", "group", name)


def test_a_missing_one_tells_which_there_are(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceException, match=workspace.name):
        Workspace("tests", "group", "nowhere")
    with pytest.raises(WorkspaceException, match="nowhere"):
        Workspace.get("nowhere")


def test_one_name_in_two_groups_needs_the_group(workspace: Workspace) -> None:
    other = Workspace.create(workspace.name, subscription_id="tests", resource_group="second", show_output=False)
    try:
        with pytest.raises(WorkspaceException, match="several") as caught:
            Workspace.get(workspace.name)
        assert caught.value.found_multiple
        assert Workspace.get(workspace.name, resource_group="second").resource_group == "second"
        assert len(Workspace.list("tests")[workspace.name]) == 2
    finally:
        other.delete()


def test_details_have_azures_keys_and_update_changes_them(workspace: Workspace) -> None:
    details = workspace.get_details()
    assert details["id"].endswith(f"/resourceGroups/group/providers/{details['type']}/{workspace.name}")
    assert details["workspaceid"] == workspace._workspace_id
    assert details["location"] == workspace.location == "local"
    changed = workspace.update(friendly_name="F", description="D", tags={"a": "1"})
    assert (changed["friendlyName"], changed["description"], changed["tags"]) == ("F", "D", {"a": "1"})
    workspace.update(tags={"b": "2"})
    assert workspace.tags == {"b": "2"}


def test_the_default_datastore_can_be_changed(workspace: Workspace) -> None:
    assert workspace.get_default_datastore().name == "workspaceblobstore"
    assert workspace.get_default_datastore().container_name == f"azureml-blobstore-{workspace._workspace_id}"
    assert set(workspace.datastores) == {"workspaceblobstore", "workspacefilestore"}
    Datastore.register_azure_blob_container(workspace, "mine", "c", "a")
    workspace.set_default_datastore("mine")
    assert workspace.get_default_datastore().name == "mine"
    Datastore(workspace, "workspaceblobstore").set_as_default()
    assert Datastore(workspace).name == "workspaceblobstore"
    with pytest.raises(UserErrorException, match="nowhere"):
        workspace.set_default_datastore("nowhere")


def test_a_deleted_workspace_is_gone(connected: EmulatorProcess) -> None:
    made = Workspace.create("short-lived", **PLACE)
    made.delete()
    with pytest.raises(WorkspaceException):
        made.get_details()


@pytest.mark.parametrize("name", ["images", "webservices", "linked_services", "private_endpoints", "service_context"])
def test_properties_that_localaml_lacks_are_named(workspace: Workspace, name: str) -> None:
    with pytest.raises(UserErrorException, match=rf"Workspace\.{name}") as caught:
        getattr(workspace, name)
    assert caught.value.reason == "NOT_SUPPORTED"


def test_a_wrong_token_is_refused(connected: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAML_ENDPOINT", connected.endpoint["http_address"])
    monkeypatch.setenv("LOCALAML_GRPC_ENDPOINT", connected.endpoint["grpc_address"])
    monkeypatch.setenv("LOCALAML_TOKEN", "wrong")
    with pytest.raises(UserErrorException, match="token"):
        Workspace.list("tests")


def test_a_notebook_shows_a_table(workspace: Workspace) -> None:
    shown = workspace._repr_html_()
    assert f"<td>{workspace.name}</td>" in shown
    assert f"<td>{workspace.resource_group}</td>" in shown
