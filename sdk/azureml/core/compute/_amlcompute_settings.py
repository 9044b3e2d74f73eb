"""Settings and status of AmlCompute clusters; public under `azureml.core.compute.amlcompute`."""

import re
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Union

from azureml._localaml.wire import enum_word, integer, timestamp
from azureml.core.compute.compute import ComputeTargetProvisioningConfiguration
from azureml.exceptions import ComputeTargetException, UserErrorException

DEFAULT_IDLE_SECONDS = 1800
_PRIORITIES = {"dedicated": "Dedicated", "lowpriority": "LowPriority"}
# In the order of AmlComputeNodeStateCounts' arguments.
_NODE_STATES = ("idle", "leaving", "preempted", "preparing", "running", "unusable")
_DURATION = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?$")


def whole_number(value: Union[int, str], what: str) -> int:
    """A count from an int or from text, as notebooks pass it from environment variables.

    Raises:
        ComputeTargetException: it is neither, or below zero.
    """
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise ComputeTargetException("{} must be a whole number of 0 or more, not {!r}.".format(what, value))
    return number


def idle_seconds(value: Union[int, str]) -> int:
    """Seconds until an idle node goes."""
    try:
        return whole_number(value, "idle_seconds_before_scaledown")
    except ComputeTargetException as error:
        raise UserErrorException(error.message + " It is a duration in seconds.") from None


class ScaleSettings:
    """How many nodes a cluster may have, and after how many idle seconds one goes."""

    def __init__(
        self, minimum_node_count: int, maximum_node_count: Optional[int], idle_seconds_before_scaledown: Optional[int]
    ) -> None:
        self.minimum_node_count = minimum_node_count
        self.maximum_node_count = maximum_node_count
        self.idle_seconds_before_scaledown = idle_seconds_before_scaledown

    def serialize(self) -> Dict[str, Any]:
        """As Azure writes it: the idle time as `PT1800S`."""
        idle = self.idle_seconds_before_scaledown
        return {
            "minNodeCount": self.minimum_node_count,
            "maxNodeCount": self.maximum_node_count,
            "nodeIdleTimeBeforeScaleDown": None if idle is None else "PT{}S".format(idle),
        }

    @staticmethod
    def deserialize(object_dict: Optional[Dict[str, Any]]) -> "Optional[ScaleSettings]":
        """The reverse of `serialize`."""
        if not object_dict:
            return None
        return ScaleSettings(
            object_dict.get("minNodeCount") or 0,
            object_dict.get("maxNodeCount"),
            _seconds(object_dict.get("nodeIdleTimeBeforeScaleDown")),
        )


class AmlComputeNodeStateCounts:
    """How many nodes are in which state."""

    def __init__(
        self,
        idle_node_count: int = 0,
        leaving_node_count: int = 0,
        preempted_node_count: int = 0,
        preparing_node_count: int = 0,
        running_node_count: int = 0,
        unusable_node_count: int = 0,
    ) -> None:
        self.idle_node_count = idle_node_count
        self.leaving_node_count = leaving_node_count
        self.preempted_node_count = preempted_node_count
        self.preparing_node_count = preparing_node_count
        self.running_node_count = running_node_count
        self.unusable_node_count = unusable_node_count

    def serialize(self) -> Dict[str, int]:
        """With the keys `idleNodeCount`, ..."""
        return {
            "preparingNodeCount": self.preparing_node_count,
            "runningNodeCount": self.running_node_count,
            "idleNodeCount": self.idle_node_count,
            "unusableNodeCount": self.unusable_node_count,
            "leavingNodeCount": self.leaving_node_count,
            "preemptedNodeCount": self.preempted_node_count,
        }

    @staticmethod
    def deserialize(object_dict: Dict[str, Any]) -> "AmlComputeNodeStateCounts":
        """The reverse of `serialize`."""
        return AmlComputeNodeStateCounts(*[int(object_dict.get(state + "NodeCount") or 0) for state in _NODE_STATES])


