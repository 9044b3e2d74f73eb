from google.protobuf import timestamp_pb2 as _timestamp_pb2
from localaml_proto.v1 import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FaultTarget(_message.Message):
    __slots__ = ("method", "cluster", "node", "run", "store", "vm_size")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    VM_SIZE_FIELD_NUMBER: _ClassVar[int]
    method: str
    cluster: str
    node: str
    run: str
    store: str
    vm_size: str
    def __init__(self, method: _Optional[str] = ..., cluster: _Optional[str] = ..., node: _Optional[str] = ..., run: _Optional[str] = ..., store: _Optional[str] = ..., vm_size: _Optional[str] = ...) -> None: ...

class FaultWhen(_message.Message):
    __slots__ = ("count", "skip", "every", "probability", "seed", "start_seconds", "end_seconds")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    EVERY_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_SECONDS_FIELD_NUMBER: _ClassVar[int]
    count: int
    skip: int
    every: int
    probability: float
    seed: int
    start_seconds: float
    end_seconds: float
    def __init__(self, count: _Optional[int] = ..., skip: _Optional[int] = ..., every: _Optional[int] = ..., probability: _Optional[float] = ..., seed: _Optional[int] = ..., start_seconds: _Optional[float] = ..., end_seconds: _Optional[float] = ...) -> None: ...

class FaultEffect(_message.Message):
    __slots__ = ("code", "reason", "message", "delay_seconds", "retry_after_seconds", "after", "notice_seconds", "point")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DELAY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    NOTICE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    code: str
    reason: str
    message: str
    delay_seconds: float
    retry_after_seconds: float
    after: int
    notice_seconds: float
    point: str
    def __init__(self, code: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., delay_seconds: _Optional[float] = ..., retry_after_seconds: _Optional[float] = ..., after: _Optional[int] = ..., notice_seconds: _Optional[float] = ..., point: _Optional[str] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("fault_id", "kind", "target", "when", "effect", "seen_count", "struck_count", "used_up", "create_time")
    FAULT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    SEEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    STRUCK_COUNT_FIELD_NUMBER: _ClassVar[int]
    USED_UP_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    fault_id: str
    kind: str
    target: FaultTarget
    when: FaultWhen
    effect: FaultEffect
    seen_count: int
    struck_count: int
    used_up: bool
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, fault_id: _Optional[str] = ..., kind: _Optional[str] = ..., target: _Optional[_Union[FaultTarget, _Mapping]] = ..., when: _Optional[_Union[FaultWhen, _Mapping]] = ..., effect: _Optional[_Union[FaultEffect, _Mapping]] = ..., seen_count: _Optional[int] = ..., struck_count: _Optional[int] = ..., used_up: bool = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AddFaultRequest(_message.Message):
    __slots__ = ("fault",)
    FAULT_FIELD_NUMBER: _ClassVar[int]
    fault: Fault
    def __init__(self, fault: _Optional[_Union[Fault, _Mapping]] = ...) -> None: ...

class ListFaultsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListFaultsResponse(_message.Message):
    __slots__ = ("faults", "unreadable")
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    faults: _containers.RepeatedCompositeFieldContainer[Fault]
    unreadable: _containers.RepeatedCompositeFieldContainer[_resources_pb2.UnreadableRecord]
    def __init__(self, faults: _Optional[_Iterable[_Union[Fault, _Mapping]]] = ..., unreadable: _Optional[_Iterable[_Union[_resources_pb2.UnreadableRecord, _Mapping]]] = ...) -> None: ...

class ClearFaultsRequest(_message.Message):
    __slots__ = ("fault_ids",)
    FAULT_IDS_FIELD_NUMBER: _ClassVar[int]
    fault_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fault_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ClearFaultsResponse(_message.Message):
    __slots__ = ("cleared_count",)
    CLEARED_COUNT_FIELD_NUMBER: _ClassVar[int]
    cleared_count: int
    def __init__(self, cleared_count: _Optional[int] = ...) -> None: ...
