from google.protobuf import timestamp_pb2 as _timestamp_pb2
from localaml_proto.v1 import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProvisioningState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROVISIONING_STATE_UNSPECIFIED: _ClassVar[ProvisioningState]
    PROVISIONING_STATE_CREATING: _ClassVar[ProvisioningState]
    PROVISIONING_STATE_SUCCEEDED: _ClassVar[ProvisioningState]
    PROVISIONING_STATE_FAILED: _ClassVar[ProvisioningState]
    PROVISIONING_STATE_DELETING: _ClassVar[ProvisioningState]

class AllocationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALLOCATION_STATE_UNSPECIFIED: _ClassVar[AllocationState]
    ALLOCATION_STATE_STEADY: _ClassVar[AllocationState]
    ALLOCATION_STATE_RESIZING: _ClassVar[AllocationState]

class NodeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_STATE_UNSPECIFIED: _ClassVar[NodeState]
    NODE_STATE_PREPARING: _ClassVar[NodeState]
    NODE_STATE_IDLE: _ClassVar[NodeState]
    NODE_STATE_RUNNING: _ClassVar[NodeState]
    NODE_STATE_LEAVING: _ClassVar[NodeState]
    NODE_STATE_PREEMPTED: _ClassVar[NodeState]
    NODE_STATE_UNUSABLE: _ClassVar[NodeState]
PROVISIONING_STATE_UNSPECIFIED: ProvisioningState
PROVISIONING_STATE_CREATING: ProvisioningState
PROVISIONING_STATE_SUCCEEDED: ProvisioningState
PROVISIONING_STATE_FAILED: ProvisioningState
PROVISIONING_STATE_DELETING: ProvisioningState
ALLOCATION_STATE_UNSPECIFIED: AllocationState
ALLOCATION_STATE_STEADY: AllocationState
ALLOCATION_STATE_RESIZING: AllocationState
NODE_STATE_UNSPECIFIED: NodeState
NODE_STATE_PREPARING: NodeState
NODE_STATE_IDLE: NodeState
NODE_STATE_RUNNING: NodeState
NODE_STATE_LEAVING: NodeState
NODE_STATE_PREEMPTED: NodeState
NODE_STATE_UNUSABLE: NodeState

class ScaleSettings(_message.Message):
    __slots__ = ("min_node_count", "max_node_count", "idle_seconds_before_scaledown")
    MIN_NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    IDLE_SECONDS_BEFORE_SCALEDOWN_FIELD_NUMBER: _ClassVar[int]
    min_node_count: int
    max_node_count: int
    idle_seconds_before_scaledown: int
    def __init__(self, min_node_count: _Optional[int] = ..., max_node_count: _Optional[int] = ..., idle_seconds_before_scaledown: _Optional[int] = ...) -> None: ...

class NodeStateCounts(_message.Message):
    __slots__ = ("preparing", "idle", "running", "leaving", "preempted", "unusable")
    PREPARING_FIELD_NUMBER: _ClassVar[int]
    IDLE_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    PREEMPTED_FIELD_NUMBER: _ClassVar[int]
    UNUSABLE_FIELD_NUMBER: _ClassVar[int]
    preparing: int
    idle: int
    running: int
    leaving: int
    preempted: int
    unusable: int
    def __init__(self, preparing: _Optional[int] = ..., idle: _Optional[int] = ..., running: _Optional[int] = ..., leaving: _Optional[int] = ..., preempted: _Optional[int] = ..., unusable: _Optional[int] = ...) -> None: ...

