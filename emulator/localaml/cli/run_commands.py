"""`localaml run list | show | logs | cancel | files | download`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
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
    print_table,
    show_duration,
    show_enum,
    show_size,
    show_time,
    visible,
)
from localaml.domain.labels import shown_labels
from localaml_proto.v1 import artifact_pb2, run_pb2

app = typer.Typer()

RunArgument = Annotated[str, typer.Argument(metavar="RUN_ID", help="Id of the run, as 'localaml run list' shows it.")]


def _run_name(client: Client, run_id: str, subscription: str | None, group: str | None, workspace: str | None) -> str:
    parent = resolve_workspace(client, subscription, group, workspace)
    return f"{parent}/experiments/-/runs/{run_id}"


def _state(run: run_pb2.Run) -> str:
    return show_enum(run_pb2.RunState, run.state, "RUN_STATE_")


def _duration(run: run_pb2.Run) -> str:
    if not run.start_time.seconds:
        return ""
    end = run.end_time.ToDatetime(timezone.utc) if run.end_time.seconds else datetime.now(timezone.utc)  # noqa: TID251 - shown to a person
    return show_duration((end - run.start_time.ToDatetime(timezone.utc)).total_seconds())


_COLUMNS: Mapping[str, Callable[[run_pb2.Run], str]] = {
    "RUN ID": lambda run: run.run_id,
    "EXPERIMENT": lambda run: run.name.split("/")[7],
    "NO": lambda run: str(run.number),
    "STATE": _state,
    "TARGET": lambda run: run.target,
    "CREATED": lambda run: show_time(run.create_time),
    "DURATION": _duration,
}
_FILE_COLUMNS: Mapping[str, Callable[[artifact_pb2.Artifact], str]] = {
    "NAME": lambda file: file.path,
    "SIZE": lambda file: show_size(file.size_bytes),
    "CREATED": lambda file: show_time(file.create_time),
}


@app.command("list")
def list_(
    experiment: Annotated[str, typer.Option("--experiment", "-e", help="Only this experiment's.")] = "-",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, newest first.")] = 50,
    children: Annotated[bool, typer.Option("--children", help="Also runs that have a parent.")] = False,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List runs, newest first."""
    with connect(state_dir) as client:
        parent = resolve_workspace(client, subscription_id, resource_group, workspace)
        request = run_pb2.ListRunsRequest(parent=f"{parent}/experiments/{experiment}", include_children=children)
        found = client.pages(client.runs.ListRuns, request, "runs", limit)
    print_found(found, output, _COLUMNS, empty="There are no runs.")


@app.command()
def show(
    run_id: RunArgument,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show a run: its state, how it got there, what it runs."""
    with connect(state_dir) as client:
        name = _run_name(client, run_id, subscription_id, resource_group, workspace)
        run = client.call(client.runs.GetRun, run_pb2.GetRunRequest(name=name))
    if output is Format.JSON:
        print_json(plain(run))
        return
    definition = run.definition
    print_facts(
        [
            ("Run", run.run_id),
            ("Experiment", f"{run.name.split('/')[7]}, number {run.number}"),
            ("State", _state(run)),
            ("Error", f"{run.error.code}: {run.error.message}" if run.error.code else ""),
            ("Warnings", "; ".join(warning.message for warning in run.warnings)),
            ("Parent", run.parent_run_id),
            ("Target", run.target),
            ("Nodes", ", ".join(run.node_ids)),
            ("Command", " ".join([definition.script, *definition.command, *definition.arguments]).strip()),
            ("Created", show_time(run.create_time)),
            ("Started", show_time(run.start_time)),
            ("Ended", show_time(run.end_time)),
            ("Duration", _duration(run)),
            ("Tags", shown_labels(run.tags)),
        ]
    )
    if run.state_changes:
        print()
        print_table(
            ["TIME", "STATE", "WHY"],
            [
                [show_time(change.time), show_enum(run_pb2.RunState, change.state, "RUN_STATE_"), change.cause]
                for change in run.state_changes
            ],
            empty="",
        )


@app.command()
def logs(
    run_id: RunArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    log: Annotated[
        str | None, typer.Option("--log", help="Name of the log. Default: the output of the script (rank 0).")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Also to a terminal as it is; it does whatever it is told.")
    ] = False,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Print a run's log: its bytes into a file or pipe, its text on a terminal.

    A terminal gets colours and bars of progress as they are; what else would make it do something is spelled out
    (\\x1b]0;title\\x07).
    """
    from localaml.cli.run_logs import print_log

    with connect(state_dir) as client:
        name = _run_name(client, run_id, subscription_id, resource_group, workspace)
        print_log(client, name, log, follow=follow, raw=raw)


@app.command()
def cancel(
    run_id: RunArgument,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the run has ended.")] = False,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Ask a run to end."""
    with connect(state_dir) as client:
        name = _run_name(client, run_id, subscription_id, resource_group, workspace)
        run = client.call(client.runs.CancelRun, run_pb2.CancelRunRequest(name=name))
        if wait:
            *_, run = client.stream(client.runs.WatchRun, run_pb2.WatchRunRequest(name=name))
    print(f"{run_id}: {_state(run)}")


def _list_files(client: Client, name: str, prefix: str) -> list[artifact_pb2.Artifact]:
    request = artifact_pb2.ListArtifactsRequest(parent=name, prefix=prefix)
    return client.pages(client.artifacts.ListArtifacts, request, "artifacts")


@app.command()
def files(
    run_id: RunArgument,
    prefix: Annotated[str, typer.Option(help="Only names that begin so.")] = "",
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List a run's files: outputs, logs and uploads."""
    with connect(state_dir) as client:
        name = _run_name(client, run_id, subscription_id, resource_group, workspace)
        found = _list_files(client, name, prefix)
    print_found(found, output, _FILE_COLUMNS, empty="The run has no such files.")


@app.command()
def download(
    run_id: RunArgument,
    names: Annotated[list[str] | None, typer.Argument(help="Files; default: all.")] = None,
    prefix: Annotated[str, typer.Option(help="Only names that begin so.")] = "",
    folder: Annotated[Path, typer.Option("--to", help="Folder to write to; made when missing.")] = Path(),
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Download a run's files, below a folder, under their own names."""
    from localaml.cli.run_download import download_artifacts

    with connect(state_dir) as client:
        run_name = _run_name(client, run_id, subscription_id, resource_group, workspace)
        wanted = list(names or [file.path for file in _list_files(client, run_name, prefix)])
        if not wanted:
            raise CliError("The run has no such files; see 'localaml run files'.")
        for path in download_artifacts(client, run_name, wanted, folder):
            print(visible(str(path)))
