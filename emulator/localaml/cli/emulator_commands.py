"""`localaml start | stop | status | logs | env | init`."""

from __future__ import annotations

import json
import shlex
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localaml.cli.endpoint import Presence, default_state_dir, look_up, wait_for_exit
from localaml.cli.failure import CliError
from localaml.cli.options import StateDirOption
from localaml.cli.output import Format, OutputOption, print_facts, print_json, show_duration
from localaml.paths import StatePaths
from localaml.state_dir import Endpoint

if TYPE_CHECKING:
    from localaml.cli.client import Client


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    for command in (start, stop, status, logs, env, init):
        app.command()(command)


def start(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background; return once it serves.")
    ] = False,
    state_dir: StateDirOption = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Folder of what can be made again.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="gRPC port; 0 (default) takes any free one.")] = None,
    http_port: Annotated[int | None, typer.Option(help="HTTP port; 0 (default) takes any free one.")] = None,
    ephemeral: Annotated[bool | None, typer.Option("--ephemeral", help="Temporary state, removed at the stop.")] = None,
    offline: Annotated[
        bool | None, typer.Option("--offline", help="Build jobs' environments only from what is cached.")
    ] = None,
    exclude_newer: Annotated[
        str | None, typer.Option(help="Resolve jobs' environments as of this day (YYYY-MM-DD).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Ids of runs and nodes repeat with it.")] = None,
    clock: Annotated[str | None, typer.Option(help="real (default), virtual or scaled.")] = None,
    clock_scale: Annotated[float | None, typer.Option(help="How much faster a scaled clock goes.")] = None,
    latency: Annotated[str | None, typer.Option(help="none (default), or cloud: minutes for nodes and images.")] = None,
    cloud: Annotated[
        str | None, typer.Option(help="Where data are: disk (default), moto, localstack, s3, azurite or azure.")
    ] = None,
    s3_endpoint: Annotated[str | None, typer.Option(help="URL of the S3 for --cloud s3.")] = None,
    compute: Annotated[
        str | None, typer.Option(help="What nodes are: process (default), docker, or auto (docker where it runs).")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. Default: the user's, if there is one.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait until it serves.")] = 30.0,
) -> None:
    """Start the emulator."""
    from localaml.cli import launcher
    from localaml.cli.configuration import is_set, load_settings

    settings = load_settings(
        config,
        state_dir=state_dir,
        cache_dir=cache_dir,
        host=host,
        port=port,
        http_port=http_port,
        ephemeral=ephemeral,
        offline=offline,
        exclude_newer=exclude_newer,
        seed=seed,
        clock=clock,
        clock_scale=clock_scale,
        latency=latency,
        cloud=cloud,
        s3_endpoint=s3_endpoint,
        compute=compute,
    )
    settings = launcher.prepare_state_dir(settings, named=state_dir is not None or is_set("state_dir"))
    # A temporary folder has to be named in the commands that follow.
    hint = f" --state-dir {shlex.quote(str(settings.state_dir))}" if settings.state_dir != default_state_dir() else ""
    if not detach:
        raise typer.Exit(launcher.run_attached(settings, timeout, lambda endpoint: _announce(endpoint, hint, "Ctrl-C")))
    _announce(launcher.start_detached(settings, timeout), hint, f"localaml stop{hint}")


def _announce(endpoint: Endpoint, hint: str, how_to_stop: str) -> None:
    print(f"LocalAML {endpoint.version} serves.")
    _print_addresses(endpoint)
    print(f'\nNext: eval "$(localaml env{hint})"; localaml init. To stop: {how_to_stop}', flush=True)


def _print_addresses(endpoint: Endpoint) -> None:
    print_facts(
        [
            ("gRPC", endpoint.grpc_address),
            ("HTTP", endpoint.http_address),
            ("State folder", endpoint.state_dir),
            ("Process", str(endpoint.process_id)),
        ]
    )


def stop(
    state_dir: StateDirOption = None,
    cancel_runs: Annotated[
        bool, typer.Option("--cancel-runs", help="Cancel all runs first. Without it jobs go on, for the next start.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for its end.")] = 60.0,
) -> None:
    """Stop the emulator."""
    import os

    from localaml.cli.client import connect
    from localaml_proto.admin.v1 import admin_pb2

    if state_dir is not None or not os.environ.get("LOCALAML_ENDPOINT"):
        folder = default_state_dir() if state_dir is None else state_dir.expanduser().absolute()
        presence, endpoint = look_up(folder)
        if endpoint is not None and presence is Presence.STALE:
            _clean_up(folder, endpoint)
            return
    with connect(state_dir) as client:
        info = client.call(client.admin.GetInfo, admin_pb2.GetInfoRequest())
        client.call(client.admin.Shutdown, admin_pb2.ShutdownRequest(cancel_runs=cancel_runs), timeout=timeout)
    if not wait_for_exit(info.process_id, timeout):
        raise CliError(
            f"The emulator (pid {info.process_id}) has not ended within {timeout:g} seconds. "
            f"'kill -9 {info.process_id}' ends it at once; its jobs go on, and the next start finds them."
        )
    going_on = 0 if cancel_runs or info.ephemeral else info.active_run_count
    print("Stopped." + (f" {going_on} active run(s): the next start goes on with them." if going_on else ""))


def _clean_up(folder: Path, endpoint: Endpoint) -> None:
    StatePaths(folder).endpoint.unlink(missing_ok=True)
    print(
        f"No emulator is running: the last one (pid {endpoint.process_id}) was killed. "
        "Cleaned up after it; its state is kept, and the next start goes on with it."
    )


