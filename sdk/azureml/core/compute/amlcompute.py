"""`AmlCompute`: clusters of the emulator."""

import time
import uuid
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Tuple, Union

from azureml._localaml.labels import text_map
from azureml._localaml.wire import enum_word
from azureml.core.compute._amlcompute_gaps import AmlComputeGaps
from azureml.core.compute._amlcompute_quotas import AmlComputeQuotas
from azureml.core.compute._amlcompute_record import COMPUTE_TYPE, ClusterRecord
from azureml.core.compute._amlcompute_settings import (
    DEFAULT_IDLE_SECONDS,
    AmlComputeNodeStateCounts,
    AmlComputeProvisioningConfiguration,
    AmlComputeStatus,
    ScaleSettings,
    idle_seconds,
    whole_number,
)
from azureml.core.compute._amlcompute_waiting import StatePrinter, cluster_changes
from azureml.core.compute.compute import ComputeTarget, as_compute_error
from azureml.exceptions import AzureMLException, ComputeTargetException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace

__all__ = [
    "AmlCompute",
    "AmlComputeNodeStateCounts",
    "AmlComputeProvisioningConfiguration",
    "AmlComputeStatus",
    "ComputeTargetException",
    "ScaleSettings",
]


class AmlCompute(ClusterRecord, AmlComputeQuotas, AmlComputeGaps, ComputeTarget):
    """A cluster that grows with the runs that wait for it and shrinks when its nodes are idle.

    Attributes:
        vm_size, vm_priority, scale_settings: as it was made or changed.
        status: the status that was last seen; `get_status` asks anew.
    """

    _compute_type = COMPUTE_TYPE

    # Making

    @staticmethod
    def provisioning_configuration(
        vm_size: str = "",
        vm_priority: str = "dedicated",
        min_nodes: Union[int, str] = 0,
        max_nodes: Union[int, str, None] = None,
        idle_seconds_before_scaledown: Union[int, str, None] = DEFAULT_IDLE_SECONDS,
        admin_username: Optional[str] = None,
        admin_user_password: Optional[str] = None,
        admin_user_ssh_key: Optional[str] = None,
        vnet_resourcegroup_name: Optional[str] = None,
        vnet_name: Optional[str] = None,
        subnet_name: Optional[str] = None,
        tags: Optional[Dict[str, str]] = None,
        description: Optional[str] = None,
        remote_login_port_public_access: str = "NotSpecified",
        identity_type: Optional[str] = None,
        identity_id: Optional[List[str]] = None,
        location: Optional[str] = None,
        enable_node_public_ip: bool = True,
    ) -> AmlComputeProvisioningConfiguration:
        """How a cluster is to be made, for `ComputeTarget.create`.

        Args:
            vm_size: one of `AmlCompute.supported_vmsizes`.
            vm_priority: ``dedicated`` or ``lowpriority``.
            min_nodes, max_nodes: between these it scales; numbers or text.
            idle_seconds_before_scaledown: after which a node that has nothing to do goes.
            tags, description: kept.
            Logins, networks and identities: accepted and of no effect.

        Raises:
            ComputeTargetException: settings do not fit together.
        """
        return AmlComputeProvisioningConfiguration(
            vm_size,
            vm_priority,
            min_nodes,
            max_nodes,
            idle_seconds_before_scaledown,
            admin_username,
            admin_user_password,
            admin_user_ssh_key,
            vnet_resourcegroup_name,
            vnet_name,
            subnet_name,
            tags,
            description,
            remote_login_port_public_access,
            identity_type,
            identity_id,
            location,
            enable_node_public_ip,
        )

    @staticmethod
    def supported_vmsizes(workspace: "Workspace", location: Optional[str] = None) -> List[Dict[str, Any]]:
        """The VM sizes: dicts with name, vCPUs, gpus, memoryGB, maxResourceVolumeMB and family."""
        answer = workspace._client.call("ComputeService", "ListVmSizes", {"parent": workspace._resource_name})
        return [
            {
                "name": size.get("name", ""),
                "vCPUs": size.get("cores", 0),
                "gpus": size.get("gpus", 0),
                "memoryGB": size.get("memoryGb", 0.0),
                "maxResourceVolumeMB": size.get("maxResourceVolumeMb", 0),
                "family": size.get("family", ""),
            }
            for size in answer.get("vmSizes") or ()
        ]

    # Following

    def wait_for_completion(  # type: ignore[override]  # Azure's signature: two arguments come in between
        self,
        show_output: bool = False,
        min_node_count: Optional[int] = None,
        timeout_in_minutes: Optional[float] = 25,
        is_delete_operation: bool = False,
    ) -> None:
        """Waits until the cluster has been made and has its minimum of nodes ready.

        Args:
            show_output: print its states.
            min_node_count: wait for this many nodes instead of its minimum.
            timeout_in_minutes: return after this time in any case; without limit when None.
            is_delete_operation: wait until the cluster is gone.

        Raises:
            ComputeTargetException: it was deleted meanwhile.
        """
        printer = StatePrinter(show_output)
        if self._just_made:
            self._just_made = False
            printer.state("Creating")
        if min_node_count is not None:
            min_node_count = whole_number(min_node_count, "min_node_count")
        limit = None if timeout_in_minutes is None else max(0.0, float(timeout_in_minutes) * 60)
        try:
            for message in cluster_changes(self.workspace._client, self._resource_name, limit):
                self._load(message)
                printer.state(self.provisioning_state)
                if is_delete_operation:
                    continue
                if self.provisioning_state == "Failed" or self._errors:
                    printer.finish("There were errors reported from AmlCompute:\n{}".format(self._errors))
                    return
                wanted = self._minimum if min_node_count is None else min_node_count
                ready = self._ready_node_count
                if self.provisioning_state == "Succeeded" and ready >= wanted:
                    printer.finish("Minimum number of nodes requested have been provisioned")
                    return
                printer.nodes(ready, wanted)
        except ComputeTargetException as error:
            if error.reason != "COMPUTE_TARGET_NOT_FOUND":
                raise
            if not is_delete_operation:
                raise ComputeTargetException(
                    "The compute target {} was deleted while it was waited for.".format(self.name),
                    inner_exception=error,
                ) from None
            printer.finish("")
            return
        current = self.status.current_node_count if self.status else 0
        printer.finish(
            'Wait timeout has been reached\nCurrent provisioning state of AmlCompute is "{}" and current node count is '
            '"{}"'.format(self.provisioning_state, current)
        )

    def refresh_state(self) -> None:
        """Asks the emulator for its state of now. Raises ComputeTargetException when it does not exist any more."""
        self._load(self.workspace._client.call("ComputeService", "GetComputeTarget", {"name": self._resource_name}))

    def get_status(self) -> Optional[AmlComputeStatus]:
        """Its status of now; `.serialize()` gives a dict."""
        self.refresh_state()
        return self.status

    def list_nodes(self) -> List[Dict[str, Any]]:
        """Its nodes: dicts with nodeId, nodeState, runId, hostName. They share this machine's address."""
        answer = self.workspace._client.call("ComputeService", "ListNodes", {"parent": self._resource_name})
        return [
            {
                "nodeId": node.get("nodeId", ""),
                "port": None,
                "publicIpAddress": None,
                "privateIpAddress": "127.0.0.1",
                "nodeState": enum_word(node, "state", "NODE_STATE_").lower(),
                "runId": node.get("runId") or None,
                "hostName": node.get("hostName", ""),
            }
            for node in answer.get("nodes") or ()
        ]

    def get_active_runs(
        self,
        type: Optional[str] = None,
        tags: Any = None,
        properties: Any = None,
        status: Optional[str] = None,
    ) -> Iterator[Any]:
        """The runs that wait for it or are on it."""
        from azureml.core.run import Run

        return iter(Run.list_by_compute(self, type=type, tags=tags, properties=properties, status=status))

    # Steering

    def update(
        self,
        min_nodes: Union[int, str, None] = None,
        max_nodes: Union[int, str, None] = None,
        idle_seconds_before_scaledown: Union[int, str, None] = None,
    ) -> None:
        """Changes the settings that are not None; nodes follow. Running jobs keep their nodes.

        Raises:
            ComputeTargetException: the settings do not fit together.
        """
        request: Dict[str, Any] = {"name": self._resource_name}
        if min_nodes is not None:
            request["minNodeCount"] = whole_number(min_nodes, "min_nodes")
        if max_nodes is not None:
            request["maxNodeCount"] = whole_number(max_nodes, "max_nodes")
        if idle_seconds_before_scaledown is not None:
            request["idleSecondsBeforeScaledown"] = idle_seconds(idle_seconds_before_scaledown)
        self._load(_call(self.workspace, "UpdateComputeTarget", request))

    def delete(self) -> None:
        """Cancels the runs that wait for it or are on it, and removes it."""
        _call(self.workspace, "DeleteComputeTarget", {"name": self._resource_name})
        self.provisioning_state = "Deleting"

    def detach(self) -> None:
        """Raises ComputeTargetException: clusters are deleted, not detached."""
        raise ComputeTargetException("An AmlCompute cluster cannot be detached. Use delete().")

    # As data

    def get(self) -> Dict[str, Any]:
        """It as a dict, asked for now."""
        self.refresh_state()
        return self.serialize()

    @staticmethod
    def deserialize(workspace: "Workspace", object_dict: Dict[str, Any]) -> "AmlCompute":
        """The reverse of `serialize`. Raises ComputeTargetException when it is no AmlCompute."""
        return AmlCompute._of_dict(workspace, object_dict)

    def __reduce__(self) -> Tuple[Any, ...]:
        return AmlCompute.deserialize, (self.workspace, self.serialize())

    # Internals

    @classmethod
    def _get(cls, workspace: "Workspace", name: str) -> "AmlCompute":
        request = {"name": "{}/computes/{}".format(workspace._resource_name, name)}
        try:
            return cls._of(workspace, workspace._client.call("ComputeService", "GetComputeTarget", request))
        except AzureMLException as error:
            prefix = "ComputeTargetNotFound: " if error.reason == "COMPUTE_TARGET_NOT_FOUND" else ""
            if not prefix and not error.reason.startswith("INVALID_"):
                raise
            raise as_compute_error(error, prefix) from None

    @classmethod
    def _create(
        cls, workspace: "Workspace", name: str, configuration: AmlComputeProvisioningConfiguration
    ) -> "AmlCompute":
        scale = configuration.scale_settings
        settings = {
            "vmSize": configuration.vm_size,
            "vmPriority": configuration.vm_priority.lower(),
            "scaleSettings": {
                "minNodeCount": scale.minimum_node_count,
                "maxNodeCount": scale.maximum_node_count,
                "idleSecondsBeforeScaledown": scale.idle_seconds_before_scaledown,
            },
            "tags": text_map(configuration.tags or {}, "tags"),
            "description": configuration.description or "",
        }
        request = {
            "parent": workspace._resource_name,
            "computeTargetName": name,
            "computeTarget": settings,
            "requestId": str(uuid.uuid4()),
        }
        if not configuration.vm_size:
            raise ComputeTargetException("vm_size is missing. AmlCompute.supported_vmsizes(workspace) lists all.")
        begin = time.time()
        target = cls._of(workspace, _call(workspace, "CreateComputeTarget", request))
        # Whether this call made it: the emulator's clock is this machine's.
        target._just_made = target.created_on is not None and target.created_on.timestamp() >= begin
        return target


def _call(workspace: "Workspace", method: str, request: Dict[str, Any]) -> Dict[str, Any]:
    """A call whose refusals are ComputeTargetExceptions."""
    try:
        return workspace._client.call("ComputeService", method, request)
    except ComputeTargetException:
        raise
    except AzureMLException as error:
        if error.grpc_code in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "ALREADY_EXISTS"):
            raise as_compute_error(error) from None
        raise
