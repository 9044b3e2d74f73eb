"""`localaml workspace list | create`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from localaml.cli.client import Client, connect
from localaml.cli.options import StateDirOption
from localaml.cli.output import Format, OutputOption, plain, print_found, print_json, show_time
from localaml_proto.v1 import workspace_pb2

app = typer.Typer()


def create_workspace(
    client: Client, subscription: str, resource_group: str, name: str, *, location: str = "", allow_existing: bool
) -> workspace_pb2.Workspace:
    """Makes a workspace (or returns the existing one)."""
    request = workspace_pb2.CreateWorkspaceRequest(
        parent=f"subscriptions/{subscription}/resourceGroups/{resource_group}",
        workspace_name=name,
        workspace=workspace_pb2.Workspace(location=location),
        allow_existing=allow_existing,
        request_id=str(uuid.uuid4()),
    )
    workspace: workspace_pb2.Workspace = client.call(client.workspaces.CreateWorkspace, request)
    return workspace


_COLUMNS: Mapping[str, Callable[[workspace_pb2.Workspace], str]] = {
    "NAME": lambda workspace: workspace.name.split("/")[5],
    "RESOURCE GROUP": lambda workspace: workspace.name.split("/")[3],
    "SUBSCRIPTION": lambda workspace: workspace.name.split("/")[1],
    "LOCATION": lambda workspace: workspace.location,
    "CREATED": lambda workspace: show_time(workspace.create_time),
}


@app.command("list")
def list_(state_dir: StateDirOption = None, output: OutputOption = Format.TABLE) -> None:
    """List all workspaces of the emulator."""
    with connect(state_dir) as client:
        found = client.pages(client.workspaces.ListWorkspaces, workspace_pb2.ListWorkspacesRequest(), "workspaces")
    print_found(
        found,
        output,
        _COLUMNS,
        empty="There are no workspaces. Make one with 'localaml init' or 'localaml workspace create'.",
    )


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="2 to 33 letters, digits, '-' or '_'.")],
    subscription_id: Annotated[str, typer.Option()] = "00000000-0000-0000-0000-000000000000",
    resource_group: Annotated[str, typer.Option("--resource-group", "-g")] = "local",
    location: Annotated[str, typer.Option(help="Only shown, as in Azure: westeurope.")] = "",
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="An existing one is fine.")] = False,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Make a workspace."""
    with connect(state_dir) as client:
        workspace = create_workspace(
            client, subscription_id, resource_group, name, location=location, allow_existing=exist_ok
        )
    if output is Format.JSON:
        print_json(plain(workspace))
    else:
        print(f"Made the workspace {name}.")
