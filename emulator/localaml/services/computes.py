"""Answers for compute targets."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from localaml.domain.models import Cluster, ClusterKey, ScaleSettings
from localaml.domain.names import ChildName, check_name, parse_child
from localaml.domain.states import ProvisioningState
from localaml.domain.vm_sizes import VM_SIZES, find_vm_size
from localaml.errors import AlreadyExists, FailedPrecondition, InvalidArgument, LocalAmlError
from localaml.jobs.targets import LOCAL_TARGET, RUN_BASED_TARGET, check_runtime_tag, node_runtime, node_spec
from localaml.services.context import ServiceContext
from localaml.services.labels import check_labels
from localaml.services.messages import cluster_message, node_message, quota_message, vm_size_message
from localaml.services.paging import decode_token, fill_page, items_of, page_size, unreadable_ones
from localaml.services.rpc import Caller
from localaml_proto.v1 import compute_pb2

_PRIORITIES = ("dedicated", "lowpriority")
_MAX_NODES = 1000


class ComputeService:
    """`localaml.v1.ComputeService`."""

    SERVICE = "localaml.v1.ComputeService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def create_compute_target(
        self, request: compute_pb2.CreateComputeTargetRequest, caller: Caller
    ) -> compute_pb2.ComputeTarget:
        context = self._context
        workspace = context.workspace(request.parent)
        name = check_name("compute target", request.compute_target_name)
        if name.lower() in (LOCAL_TARGET, RUN_BASED_TARGET):
            raise InvalidArgument(
                "NAME_RESERVED", f"{name!r} has a meaning of its own as a target. Give the cluster another name."
            )
        wanted = request.compute_target
        check_labels(wanted.tags, "tag")
        runtime = check_runtime_tag(wanted.tags)
        if runtime and context.check_runtime is not None:
            await context.check_runtime(runtime)
        now = context.clock.now()
        cluster = Cluster(
            name=ChildName(workspace.name, "computes", name),
            workspace_id=workspace.workspace_id,
            vm_size=find_vm_size(wanted.vm_size).name,
            vm_priority=_priority(wanted.vm_priority),
            scale=_checked(
                ScaleSettings(
                    wanted.scale_settings.min_node_count,
                    wanted.scale_settings.max_node_count,
                    wanted.scale_settings.idle_seconds_before_scaledown,
                )
            ),
            provisioning_state=ProvisioningState.SUCCEEDED,
            created_at=now,
            updated_at=now,
            provisioning_state_changed_at=now,
            allocation_state_changed_at=now,
            tags=dict(wanted.tags),
            description=wanted.description,
        )
        existing = context.store.clusters.find(cluster.key)
        if existing is None:
            context.orchestrator.create_cluster(cluster)
        elif existing.provisioning_state is ProvisioningState.DELETING:
            raise FailedPrecondition(
                "COMPUTE_TARGET_DELETING",
                f"A compute target {name!r} is being deleted just now. Try again when it has gone.",
                {"compute_target": name},
            )
        elif _settings(existing) != _settings(cluster):
            raise AlreadyExists(
                "COMPUTE_TARGET_EXISTS",
                f"A compute target {name!r} exists already, with other settings: {_told(existing)}. "
                "Use it as it is, update or delete it, or take another name.",
                {"compute_target": name},
            )
        return self._message(cluster.key)

    async def get_compute_target(
        self, request: compute_pb2.GetComputeTargetRequest, caller: Caller
    ) -> compute_pb2.ComputeTarget:
        return self._message(self._cluster(request.name).key)

    async def list_compute_targets(
        self, request: compute_pb2.ListComputeTargetsRequest, caller: Caller
    ) -> compute_pb2.ListComputeTargetsResponse:
        workspace = self._context.workspace(request.parent)
        size, after = page_size(request.page), decode_token(request.page)
        clusters = self._context.store.clusters
        found = (
            (each.id, each)
            for each in clusters.stored(workspace.workspace_id)
            if each.id > after and not clusters.is_for_run(ClusterKey(workspace.workspace_id, each.id))
        )
        items = items_of(found, lambda cluster: self._message(cluster.key))
        response = compute_pb2.ListComputeTargetsResponse()
        response.next_page_token = fill_page(response.compute_targets, items, size, response.unreadable)
        return response

    async def watch_compute_target(
        self, request: compute_pb2.WatchComputeTargetRequest, caller: Caller
    ) -> AsyncGenerator[compute_pb2.ComputeTarget, None]:
        key = self._cluster(request.name).key
        last: compute_pb2.ComputeTarget | None = None
        with self._context.store.changes.subscribe(key) as subscription:
            while self._context.store.clusters.find(key) is not None:
                message = self._message(key)
                if message != last:
                    yield message
                    last = message
                await subscription.wait()

    async def update_compute_target(
        self, request: compute_pb2.UpdateComputeTargetRequest, caller: Caller
    ) -> compute_pb2.ComputeTarget:
        cluster = self._cluster(request.name)
        old = cluster.scale
        scale = ScaleSettings(
            request.min_node_count if request.HasField("min_node_count") else old.min_node_count,
            request.max_node_count if request.HasField("max_node_count") else old.max_node_count,
            request.idle_seconds_before_scaledown
            if request.HasField("idle_seconds_before_scaledown")
            else old.idle_seconds_before_scaledown,
        )
        self._context.orchestrator.resize_cluster(cluster.key, _checked(scale))
        return self._message(cluster.key)

    async def delete_compute_target(
        self, request: compute_pb2.DeleteComputeTargetRequest, caller: Caller
    ) -> compute_pb2.DeleteComputeTargetResponse:
        cluster = self._cluster(request.name)
        if cluster.provisioning_state is ProvisioningState.DELETING:
            # Somebody else's call does it already: answer when it is done.
            with self._context.store.changes.subscribe(cluster.key) as subscription:
                while self._context.store.clusters.find(cluster.key) is not None:
                    await subscription.wait()
        else:
            await self._context.orchestrator.delete_cluster(cluster.key)
        return compute_pb2.DeleteComputeTargetResponse()

    async def list_nodes(self, request: compute_pb2.ListNodesRequest, caller: Caller) -> compute_pb2.ListNodesResponse:
        status = self._context.orchestrator.cluster_status(self._cluster(request.parent).key)
        nodes = [
            node_message(node, self._context.runtime.node_note(node_spec(status.cluster, node)))
            for node in status.nodes
        ]
        broken = unreadable_ones(self._context.store.nodes.stored(status.cluster.key))
        return compute_pb2.ListNodesResponse(nodes=nodes, unreadable=broken)

    async def list_vm_sizes(
        self, request: compute_pb2.ListVmSizesRequest, caller: Caller
    ) -> compute_pb2.ListVmSizesResponse:
        self._context.workspace(request.parent)
        return compute_pb2.ListVmSizesResponse(vm_sizes=[vm_size_message(size) for size in VM_SIZES])

    async def list_quotas(
        self, request: compute_pb2.ListQuotasRequest, caller: Caller
    ) -> compute_pb2.ListQuotasResponse:
        workspace = self._context.workspace(request.parent)
        usages = self._context.orchestrator.quotas.usages(workspace.workspace_id)
        return compute_pb2.ListQuotasResponse(quotas=[quota_message(usage) for usage in usages])

    async def update_quota(self, request: compute_pb2.UpdateQuotaRequest, caller: Caller) -> compute_pb2.Quota:
        workspace = self._context.workspace(request.parent)
        quotas = self._context.orchestrator.quotas
        return quota_message(quotas.set_limit(workspace.workspace_id, request.vm_family, request.core_limit))

    def _cluster(self, name: str) -> Cluster:
        parsed = parse_child(name, "computes")
        workspace = self._context.workspace(parsed.workspace)
        return self._context.store.clusters.get(ClusterKey(workspace.workspace_id, parsed.name))

    def _message(self, key: ClusterKey) -> compute_pb2.ComputeTarget:
        return cluster_message(self._context.orchestrator.cluster_status(key))


def _priority(value: str) -> str:
    priority = value.lower().replace("_", "") or "dedicated"
    if priority not in _PRIORITIES:
        raise InvalidArgument(
            "VM_PRIORITY_UNKNOWN", f"{value[:64]!r} is not a VM priority: use 'dedicated' or 'lowpriority'."
        )
    return priority


def _checked(scale: ScaleSettings) -> ScaleSettings:
    def bad(why: str) -> LocalAmlError:
        return InvalidArgument("SCALE_SETTINGS_INVALID", f"These node counts do not fit: {why}.")

    if scale.min_node_count < 0:
        raise bad(f"min_nodes must not be negative (it is {scale.min_node_count})")
    if scale.max_node_count < 1:
        raise bad(f"max_nodes must be at least 1 (it is {scale.max_node_count})")
    if scale.max_node_count > _MAX_NODES:
        raise bad(f"max_nodes must be at most {_MAX_NODES} (it is {scale.max_node_count})")
    if scale.min_node_count > scale.max_node_count:
        raise bad(f"min_nodes ({scale.min_node_count}) is more than max_nodes ({scale.max_node_count})")
    if scale.idle_seconds_before_scaledown < 0:
        raise bad(f"idle_seconds_before_scaledown must not be negative (it is {scale.idle_seconds_before_scaledown})")
    return scale


def _settings(cluster: Cluster) -> tuple[str, str, ScaleSettings, str]:
    return cluster.vm_size, cluster.vm_priority, cluster.scale, node_runtime(cluster)


def _told(cluster: Cluster) -> str:
    scale, runtime = cluster.scale, node_runtime(cluster)
    return (
        f"{cluster.vm_size}, {cluster.vm_priority}, {scale.min_node_count} to {scale.max_node_count} nodes, "
        f"{scale.idle_seconds_before_scaledown} idle seconds{f', {runtime} nodes' if runtime else ''}"
    )
