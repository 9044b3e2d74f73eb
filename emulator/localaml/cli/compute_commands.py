"""`localaml compute list | show | create | resize | delete | quota`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from localaml.cli.client import connect
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
    show_enum,
    show_time,
)
from localaml.jobs.targets import RUNTIME_TAG
from localaml_proto.v1 import compute_pb2

app = typer.Typer()

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the cluster.")]


def _nodes(cluster: compute_pb2.ComputeTarget) -> str:
    counts = cluster.node_state_counts
    states = ((field.name, getattr(counts, field.name)) for field in counts.DESCRIPTOR.fields)
    return ", ".join(f"{count} {state}" for state, count in states if count) or "0"


def _print_cluster(cluster: compute_pb2.ComputeTarget, output: Format, said: str) -> None:
    if output is Format.JSON:
        print_json(plain(cluster))
    else:
        scale = cluster.scale_settings
        print(
            f"{said} {cluster.name.rpartition('/')[2]}: {cluster.vm_size}, "
            f"{scale.min_node_count} to {scale.max_node_count} nodes."
        )


def _state(cluster: compute_pb2.ComputeTarget) -> str:
    return show_enum(compute_pb2.ProvisioningState, cluster.provisioning_state, "PROVISIONING_STATE_")


_COLUMNS: Mapping[str, Callable[[compute_pb2.ComputeTarget], str]] = {
    "NAME": lambda cluster: cluster.name.rpartition("/")[2],
    "VM SIZE": lambda cluster: cluster.vm_size,
    "MIN": lambda cluster: str(cluster.scale_settings.min_node_count),
    "MAX": lambda cluster: str(cluster.scale_settings.max_node_count),
    "NODES": _nodes,
    "STATE": _state,
}
_QUOTA_COLUMNS: Mapping[str, Callable[[compute_pb2.Quota], str]] = {
    "FAMILY": lambda quota: quota.vm_family,
    "IN USE": lambda quota: str(quota.cores_in_use),
    "LIMIT": lambda quota: str(quota.core_limit),
}


@app.command("list")
def list_(
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List the clusters of a workspace."""
    with connect(state_dir) as client:
        parent = resolve_workspace(client, subscription_id, resource_group, workspace)
        request = compute_pb2.ListComputeTargetsRequest(parent=parent)
        found = client.pages(client.computes.ListComputeTargets, request, "compute_targets")
    print_found(found, output, _COLUMNS, empty="There are no clusters. Make one with 'localaml compute create NAME'.")


