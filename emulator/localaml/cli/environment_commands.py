"""`localaml environment list`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToDict

from localaml.cli.client import connect
from localaml.cli.options import (
    GroupOption,
    StateDirOption,
    SubscriptionOption,
    WorkspaceOption,
    resolve_workspace,
)
from localaml.cli.output import Format, OutputOption, print_found, show_time
from localaml_proto.v1 import environment_pb2

app = typer.Typer()
_SHOWN = 6


def _packages(environment: environment_pb2.Environment) -> str:
    python = environment.definition.python
    if python.user_managed_dependencies:
        return f"managed by the user ({python.interpreter_path or 'python'})"
    words: list[str] = []
    for item in MessageToDict(python.conda_dependencies).get("dependencies") or ():
        words += item.get("pip") or [] if isinstance(item, dict) else [str(item)]
    return ", ".join(words[:_SHOWN]) + (f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else "")


_COLUMNS: Mapping[str, Callable[[environment_pb2.Environment], str]] = {
    "ENVIRONMENT": lambda environment: environment.name.rpartition("/")[2],
    "VERSION": lambda environment: environment.version,
    "LABELS": lambda environment: ", ".join(environment.labels),
    "CREATED": lambda environment: "curated" if environment.curated else show_time(environment.create_time),
    "PACKAGES": _packages,
}


@app.command("list")
def list_(
    name: Annotated[str, typer.Option("--name", help="Only the versions of this environment.")] = "",
    all_versions: Annotated[bool, typer.Option("--all", "-a", help="All versions, not only the newest.")] = False,
    curated: Annotated[bool, typer.Option(help="Also the curated ones.")] = True,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List registered environments, newest first, then the curated ones."""
    with connect(state_dir) as client:
        request = environment_pb2.ListEnvironmentsRequest(
            parent=resolve_workspace(client, subscription_id, resource_group, workspace),
            environment_name=name,
            latest_only=not (all_versions or name),
            exclude_curated=not curated,
        )
        found = client.pages(client.environments.ListEnvironments, request, "environments")
    print_found(found, output, _COLUMNS, empty="There are no environments.")
