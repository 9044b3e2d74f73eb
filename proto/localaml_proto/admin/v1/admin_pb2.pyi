from google.protobuf import timestamp_pb2 as _timestamp_pb2
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
    __slots__ = ()
    def __init__(self) -> None: ...

class ResetResponse(_message.Message):
    __slots__ = ("canceled_run_count",)
    CANCELED_RUN_COUNT_FIELD_NUMBER: _ClassVar[int]
    canceled_run_count: int
    def __init__(self, canceled_run_count: _Optional[int] = ...) -> None: ...