def status(state_dir: StateDirOption = None, output: OutputOption = Format.TABLE) -> None:
    """Show whether the emulator runs, where, and with what."""
    from localaml.cli.client import connect

    with connect(state_dir) as client:
        facts = _gather(client)
    if output is Format.JSON:
        print_json(facts)
        return
    uptime = datetime.now(timezone.utc).timestamp() - facts["start_time_seconds"]  # noqa: TID251 - shown to a person
    print_facts(
        [
            ("Emulator", f"LocalAML {facts['version']}, pid {facts['process_id']}, up {show_duration(uptime)}"),
            ("gRPC", facts["grpc_address"]),
            ("HTTP", facts["http_address"]),
            ("State folder", facts["state_dir"] + (" (ephemeral)" if facts["ephemeral"] else "")),
            ("Node runtime", facts["compute_runtime"]),
            ("Workspaces", str(facts["workspace_count"])),
            ("Clusters", f"{facts['cluster_count']} with {facts['node_count']} node(s)"),
            ("Active runs", str(facts["active_run_count"])),
        ]
    )


def _gather(client: Client) -> dict[str, Any]:
    from localaml_proto.admin.v1 import admin_pb2
    from localaml_proto.v1 import compute_pb2, workspace_pb2

    info = client.call(client.admin.GetInfo, admin_pb2.GetInfoRequest())
    request = workspace_pb2.ListWorkspacesRequest()
    workspaces = client.pages(client.workspaces.ListWorkspaces, request, "workspaces")
    clusters = [
        cluster
        for workspace in workspaces
        for cluster in client.pages(
            client.computes.ListComputeTargets,
            compute_pb2.ListComputeTargetsRequest(parent=workspace.name),
            "compute_targets",
        )
    ]
    return {
        "version": info.version,
        "process_id": info.process_id,
        "start_time_seconds": info.start_time.seconds + info.start_time.nanos / 1e9,
        "grpc_address": info.grpc_address,
        "http_address": info.http_address,
        "state_dir": info.state_dir,
        "ephemeral": info.ephemeral,
        "compute_runtime": info.compute_runtime,
        "workspace_count": len(workspaces),
        "cluster_count": len(clusters),
        "node_count": sum(cluster.current_node_count for cluster in clusters),
        "active_run_count": info.active_run_count,
    }


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=1, help="Only the last lines.")] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Show the log of an emulator that was started with -d."""
    from localaml.cli.launcher import follow_file
    from localaml.cli.terminal import log_writer

    folder = default_state_dir() if state_dir is None else state_dir.expanduser().absolute()
    path = StatePaths(folder).log
    if not path.is_file():
        raise CliError(f"There is no log {path}: only 'localaml start -d' writes one.")

    with log_writer(raw=False) as write:
        follow_file(path, tail=tail, follow=follow, write=write)


def env(state_dir: StateDirOption = None) -> None:
    """Print the variables that lead SDK and CLI to this emulator: eval "$(localaml env)"."""
    import os

    folder = default_state_dir() if state_dir is None else state_dir.expanduser().absolute()
    presence, endpoint = look_up(folder)
    if endpoint is None or presence is not Presence.RUNNING:
        hint = f" --state-dir {shlex.quote(str(folder))}" if state_dir is not None else ""
        raise CliError(f"No emulator is running on {folder}. Start one with 'localaml start -d{hint}'.")
    if os.environ.get("LOCALAML_TOKEN"):
        print("unset LOCALAML_TOKEN")
    for name, value in (
        ("LOCALAML_ENDPOINT", endpoint.http_address),
        ("LOCALAML_GRPC_ENDPOINT", endpoint.grpc_address),
        ("LOCALAML_TOKEN_FILE", endpoint.token_file),
    ):
        print(f"export {name}={shlex.quote(value)}")


def init(
    path: Annotated[Path, typer.Option(help="Folder that gets .azureml/config.json.")] = Path(),
    subscription_id: Annotated[str | None, typer.Option(help="Default: from config.json, else zeros.")] = None,
    resource_group: Annotated[
        str | None, typer.Option("--resource-group", "-g", help="Default: from config.json, else 'local'.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", "-w", help="Default: from config.json, else 'local-workspace'.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a config.json that says something else.")] = False,
    state_dir: StateDirOption = None,
) -> None:
    """Make a workspace and the config.json that Workspace.from_config() finds.

    A folder that has a config.json already gets a workspace of that name.
    """
    from localaml.cli.client import connect
    from localaml.cli.options import CONFIG_PLACES, config_in, read_config
    from localaml.cli.workspace_commands import create_workspace

    if not path.is_dir():
        raise CliError(f"The folder {path} does not exist.", exit_code=2)
    config = config_in(path)
    present = None if config is None else read_config(config)
    known = present or {}
    wanted = {
        "subscription_id": subscription_id or known.get("subscription_id") or "00000000-0000-0000-0000-000000000000",
        "resource_group": resource_group or known.get("resource_group") or "local",
        "workspace_name": workspace or known.get("workspace_name") or "local-workspace",
    }
    if present is not None and wanted != present and not force:
        raise CliError(
            f"{config} names the workspace {present['workspace_name']!r} of the group {present['resource_group']!r}. "
            "Leave the options away to use that, or replace it with --force."
        )
    with connect(state_dir) as client:
        made = create_workspace(
            client, wanted["subscription_id"], wanted["resource_group"], wanted["workspace_name"], allow_existing=True
        )
    if config is None or wanted != present:
        # The first place counts, also where another one has a file.
        config = path / CONFIG_PLACES[0]
        try:
            config.parent.mkdir(parents=True, exist_ok=True)
            config.write_text(json.dumps(wanted, indent=4) + "\n", "utf-8")
        except OSError as error:
            raise CliError(f"{config} cannot be written: {error.strerror}.") from None
    print(f"Workspace {made.name.rpartition('/')[2]} is ready; {config} leads Workspace.from_config() to it.")
