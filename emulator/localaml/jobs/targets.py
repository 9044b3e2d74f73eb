"""What a run can be submitted to: a cluster, `local`, or `amlcompute` (a cluster made for the run)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localaml.compute.runtime import NodeRuntime, NodeSpec
from localaml.domain.job import JobSpec
from localaml.domain.models import Cluster, ClusterKey, Node, Run, ScaleSettings
from localaml.domain.names import ChildName
from localaml.domain.states import ProvisioningState
from localaml.domain.vm_sizes import find_vm_size
from localaml.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from localaml.store import Store

LOCAL_TARGET = "local"
RUN_BASED_TARGET = "amlcompute"
# Tag of a cluster: what its nodes are. Without it they are what the emulator's settings say.
RUNTIME_TAG = "localaml.runtime"
_RUNTIMES = ("process", "docker")


def node_runtime(cluster: Cluster) -> str:
    """What a cluster's nodes are: ``process`` or ``docker``; empty for the emulator's default. Those of `local` are
    processes: it is this machine."""
    runtime = "process" if cluster.name.name == LOCAL_TARGET else cluster.tags.get(RUNTIME_TAG, "")
    return runtime if runtime in _RUNTIMES else ""


def node_spec(cluster: Cluster, node: Node) -> NodeSpec:
    """What the runtime calls a cluster's node."""
    name = cluster.name.name
    return NodeSpec(cluster.workspace_id, name, node.node_id, node.host_name, cluster.vm_size, node_runtime(cluster))


def placement(nodes: Sequence[NodeSpec], runtime: NodeRuntime) -> dict[str, Any]:
    """What is noted of the nodes that a run has got, to know them again."""
    kind = "docker" if runtime.runs_in_containers(nodes[0]) else "process"
    return {"nodes": [[node.node_id, node.host_name] for node in nodes], "runtime": kind}


def as_placed(node: NodeSpec, run: Run) -> NodeSpec:
    """A node of a run as it was when the run got it, though the emulator's default may be another one now."""
    return replace(node, runtime=run.execution.get("runtime", node.runtime))


def runs_in_containers(runtime: NodeRuntime, store: Store, workspace_id: str, target: str) -> bool:
    """Whether a run on this target, which need not exist, would run in containers."""
    wanted = "process" if target == LOCAL_TARGET else ""
    if (cluster := store.clusters.find(ClusterKey(workspace_id, target))) is not None:
        wanted = node_runtime(cluster)
    return runtime.runs_in_containers(NodeSpec(workspace_id, target, "", "", "", wanted))


def check_runtime_tag(tags: Mapping[str, str]) -> str:
    """What the tag of a cluster-to-be says; empty when it has none.

    Raises InvalidArgument ``RUNTIME_UNKNOWN``.
    """
    runtime = tags.get(RUNTIME_TAG)
    if runtime is None:
        return ""
    if runtime not in _RUNTIMES:
        raise InvalidArgument(
            "RUNTIME_UNKNOWN",
            f"The tag {RUNTIME_TAG} says {runtime[:64]!r}: nodes are 'process' or 'docker'. Without the tag they are "
            "what the emulator was started with (--compute).",
            {"runtime": runtime[:64]},
        )
    return runtime


def local_cluster(run: Run, slots: int) -> Cluster:
    """The pretended cluster behind the `local` target of the run's workspace: this machine, `slots` runs at a time."""
    return _cluster(run, LOCAL_TARGET, LOCAL_TARGET, "dedicated", slots, run.created_at)


def cluster_for_run(run: Run, spec: JobSpec, vm_size: str, vm_priority: str, now: datetime) -> Cluster:
    """The cluster that is made for one run and goes with it.

    Raises:
        InvalidArgument: ``VM_SIZE_REQUIRED`` or ``VM_SIZE_NOT_SUPPORTED``.
    """
    if not vm_size:
        raise InvalidArgument(
            "VM_SIZE_REQUIRED", "The target 'amlcompute' makes a cluster for the run: say which vm_size it is to have."
        )
    size = find_vm_size(vm_size).name
    name = f"amlc-{hashlib.sha256(run.run_id.encode()).hexdigest()[:12]}"
    priority = vm_priority.lower() or "dedicated"
    made = _cluster(run, name, size, priority, spec.node_count, now, for_run=run.run_id)
    return made


def _cluster(
    run: Run, name: str, vm_size: str, vm_priority: str, max_nodes: int, now: datetime, for_run: str | None = None
) -> Cluster:
    return Cluster(
        name=ChildName(run.name.workspace, "computes", name),
        workspace_id=run.workspace_id,
        vm_size=vm_size,
        vm_priority=vm_priority,
        scale=ScaleSettings(0, max_nodes, 0),
        provisioning_state=ProvisioningState.SUCCEEDED,
        created_at=now,
        updated_at=now,
        provisioning_state_changed_at=now,
        allocation_state_changed_at=now,
        for_run=for_run,
    )


def check_fits(cluster: Cluster, spec: JobSpec) -> None:
    """Checks that a run can ever be placed on a cluster.

    Raises:
        InvalidArgument: ``NODE_COUNT_TOO_LARGE``.
        FailedPrecondition: ``COMPUTE_TARGET_DELETING``.
    """
    name = cluster.name.name
    if cluster.provisioning_state is ProvisioningState.DELETING:
        raise FailedPrecondition("COMPUTE_TARGET_DELETING", f"The compute target {name!r} is being deleted.")
    if name == LOCAL_TARGET:
        if spec.node_count > 1:
            raise InvalidArgument(
                "NODE_COUNT_TOO_LARGE",
                f"The run asks for {spec.node_count} nodes, but 'local' is one machine. "
                "Submit it to an AmlCompute cluster.",
            )
    elif spec.node_count > cluster.scale.max_node_count:
        raise InvalidArgument(
            "NODE_COUNT_TOO_LARGE",
            f"The run asks for {spec.node_count} nodes, but the compute target {name!r} has at most "
            f"{cluster.scale.max_node_count}. Raise the cluster's max_nodes or ask for fewer nodes.",
            {"node_count": str(spec.node_count), "max_nodes": str(cluster.scale.max_node_count)},
        )


def check_target(store: Store, run: Run, spec: JobSpec, vm_size: str) -> None:
    """Checks that runs like this one can be submitted to its target.

    Raises:
        NotFound: ``COMPUTE_TARGET_NOT_FOUND``.
        InvalidArgument: ``NODE_COUNT_TOO_LARGE``, ``VM_SIZE_REQUIRED``, ``VM_SIZE_NOT_SUPPORTED``.
        FailedPrecondition: ``COMPUTE_TARGET_DELETING``.
    """
    if run.target == RUN_BASED_TARGET:
        cluster_for_run(run, spec, vm_size, "", run.created_at)
    elif run.target == LOCAL_TARGET:
        check_fits(local_cluster(run, 1), spec)
    else:
        check_fits(store.clusters.get(ClusterKey(run.workspace_id, run.target)), spec)
