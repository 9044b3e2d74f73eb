"""`AmlCompute`: clusters of the emulator."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from azureml._localaml.errors import ConnectionFailed
from azureml._localaml.unsupported import unsupported
from azureml._localaml.wire import enum_word, timestamp
from azureml.core.compute._amlcompute_settings import (
    DEFAULT_IDLE_SECONDS,
    AmlComputeNodeStateCounts,
    AmlComputeProvisioningConfiguration,
    AmlComputeStatus,
    ScaleSettings,
    idle_seconds,
    priority_word,
    whole_number,
)
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

_NODE_STATES = ("preparing", "running", "idle", "unusable", "leaving", "preempted")


class AmlCompute(ComputeTarget):
    """A cluster that grows with the runs that wait for it and shrinks when its nodes are idle.

    Attributes:
        vm_size, vm_priority, scale_settings: as it was made or changed.
        status: the status that was last seen; `get_status` asks anew.
    """

    _compute_type = "AmlCompute"

    id: str
    location: str
    vm_size: str
    vm_priority: str
    description: Optional[str]
    tags: Optional[Dict[str, str]]
    provisioning_errors: Optional[List[Dict[str, Any]]]
    scale_settings: Optional[ScaleSettings]
    status: Optional[AmlComputeStatus]
    created_on: Optional[datetime]
    modified_on: Optional[datetime]
    is_attached: bool
    cluster_resource_id: Optional[str]
    cluster_location: str
    _just_made: bool

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
    def supported_vmsizes(workspace: Workspace, location: Optional[str] = None) -> List[Dict[str, Any]]:
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
        printer = _Printer(show_output)
        if self._just_made:
            self._just_made = False
            printer.state("Creating")
        if min_node_count is not None:
            min_node_count = whole_number(min_node_count, "min_node_count")
        limit = None if timeout_in_minutes is None else max(0.0, float(timeout_in_minutes) * 60)
        try:
            for message in self._changes(limit):
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
                ) from error
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

    def add_identity(self, identity_type: str, identity_id: Any = None) -> None:
        """Not supported."""
        raise unsupported("AmlCompute.add_identity")

    def remove_identity(self, identity_id: Any = None) -> None:
        """Not supported."""
        raise unsupported("AmlCompute.remove_identity")

    @staticmethod
    def list_usages(workspace: Workspace, show_all: bool = False, location: Optional[str] = None) -> List[Any]:
        """Not supported."""
        raise unsupported("AmlCompute.list_usages")

    @staticmethod
    def list_quotas(workspace: Workspace, location: Optional[str] = None) -> List[Any]:
        """Not supported."""
        raise unsupported("AmlCompute.list_quotas")

    @staticmethod
    def update_quotas(workspace: Workspace, vm_family: Any, limit: Any = None, location: Optional[str] = None) -> Any:
        """Not supported."""
        raise unsupported("AmlCompute.update_quotas")

    # As data

    def get(self) -> Dict[str, Any]:
        """It as a dict, asked for now."""
        self.refresh_state()
        return self.serialize()

    def serialize(self) -> Dict[str, Any]:
        """It as a dict in the form of Azure's resource."""
        return {
            "id": self.id,
            "name": self.name,
            "location": self.location,
            "tags": self.tags,
            "identity": None,
            "properties": {
                "description": self.description,
                "resourceId": None,
                "computeType": self.type,
                "computeLocation": self.location,
                "provisioningState": self.provisioning_state,
                "provisioningErrors": self.provisioning_errors,
                "properties": {
                    "vmSize": self.vm_size,
                    "vmPriority": self.vm_priority,
                    "scaleSettings": self.scale_settings.serialize() if self.scale_settings else None,
                },
                "status": self.status.serialize() if self.status else None,
            },
        }

    @staticmethod
    def deserialize(workspace: Workspace, object_dict: Dict[str, Any]) -> AmlCompute:
        """The reverse of `serialize`. Raises ComputeTargetException when it is no AmlCompute."""
        properties = object_dict.get("properties") or {}
        if properties.get("computeType") != AmlCompute._compute_type:
            raise ComputeTargetException(
                "{!r} is no AmlCompute but {!r}.".format(object_dict.get("name"), properties.get("computeType"))
            )
        target = AmlCompute._blank(workspace)
        inner = properties.get("properties") or {}
        target.name = object_dict["name"]
        target.id = object_dict.get("id") or target._arm_id
        target.location = object_dict.get("location") or ""
        target.tags = object_dict.get("tags")
        target.description = properties.get("description")
        target.provisioning_state = properties.get("provisioningState") or ""
        target.provisioning_errors = properties.get("provisioningErrors")
        target.vm_size = inner.get("vmSize") or ""
        target.vm_priority = inner.get("vmPriority") or ""
        target.scale_settings = ScaleSettings.deserialize(inner.get("scaleSettings"))
        target.status = AmlComputeStatus.deserialize(properties.get("status"))
        return target

    # Internals

    @classmethod
    def _blank(cls, workspace: Workspace) -> AmlCompute:
        target = object.__new__(cls)
        target.workspace = workspace
        target.type = cls._compute_type
        target.name = target.id = target.location = target.vm_size = target.vm_priority = target.provisioning_state = ""
        target.description = target.tags = target.provisioning_errors = target.scale_settings = target.status = None
        target.created_on = target.modified_on = None
        target.is_attached = False
        target._just_made = False
        target.cluster_resource_id = None
        target.cluster_location = ""
        return target

    @classmethod
    def _of(cls, workspace: Workspace, message: Mapping[str, Any]) -> AmlCompute:
        target = cls._blank(workspace)
        target.name = str(message["name"]).rpartition("/")[2]
        target._load(message)
        return target

    @classmethod
    def _get(cls, workspace: Workspace, name: str) -> AmlCompute:
        request = {"name": "{}/computes/{}".format(workspace._resource_name, name)}
        try:
            return cls._of(workspace, workspace._client.call("ComputeService", "GetComputeTarget", request))
        except AzureMLException as error:
            prefix = "ComputeTargetNotFound: " if error.reason == "COMPUTE_TARGET_NOT_FOUND" else ""
            if not prefix and not error.reason.startswith("INVALID_"):
                raise
            raise as_compute_error(error, prefix) from error

    @classmethod
    def _create(cls, workspace: Workspace, name: str, configuration: AmlComputeProvisioningConfiguration) -> AmlCompute:
        scale = configuration.scale_settings
        settings = {
            "vmSize": configuration.vm_size,
            "vmPriority": configuration.vm_priority.lower(),
            "scaleSettings": {
                "minNodeCount": scale.minimum_node_count,
                "maxNodeCount": scale.maximum_node_count,
                "idleSecondsBeforeScaledown": scale.idle_seconds_before_scaledown,
            },
            "tags": {str(key): str(value) for key, value in (configuration.tags or {}).items()},
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

    def _load(self, message: Mapping[str, Any]) -> None:
        """Takes over what the emulator says."""
        scale = message.get("scaleSettings") or {}
        self.scale_settings = ScaleSettings(
            int(scale.get("minNodeCount") or 0),
            int(scale.get("maxNodeCount") or 0),
            int(scale.get("idleSecondsBeforeScaledown") or 0),
        )
        counts = message.get("nodeStateCounts") or {}
        errors = [
            {"error": {"code": error.get("code", ""), "message": error.get("message", "")}}
            for error in message.get("errors") or ()
        ]
        self.id = self._arm_id
        self.location = self.cluster_location = self.workspace.location
        self.vm_size = message.get("vmSize") or ""
        self.vm_priority = priority_word(message.get("vmPriority") or "")
        self.provisioning_state = enum_word(message, "provisioningState", "PROVISIONING_STATE_")
        self.provisioning_errors = errors or None
        self.description = message.get("description") or None
        self.tags = dict(message.get("tags") or {}) or None
        self.created_on = timestamp(message, "createTime")
        self.modified_on = timestamp(message, "updateTime")
        self.status = AmlComputeStatus(
            enum_word(message, "allocationState", "ALLOCATION_STATE_"),
            timestamp(message, "allocationStateTransitionTime"),
            self.created_on,
            int(message.get("currentNodeCount") or 0),
            errors or None,
            self.modified_on,
            AmlComputeNodeStateCounts(**{state + "_node_count": int(counts.get(state) or 0) for state in _NODE_STATES}),
            self.provisioning_state,
            timestamp(message, "provisioningStateTransitionTime"),
            self.scale_settings,
            int(message.get("targetNodeCount") or 0),
            self.vm_priority,
            self.vm_size,
        )

    def _changes(self, limit: Optional[float]) -> Iterator[Dict[str, Any]]:
        """The cluster now and after each change; ends after `limit` seconds, or with COMPUTE_TARGET_NOT_FOUND."""
        deadline = None if limit is None else time.monotonic() + limit
        client = self.workspace._client
        request = {"name": self._resource_name}
        while True:
            stream = client.stream("ComputeService", "WatchComputeTarget", request)
            timer: Optional[threading.Timer] = None
            if deadline is not None:
                timer = threading.Timer(max(0.0, deadline - time.monotonic()), stream.close)
                timer.daemon = True
                timer.start()
            try:
                yield from stream
            except ConnectionFailed:
                pass  # asked again below, which waits for the emulator to come back
            finally:
                if timer is not None:
                    timer.cancel()
                stream.close()
            if deadline is not None and time.monotonic() >= deadline:
                return
            # The stream ends by itself when the cluster is deleted: then this raises.
            yield client.call("ComputeService", "GetComputeTarget", request)

    @property
    def _errors(self) -> Optional[List[Dict[str, Any]]]:
        return self.status.errors if self.status else None

    @property
    def _minimum(self) -> int:
        return self.scale_settings.minimum_node_count if self.scale_settings else 0

    @property
    def _ready_node_count(self) -> int:
        counts = self.status.node_state_counts if self.status else None
        return counts.idle_node_count + counts.running_node_count if counts else 0

    @property
    def _resource_name(self) -> str:
        return "{}/computes/{}".format(self.workspace._resource_name, self.name)

    @property
    def _arm_id(self) -> str:
        return "{}/computes/{}".format(self.workspace._arm_id, self.name)

    def __reduce__(self) -> Tuple[Any, ...]:
        return AmlCompute.deserialize, (self.workspace, self.serialize())

    def __repr__(self) -> str:
        return (
            "AmlCompute(workspace={!r}, name={}, id={}, type={}, provisioning_state={}, location={}, tags={})".format(
                self.workspace, self.name, self.id, self.type, self.provisioning_state, self.location, self.tags
            )
        )


class _Printer:
    """Prints a cluster's states the way Azure's SDK does."""

    def __init__(self, show: bool) -> None:
        self._show = show
        self._state = ""
        self._nodes = -1
        self._line_open = False

    def state(self, state: str) -> None:
        if state == self._state:
            self._print(".", False)
        else:
            self._end_line()
            self._state = state
            self._print(state, False)

    def nodes(self, ready: int, wanted: int) -> None:
        if ready and ready != self._nodes:
            self._nodes = ready
            self._end_line()
            self._print("Waiting for cluster to scale. {} out of {} nodes ready.".format(ready, wanted), True)

    def finish(self, text: str) -> None:
        self._end_line()
        if text:
            self._print("AmlCompute wait for completion finished\n\n" + text, True)

    def _end_line(self) -> None:
        if self._line_open:
            self._print("", True)

    def _print(self, text: str, ends_line: bool) -> None:
        if self._show:
            print(text, end="\n" if ends_line else "", flush=True)
        self._line_open = not ends_line


def _call(workspace: Workspace, method: str, request: Dict[str, Any]) -> Dict[str, Any]:
    """A call whose refusals are ComputeTargetExceptions."""
    try:
        return workspace._client.call("ComputeService", method, request)
    except ComputeTargetException:
        raise
    except AzureMLException as error:
        if error.grpc_code in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "ALREADY_EXISTS"):
            raise as_compute_error(error) from error
        raise