class ComputeTarget(_message.Message):
    __slots__ = ("name", "compute_type", "vm_size", "vm_priority", "scale_settings", "provisioning_state", "allocation_state", "current_node_count", "target_node_count", "node_state_counts", "create_time", "update_time", "allocation_state_transition_time", "provisioning_state_transition_time", "errors", "tags", "description")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_TYPE_FIELD_NUMBER: _ClassVar[int]
    VM_SIZE_FIELD_NUMBER: _ClassVar[int]
    VM_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SCALE_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PROVISIONING_STATE_FIELD_NUMBER: _ClassVar[int]
    ALLOCATION_STATE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TARGET_NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    NODE_STATE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ALLOCATION_STATE_TRANSITION_TIME_FIELD_NUMBER: _ClassVar[int]
    PROVISIONING_STATE_TRANSITION_TIME_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    compute_type: str
    vm_size: str
    vm_priority: str
    scale_settings: ScaleSettings
    provisioning_state: ProvisioningState
    allocation_state: AllocationState
    current_node_count: int
    target_node_count: int
    node_state_counts: NodeStateCounts
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    allocation_state_transition_time: _timestamp_pb2.Timestamp
    provisioning_state_transition_time: _timestamp_pb2.Timestamp
    errors: _containers.RepeatedCompositeFieldContainer[_resources_pb2.ErrorDetail]
    tags: _containers.ScalarMap[str, str]
    description: str
    def __init__(self, name: _Optional[str] = ..., compute_type: _Optional[str] = ..., vm_size: _Optional[str] = ..., vm_priority: _Optional[str] = ..., scale_settings: _Optional[_Union[ScaleSettings, _Mapping]] = ..., provisioning_state: _Optional[_Union[ProvisioningState, str]] = ..., allocation_state: _Optional[_Union[AllocationState, str]] = ..., current_node_count: _Optional[int] = ..., target_node_count: _Optional[int] = ..., node_state_counts: _Optional[_Union[NodeStateCounts, _Mapping]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., allocation_state_transition_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., provisioning_state_transition_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., errors: _Optional[_Iterable[_Union[_resources_pb2.ErrorDetail, _Mapping]]] = ..., tags: _Optional[_Mapping[str, str]] = ..., description: _Optional[str] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("node_id", "state", "run_id", "host_name", "create_time", "state_transition_time", "note")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_NAME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_TRANSITION_TIME_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    state: NodeState
    run_id: str
    host_name: str
    create_time: _timestamp_pb2.Timestamp
    state_transition_time: _timestamp_pb2.Timestamp
    note: str
    def __init__(self, node_id: _Optional[str] = ..., state: _Optional[_Union[NodeState, str]] = ..., run_id: _Optional[str] = ..., host_name: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., state_transition_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., note: _Optional[str] = ...) -> None: ...

class VmSize(_message.Message):
    __slots__ = ("name", "family", "cores", "gpus", "memory_gb", "max_resource_volume_mb")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    CORES_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_GB_FIELD_NUMBER: _ClassVar[int]
    MAX_RESOURCE_VOLUME_MB_FIELD_NUMBER: _ClassVar[int]
    name: str
    family: str
    cores: int
    gpus: int
    memory_gb: float
    max_resource_volume_mb: int
    def __init__(self, name: _Optional[str] = ..., family: _Optional[str] = ..., cores: _Optional[int] = ..., gpus: _Optional[int] = ..., memory_gb: _Optional[float] = ..., max_resource_volume_mb: _Optional[int] = ...) -> None: ...

class CreateComputeTargetRequest(_message.Message):
    __slots__ = ("parent", "compute_target_name", "compute_target", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_TARGET_NAME_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_TARGET_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    compute_target_name: str
    compute_target: ComputeTarget
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., compute_target_name: _Optional[str] = ..., compute_target: _Optional[_Union[ComputeTarget, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetComputeTargetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListComputeTargetsRequest(_message.Message):
    __slots__ = ("parent", "page")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page: _resources_pb2.PageRequest
    def __init__(self, parent: _Optional[str] = ..., page: _Optional[_Union[_resources_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListComputeTargetsResponse(_message.Message):
    __slots__ = ("compute_targets", "next_page_token", "unreadable")
    COMPUTE_TARGETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    compute_targets: _containers.RepeatedCompositeFieldContainer[ComputeTarget]
    next_page_token: str
    unreadable: _containers.RepeatedCompositeFieldContainer[_resources_pb2.UnreadableRecord]
    def __init__(self, compute_targets: _Optional[_Iterable[_Union[ComputeTarget, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreadable: _Optional[_Iterable[_Union[_resources_pb2.UnreadableRecord, _Mapping]]] = ...) -> None: ...

class WatchComputeTargetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UpdateComputeTargetRequest(_message.Message):
    __slots__ = ("name", "min_node_count", "max_node_count", "idle_seconds_before_scaledown")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MIN_NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    IDLE_SECONDS_BEFORE_SCALEDOWN_FIELD_NUMBER: _ClassVar[int]
    name: str
    min_node_count: int
    max_node_count: int
    idle_seconds_before_scaledown: int
    def __init__(self, name: _Optional[str] = ..., min_node_count: _Optional[int] = ..., max_node_count: _Optional[int] = ..., idle_seconds_before_scaledown: _Optional[int] = ...) -> None: ...

class DeleteComputeTargetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteComputeTargetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ("parent",)
    PARENT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    def __init__(self, parent: _Optional[str] = ...) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes", "unreadable")
    NODES_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    unreadable: _containers.RepeatedCompositeFieldContainer[_resources_pb2.UnreadableRecord]
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ..., unreadable: _Optional[_Iterable[_Union[_resources_pb2.UnreadableRecord, _Mapping]]] = ...) -> None: ...

class ListVmSizesRequest(_message.Message):
    __slots__ = ("parent",)
    PARENT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    def __init__(self, parent: _Optional[str] = ...) -> None: ...

class ListVmSizesResponse(_message.Message):
    __slots__ = ("vm_sizes",)
    VM_SIZES_FIELD_NUMBER: _ClassVar[int]
    vm_sizes: _containers.RepeatedCompositeFieldContainer[VmSize]
    def __init__(self, vm_sizes: _Optional[_Iterable[_Union[VmSize, _Mapping]]] = ...) -> None: ...

class Quota(_message.Message):
    __slots__ = ("vm_family", "cores_in_use", "core_limit")
    VM_FAMILY_FIELD_NUMBER: _ClassVar[int]
    CORES_IN_USE_FIELD_NUMBER: _ClassVar[int]
    CORE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    vm_family: str
    cores_in_use: int
    core_limit: int
    def __init__(self, vm_family: _Optional[str] = ..., cores_in_use: _Optional[int] = ..., core_limit: _Optional[int] = ...) -> None: ...

class ListQuotasRequest(_message.Message):
    __slots__ = ("parent",)
    PARENT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    def __init__(self, parent: _Optional[str] = ...) -> None: ...

class ListQuotasResponse(_message.Message):
    __slots__ = ("quotas",)
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    quotas: _containers.RepeatedCompositeFieldContainer[Quota]
    def __init__(self, quotas: _Optional[_Iterable[_Union[Quota, _Mapping]]] = ...) -> None: ...

class UpdateQuotaRequest(_message.Message):
    __slots__ = ("parent", "vm_family", "core_limit")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    VM_FAMILY_FIELD_NUMBER: _ClassVar[int]
    CORE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    vm_family: str
    core_limit: int
    def __init__(self, parent: _Optional[str] = ..., vm_family: _Optional[str] = ..., core_limit: _Optional[int] = ...) -> None: ...