class AmlComputeStatus:
    """What a cluster is doing.

    Attributes:
        allocation_state: `Steady` or `Resizing`; allocation_state_transition_time: since when.
        provisioning_state: `Creating`, `Succeeded`, `Failed` or `Deleting`.
        provisioning_state_transition_time: since when.
        current_node_count, target_node_count, node_state_counts: its nodes.
        errors: a list of `{"error": {"code": ..., "message": ...}}`, or None.
        creation_time, modified_time: aware times.
        scale_settings, vm_priority, vm_size: as it was made or changed.
    """

    def __init__(
        self,
        allocation_state: Optional[str],
        allocation_state_transition_time: Optional[datetime],
        creation_time: Optional[datetime],
        current_node_count: Optional[int],
        errors: Optional[List[Dict[str, Any]]],
        modified_time: Optional[datetime],
        node_state_counts: "Optional[AmlComputeNodeStateCounts]",
        provisioning_state: Optional[str],
        provisioning_state_transition_time: Optional[datetime],
        scale_settings: "Optional[ScaleSettings]",
        target_node_count: Optional[int],
        vm_priority: Optional[str],
        vm_size: Optional[str],
    ) -> None:
        self.allocation_state = allocation_state
        self.allocation_state_transition_time = allocation_state_transition_time
        self.creation_time = creation_time
        self.current_node_count = current_node_count
        self.errors = errors
        self.modified_time = modified_time
        self.node_state_counts = node_state_counts
        self.provisioning_state = provisioning_state
        self.provisioning_state_transition_time = provisioning_state_transition_time
        self.scale_settings = scale_settings
        self.target_node_count = target_node_count
        self.vm_priority = vm_priority
        self.vm_size = vm_size

    def serialize(self) -> Dict[str, Any]:
        """The status as a dict with Azure's keys; times as ISO text."""
        return {
            "currentNodeCount": self.current_node_count,
            "targetNodeCount": self.target_node_count,
            "nodeStateCounts": self.node_state_counts.serialize() if self.node_state_counts else None,
            "allocationState": self.allocation_state,
            "allocationStateTransitionTime": _iso(self.allocation_state_transition_time),
            "errors": self.errors,
            "creationTime": _iso(self.creation_time),
            "modifiedTime": _iso(self.modified_time),
            "provisioningState": self.provisioning_state,
            "provisioningStateTransitionTime": _iso(self.provisioning_state_transition_time),
            "scaleSettings": self.scale_settings.serialize() if self.scale_settings else None,
            "vmPriority": self.vm_priority,
            "vmSize": self.vm_size,
        }

    @staticmethod
    def deserialize(object_dict: Optional[Dict[str, Any]]) -> "Optional[AmlComputeStatus]":
        """The reverse of `serialize`."""
        if not object_dict:
            return None
        counts = object_dict.get("nodeStateCounts")
        return AmlComputeStatus(
            object_dict.get("allocationState"),
            _time(object_dict.get("allocationStateTransitionTime")),
            _time(object_dict.get("creationTime")),
            object_dict.get("currentNodeCount"),
            object_dict.get("errors"),
            _time(object_dict.get("modifiedTime")),
            AmlComputeNodeStateCounts.deserialize(counts) if counts else None,
            object_dict.get("provisioningState"),
            _time(object_dict.get("provisioningStateTransitionTime")),
            ScaleSettings.deserialize(object_dict.get("scaleSettings")),
            object_dict.get("targetNodeCount"),
            object_dict.get("vmPriority"),
            object_dict.get("vmSize"),
        )


