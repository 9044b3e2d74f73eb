"""Options that many commands share, and what they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localaml.cli.failure import CliError

if TYPE_CHECKING:
    from localaml.cli.client import Client

StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir", help="State folder of the emulator. Default: LOCALAML_STATE_DIR, or the user's data folder."
    ),
]
SubscriptionOption = Annotated[str | None, typer.Option("--subscription-id", help="Default: from config.json.")]
GroupOption = Annotated[str | None, typer.Option("--resource-group", "-g", help="Default: from config.json.")]
WorkspaceOption = Annotated[
    str | None,
    typer.Option("--workspace", "-w", help="Default: from config.json, or the only one that exists."),
]

# Where Azure's SDK looks, in each folder from the current one upwards.
CONFIG_PLACES = (".azureml/config.json", "aml_config/config.json", "config.json")
CONFIG_KEYS = ("subscription_id", "resource_group", "workspace_name")


def find_config(folder: Path) -> Path | None:
    """The config.json that `Workspace.from_config()` finds from this folder, or None."""
    return next(filter(None, map(config_in, (folder, *folder.parents))), None)


def config_in(folder: Path) -> Path | None:
    """The config.json of a folder itself, or None."""
    paths = (folder / name for name in CONFIG_PLACES)
    return next((path for path in paths if path.is_file() and _is_workspace_config(path)), None)


def _is_workspace_config(path: Path) -> bool:
    # Many tools have a file config.json; only one with the keys is meant.
    if path.parent.name in (".azureml", "aml_config"):
        return True
    try:
        return "workspace_name" in json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def read_config(path: Path) -> Mapping[str, str]:
    """The three names in a config.json. Raises CliError when it cannot be read."""
    try:
        values = json.loads(path.read_text("utf-8"))
        return {key: str(values[key]) for key in CONFIG_KEYS}
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise CliError(f"{path} is no workspace configuration: it must have {', '.join(CONFIG_KEYS)}.") from None


def resolve_workspace(client: Client, subscription: str | None, group: str | None, workspace: str | None) -> str:
    """The resource name of the workspace that a command is about.

    The options come first, then config.json; without one, the only workspace that matches the options.

    Raises:
        CliError: there is none, or more than one.
    """
    config = find_config(Path.cwd())
    if config is not None and not (subscription and group and workspace):
        values = read_config(config)
        subscription = subscription or values["subscription_id"]
        group = group or values["resource_group"]
        workspace = workspace or values["workspace_name"]
    if subscription and group and workspace:
        return f"subscriptions/{subscription}/resourceGroups/{group}/workspaces/{workspace}"
    from localaml_proto.v1 import workspace_pb2

    request = workspace_pb2.ListWorkspacesRequest()
    names: list[str] = [found.name for found in client.pages(client.workspaces.ListWorkspaces, request, "workspaces")]
    matching = [name for name in names if _matches(name, subscription, group, workspace)]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        raise CliError("There is no such workspace. Make one with 'localaml init' or 'localaml workspace create'.")
    shown = ", ".join(sorted(name.rpartition("/")[2] for name in matching))
    raise CliError(f"Which workspace? Choose with --workspace (and --resource-group): {shown}.", exit_code=2)


def _matches(name: str, *wanted: str | None) -> bool:
    return all(want in (None, part) for part, want in zip(name.split("/")[1::2], wanted, strict=True))
