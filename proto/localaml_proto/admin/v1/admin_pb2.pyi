from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("version", "state_dir", "state_format_version", "process_id", "grpc_address", "http_address", "start_time", "compute_runtime", "ephemeral", "active_run_count")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_DIR_FIELD_NUMBER: _ClassVar[int]
    STATE_FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    GRPC_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    HTTP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_RUNTIME_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_RUN_COUNT_FIELD_NUMBER: _ClassVar[int]
    version: str
    state_dir: str
    state_format_version: int
    process_id: int
    grpc_address: str
    http_address: str
    start_time: _timestamp_pb2.Timestamp
    compute_runtime: str
    ephemeral: bool
    active_run_count: int
    def __init__(self, version: _Optional[str] = ..., state_dir: _Optional[str] = ..., state_format_version: _Optional[int] = ..., process_id: _Optional[int] = ..., grpc_address: _Optional[str] = ..., http_address: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., compute_runtime: _Optional[str] = ..., ephemeral: bool = ..., active_run_count: _Optional[int] = ...) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ("cancel_runs",)
    CANCEL_RUNS_FIELD_NUMBER: _ClassVar[int]
    cancel_runs: bool
    def __init__(self, cancel_runs: bool = ...) -> None: ...

class ShutdownResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResetRequest(_message.Message):
    __slots__ = ("workspace",)
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    def __init__(self, workspace: _Optional[str] = ...) -> None: ...

class ResetResponse(_message.Message):
    __slots__ = ("canceled_run_count",)
    CANCELED_RUN_COUNT_FIELD_NUMBER: _ClassVar[int]
    canceled_run_count: int
    def __init__(self, canceled_run_count: _Optional[int] = ...) -> None: ...

class GetClockRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Clock(_message.Message):
    __slots__ = ("kind", "time", "scale", "next_due", "timer_count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    NEXT_DUE_FIELD_NUMBER: _ClassVar[int]
    TIMER_COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    time: _timestamp_pb2.Timestamp
    scale: float
    next_due: _timestamp_pb2.Timestamp
    timer_count: int
    def __init__(self, kind: _Optional[str] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., scale: _Optional[float] = ..., next_due: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., timer_count: _Optional[int] = ...) -> None: ...

class AdvanceClockRequest(_message.Message):
    __slots__ = ("seconds",)
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    def __init__(self, seconds: _Optional[float] = ...) -> None: ...

class AdvanceClockResponse(_message.Message):
    __slots__ = ("clock", "due_count")
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    DUE_COUNT_FIELD_NUMBER: _ClassVar[int]
    clock: Clock
    due_count: int
    def __init__(self, clock: _Optional[_Union[Clock, _Mapping]] = ..., due_count: _Optional[int] = ...) -> None: ...

class CountCallsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountCallsResponse(_message.Message):
    __slots__ = ("counts",)
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.ScalarMap[str, int]
    def __init__(self, counts: _Optional[_Mapping[str, int]] = ...) -> None: ...