class AmlComputeProvisioningConfiguration(ComputeTargetProvisioningConfiguration):
    """How a cluster is to be made; see `AmlCompute.provisioning_configuration`."""

    def __init__(
        self,
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
        compute_location: Optional[str] = None,
        enable_node_public_ip: bool = True,
    ) -> None:
        from azureml.core.compute.amlcompute import AmlCompute

        super().__init__(AmlCompute, None)
        self.vm_size = vm_size
        self.vm_priority = vm_priority
        idle = DEFAULT_IDLE_SECONDS if idle_seconds_before_scaledown is None else idle_seconds_before_scaledown
        self.scale_settings = ScaleSettings(
            whole_number(0 if min_nodes is None else min_nodes, "min_nodes"),
            None if max_nodes is None else whole_number(max_nodes, "max_nodes"),
            idle_seconds(idle),
        )
        self.admin_username = admin_username
        self.admin_user_password = admin_user_password
        self.admin_user_ssh_key = admin_user_ssh_key
        self.vnet_resourcegroup_name = vnet_resourcegroup_name
        self.vnet_name = vnet_name
        self.subnet_name = subnet_name
        self.tags = tags
        self.description = description
        self.remote_login_port_public_access = remote_login_port_public_access
        self.identity_type = identity_type
        self.identity_id = identity_id
        self.compute_location = compute_location
        self.enable_node_public_ip = enable_node_public_ip
        self.validate_configuration()

    def validate_configuration(self) -> None:
        """Raises ComputeTargetException when the settings do not fit together."""
        maximum = self.scale_settings.maximum_node_count
        if maximum is None:
            raise _invalid("max_nodes is missing")
        if maximum < 1:
            raise _invalid("max_nodes must be 1 or more")
        if maximum < self.scale_settings.minimum_node_count:
            raise _invalid(
                "max_nodes ({}) must not be less than min_nodes ({})".format(
                    maximum, self.scale_settings.minimum_node_count
                )
            )
        if not isinstance(self.vm_priority, str) or self.vm_priority.lower() not in _PRIORITIES:
            raise _invalid("vm_priority is 'dedicated' or 'lowpriority', not {!r}".format(self.vm_priority))
        network = (self.vnet_resourcegroup_name, self.vnet_name, self.subnet_name)
        if any(network) and not all(network):
            raise _invalid("a virtual network needs vnet_resourcegroup_name, vnet_name and subnet_name")
        if self.admin_username and not (self.admin_user_password or self.admin_user_ssh_key):
            raise _invalid("admin_username needs admin_user_password or admin_user_ssh_key")
        if not self.admin_username and (self.admin_user_password or self.admin_user_ssh_key):
            raise _invalid("admin_user_password and admin_user_ssh_key need admin_username")
        self._validate_identity()
        if self.tags is not None and not isinstance(self.tags, dict):
            raise _invalid("tags must be a dict, not {!r}".format(self.tags))

    def _validate_identity(self) -> None:
        if self.identity_type not in (None, "SystemAssigned", "UserAssigned"):
            raise _invalid("identity_type is 'SystemAssigned' or 'UserAssigned', not {!r}".format(self.identity_type))
        if self.identity_type == "UserAssigned":
            if not isinstance(self.identity_id, list) or not self.identity_id:
                raise _invalid("identity_type 'UserAssigned' needs identity_id, a list of ids")
        elif self.identity_id:
            raise _invalid("identity_id belongs to identity_type 'UserAssigned'")


def status_of(message: Mapping[str, Any]) -> "AmlComputeStatus":
    """The status in what the emulator says of a cluster (a `localaml.v1.ComputeTarget` in proto3-JSON form)."""
    scale = message.get("scaleSettings") or {}
    counts = message.get("nodeStateCounts") or {}
    errors = [
        {"error": {"code": error.get("code", ""), "message": error.get("message", "")}}
        for error in message.get("errors") or ()
    ]
    priority = message.get("vmPriority") or ""
    return AmlComputeStatus(
        enum_word(message, "allocationState", "ALLOCATION_STATE_"),
        timestamp(message, "allocationStateTransitionTime"),
        timestamp(message, "createTime"),
        integer(message, "currentNodeCount"),
        errors or None,
        timestamp(message, "updateTime"),
        AmlComputeNodeStateCounts(*[integer(counts, state) for state in _NODE_STATES]),
        enum_word(message, "provisioningState", "PROVISIONING_STATE_"),
        timestamp(message, "provisioningStateTransitionTime"),
        ScaleSettings(
            integer(scale, "minNodeCount"), integer(scale, "maxNodeCount"), integer(scale, "idleSecondsBeforeScaledown")
        ),
        integer(message, "targetNodeCount"),
        _PRIORITIES.get(priority.lower(), priority),
        message.get("vmSize") or "",
    )


def _invalid(why: str) -> ComputeTargetException:
    return ComputeTargetException("Invalid provisioning configuration: {}.".format(why))


def _seconds(duration: Union[str, int, None]) -> Optional[int]:
    """Seconds of an ISO 8601 duration (`PT1800S`, `PT30M`)."""
    if duration is None or isinstance(duration, int):
        return duration
    match = _DURATION.match(duration)
    if match is None:
        raise ComputeTargetException("{!r} is not an ISO 8601 duration.".format(duration))
    days, hours, minutes, seconds = [int(part or 0) for part in match.groups()]
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _iso(value: Optional[datetime]) -> Optional[str]:
    return None if value is None else value.isoformat()


def _time(value: Union[str, datetime, None]) -> Optional[datetime]:
    return value if isinstance(value, datetime) else timestamp({"time": value}, "time")
