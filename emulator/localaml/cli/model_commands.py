"""`localaml model list | show | download`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from localaml.cli.client import Client, connect
from localaml.cli.failure import CliError
from localaml.cli.options import (
    GroupOption,
    StateDirOption,
    SubscriptionOption,
    WorkspaceOption,
    resolve_workspace,
)
from localaml.cli.output import (
    Format,
    OutputOption,
    plain,
    print_facts,
    print_found,
    print_json,
    show_size,
    show_time,
    visible,
)
from localaml.cli.run_download import fetch
from localaml.domain.labels import shown_labels
from localaml.domain.names import check_relative_path
from localaml_proto.v1 import model_pb2

app = typer.Typer()

ModelArgument = Annotated[
    str, typer.Argument(metavar="NAME[:VERSION]", help="The model; without a version its newest one.")
]


def _model_name(model: str, parent: str) -> tuple[str, int]:
    """Resource name and version (0: the newest). Raises CliError."""
    name, colon, version = model.partition(":")
    if colon and not (version.isascii() and version.isdigit() and int(version[:18]) > 0 and len(version) <= 18):
        raise CliError(f"{model} is not a model: write NAME or NAME:VERSION, with a version from 1 on.", exit_code=2)
    return f"{parent}/models/{name}", int(version or 0)


def _short(model: model_pb2.Model) -> str:
    return model.name.rpartition("/")[2]


_COLUMNS: Mapping[str, Callable[[model_pb2.Model], str]] = {
    "MODEL": _short,
    "VERSION": lambda model: str(model.version),
    "FILES": lambda model: str(model.file_count),
    "SIZE": lambda model: show_size(model.size_bytes),
    "RUN": lambda model: model.run_id,
    "CREATED": lambda model: show_time(model.create_time),
    "TAGS": lambda model: shown_labels(dict(model.tags)),
}


@app.command("list")
def list_(
    name: Annotated[str, typer.Option("--name", help="Only the versions of this model.")] = "",
    all_versions: Annotated[bool, typer.Option("--all", "-a", help="All versions, not only the newest.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, newest first.")] = 50,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List registered models, newest first."""
    with connect(state_dir) as client:
        request = model_pb2.ListModelsRequest(
            parent=resolve_workspace(client, subscription_id, resource_group, workspace),
            model_name=name,
            latest_only=not (all_versions or name),
        )
        found = client.pages(client.models.ListModels, request, "models", limit)
    print_found(found, output, _COLUMNS, empty="There are no models.")


def _get(client: Client, model: str, parent: str) -> model_pb2.Model:
    name, version = _model_name(model, parent)
    found: model_pb2.Model = client.call(client.models.GetModel, model_pb2.GetModelRequest(name=name, version=version))
    return found


@app.command()
def show(
    model: ModelArgument,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show a version of a model."""
    with connect(state_dir) as client:
        parent = resolve_workspace(client, subscription_id, resource_group, workspace)
        found = _get(client, model, parent)
    if output is Format.JSON:
        print_json(plain(found))
        return
    print_facts(
        [
            ("Model", f"{_short(found)}:{found.version}"),
            ("Description", found.description),
            ("Files", f"{found.file_count}, {show_size(found.size_bytes)}"),
            ("Framework", " ".join(word for word in (found.framework, found.framework_version) if word)),
            ("Run", f"{found.run_id} of {found.experiment}" if found.run_id else ""),
            ("Tags", shown_labels(dict(found.tags))),
            ("Properties", shown_labels(dict(found.properties))),
            ("Created", show_time(found.create_time)),
        ]
    )


@app.command()
def download(
    model: ModelArgument,
    to: Annotated[Path, typer.Option("--to", help="Folder to write to; made when missing.")] = Path(),
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Fetch the files of a version of a model."""
    with connect(state_dir) as client:
        parent = resolve_workspace(client, subscription_id, resource_group, workspace)
        found = _get(client, model, parent)
        request = model_pb2.CreateModelDownloadUrlsRequest(name=found.name, version=found.version)
        for signed in client.pages(client.models.CreateModelDownloadUrls, request, "urls"):
            print(visible(str(fetch(signed.url, to, check_relative_path(signed.path, "file name")))))
