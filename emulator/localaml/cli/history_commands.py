"""`localaml events` and `localaml reset`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from localaml.cli.failure import CliError
from localaml.cli.options import (
    GroupOption,
    StateDirOption,
    SubscriptionOption,
    WorkspaceOption,
    resolve_workspace,
)
from localaml.cli.output import Format, OutputOption, plain, print_json, visible

if TYPE_CHECKING:
    from localaml.cli.client import Client
    from localaml_proto.admin.v1 import event_pb2

# All of the data may have to be removed.
_LONG_SECONDS = 3600.0


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(events)
    app.command()(reset)


def reset(
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    state_dir: StateDirOption = None,
) -> None:
    """Cancel all runs and remove everything, or what is in one workspace."""
    from localaml.cli.client import connect
    from localaml_proto.admin.v1 import admin_pb2

    with connect(state_dir) as client:
        name = ""
        if workspace is not None:
            name = resolve_workspace(client, subscription_id, resource_group, workspace)
        elif resource_group is not None or subscription_id is not None:
            raise CliError("Name the workspace, too (--workspace); without one, everything goes.", exit_code=2)
        what = f"everything in the workspace {workspace}" if name else "all workspaces with all that is in them"
        if not yes and not typer.confirm(f"Remove {what}?"):
            raise CliError("Nothing was removed.")
        answer = client.call(client.admin.Reset, admin_pb2.ResetRequest(workspace=name), timeout=_LONG_SECONDS)
    print(f"Removed {what}; {answer.canceled_run_count} run(s) were canceled.")


def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each further event.")] = False,
    run: Annotated[str, typer.Option(help="Only those of this run.")] = "",
    cluster: Annotated[str, typer.Option(help="Only those of this cluster.")] = "",
    kind: Annotated[str, typer.Option(help="run, node, cluster or fault.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, the newest.")] = 1000,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show what has happened, with causes: every state of runs, nodes and clusters, and every fault."""
    from localaml.cli.client import connect
    from localaml_proto.admin.v1 import event_pb2

    with connect(state_dir) as client:
        name = ""
        if workspace is not None:
            name = resolve_workspace(client, subscription_id, resource_group, workspace)
        wanted = event_pb2.EventFilter(workspace=name, run_id=run, cluster=cluster, kind=kind)
        request = event_pb2.ListEventsRequest(filter=wanted, limit=limit)
        last = 0
        for event in client.call(client.events.ListEvents, request).events:
            _show(event, output)
            last = event.sequence
        if follow:
            _follow(client, wanted, last, output)


def _follow(client: Client, wanted: event_pb2.EventFilter, after: int, output: Format) -> None:
    from localaml_proto.admin.v1 import event_pb2

    for event in client.stream(client.events.WatchEvents, event_pb2.WatchEventsRequest(filter=wanted, after=after)):
        _show(event, output)


def _show(event: event_pb2.Event, output: Format) -> None:
    if output is Format.JSON:
        print_json(plain(event))
        return
    time = event.time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    states = " -> ".join(state for state in (event.old_state, event.new_state) if state)
    where = f" on {event.cluster}" if event.cluster and event.kind in ("run", "node") else ""
    line = f"{event.sequence:>6}  {time}  {event.kind:<7} {event.subject}{where}: {states} ({event.cause})"
    print(visible(line), flush=True)