@app.command()
def show(
    name: NameArgument,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show a cluster and its nodes."""
    with connect(state_dir) as client:
        parent = resolve_workspace(client, subscription_id, resource_group, workspace)
        full = f"{parent}/computes/{name}"
        cluster = client.call(client.computes.GetComputeTarget, compute_pb2.GetComputeTargetRequest(name=full))
        nodes = client.call(client.computes.ListNodes, compute_pb2.ListNodesRequest(parent=full)).nodes
    if output is Format.JSON:
        print_json({**plain(cluster), "nodes": [plain(node) for node in nodes]})
        return
    scale = cluster.scale_settings
    print_facts(
        [
            ("Name", name),
            ("VM size", f"{cluster.vm_size} ({cluster.vm_priority})"),
            ("Runtime", cluster.tags.get(RUNTIME_TAG, "")),
            (
                "Scale",
                f"{scale.min_node_count} to {scale.max_node_count} nodes, one that is idle goes after "
                f"{scale.idle_seconds_before_scaledown} s",
            ),
            ("State", _state(cluster)),
            ("Allocation", show_enum(compute_pb2.AllocationState, cluster.allocation_state, "ALLOCATION_STATE_")),
            ("Nodes", f"{cluster.current_node_count} of {cluster.target_node_count}: {_nodes(cluster)}"),
            ("Created", show_time(cluster.create_time)),
            ("Errors", "; ".join(error.message for error in cluster.errors)),
        ]
    )
    if nodes:
        print()
        print_table(
            ["NODE", "STATE", "HOST NAME", "RUN", "NOTE"],
            [
                [
                    node.node_id,
                    show_enum(compute_pb2.NodeState, node.state, "NODE_STATE_"),
                    node.host_name,
                    node.run_id,
                    node.note,
                ]
                for node in nodes
            ],
            empty="",
        )


@app.command()
def create(
    name: NameArgument,
    vm_size: Annotated[str, typer.Option(help="An Azure VM size.")] = "STANDARD_D2_V2",
    vm_priority: Annotated[str, typer.Option(help="dedicated or lowpriority.")] = "dedicated",
    min_nodes: Annotated[int, typer.Option(min=0)] = 0,
    max_nodes: Annotated[int, typer.Option(min=0)] = 4,
    idle_seconds: Annotated[int, typer.Option(min=0, help="An idle node goes after so many seconds.")] = 1800,
    runtime: Annotated[
        str | None, typer.Option(help="What its nodes are: process or docker. Default: what the emulator's are.")
    ] = None,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Make a cluster."""
    with connect(state_dir) as client:
        request = compute_pb2.CreateComputeTargetRequest(
            parent=resolve_workspace(client, subscription_id, resource_group, workspace),
            compute_target_name=name,
            compute_target=compute_pb2.ComputeTarget(
                vm_size=vm_size,
                vm_priority=vm_priority,
                scale_settings=compute_pb2.ScaleSettings(
                    min_node_count=min_nodes, max_node_count=max_nodes, idle_seconds_before_scaledown=idle_seconds
                ),
                tags={} if runtime is None else {RUNTIME_TAG: runtime},
            ),
            request_id=str(uuid.uuid4()),
        )
        cluster = client.call(client.computes.CreateComputeTarget, request)
    _print_cluster(cluster, output, "Made the cluster")


@app.command()
def resize(
    name: NameArgument,
    min_nodes: Annotated[int | None, typer.Option(min=0)] = None,
    max_nodes: Annotated[int | None, typer.Option(min=0)] = None,
    idle_seconds: Annotated[int | None, typer.Option(min=0)] = None,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Change how many nodes a cluster may have."""
    if min_nodes is None and max_nodes is None and idle_seconds is None:
        raise typer.BadParameter("Nothing to change: use --min-nodes, --max-nodes or --idle-seconds.")
    with connect(state_dir) as client:
        parent = resolve_workspace(client, subscription_id, resource_group, workspace)
        request = compute_pb2.UpdateComputeTargetRequest(
            name=f"{parent}/computes/{name}",
            min_node_count=min_nodes,
            max_node_count=max_nodes,
            idle_seconds_before_scaledown=idle_seconds,
        )
        cluster = client.call(client.computes.UpdateComputeTarget, request)
    _print_cluster(cluster, output, "Changed the cluster")


@app.command()
def delete(
    name: NameArgument,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Cancel the runs on a cluster and remove it."""
    with connect(state_dir) as client:
        parent = resolve_workspace(client, subscription_id, resource_group, workspace)
        request = compute_pb2.DeleteComputeTargetRequest(name=f"{parent}/computes/{name}")
        client.call(client.computes.DeleteComputeTarget, request)
    print(f"Deleted the cluster {name}.")


@app.command()
def quota(
    family: Annotated[str | None, typer.Argument(help="A family of VM sizes, or lowPriorityCores; none: all.")] = None,
    cores: Annotated[int | None, typer.Argument(min=0, help="The new limit; none: show.")] = None,
    workspace: WorkspaceOption = None,
    resource_group: GroupOption = None,
    subscription_id: SubscriptionOption = None,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show how many cores clusters use and may have, or set a limit."""
    with connect(state_dir) as client:
        parent = resolve_workspace(client, subscription_id, resource_group, workspace)
        if family is not None and cores is not None:
            request = compute_pb2.UpdateQuotaRequest(parent=parent, vm_family=family, core_limit=cores)
            client.call(client.computes.UpdateQuota, request)
        quotas = client.call(client.computes.ListQuotas, compute_pb2.ListQuotasRequest(parent=parent)).quotas
    wanted = [each for each in quotas if family is None or each.vm_family.lower() == family.lower()]
    print_found(wanted, output, _QUOTA_COLUMNS, empty=f"There is no family {family}.")
