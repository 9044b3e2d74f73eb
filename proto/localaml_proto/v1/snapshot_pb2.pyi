from google.protobuf import timestamp_pb2 as _timestamp_pb2
from localaml_proto.v1 import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SnapshotEntry(_message.Message):
    __slots__ = ("path", "sha256", "size_bytes", "executable")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    path: str
    sha256: str
    size_bytes: int
    executable: bool
    def __init__(self, path: _Optional[str] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., executable: bool = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("snapshot_id", "create_time", "size_bytes", "file_count")
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    snapshot_id: str
    create_time: _timestamp_pb2.Timestamp
    size_bytes: int
    file_count: int
    def __init__(self, snapshot_id: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., size_bytes: _Optional[int] = ..., file_count: _Optional[int] = ...) -> None: ...

class CreateSnapshotRequest(_message.Message):
    __slots__ = ("parent", "entries")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    parent: str
    entries: _containers.RepeatedCompositeFieldContainer[SnapshotEntry]
    def __init__(self, parent: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[SnapshotEntry, _Mapping]]] = ...) -> None: ...

class CreateSnapshotResponse(_message.Message):
    __slots__ = ("snapshot", "missing")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    missing: _containers.RepeatedCompositeFieldContainer[_resources_pb2.SignedUrl]
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., missing: _Optional[_Iterable[_Union[_resources_pb2.SignedUrl, _Mapping]]] = ...) -> None: ...

class GetSnapshotRequest(_message.Message):
    __slots__ = ("parent", "snapshot_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    snapshot_id: str
    def __init__(self, parent: _Optional[str] = ..., snapshot_id: _Optional[str] = ...) -> None: ...

class GetSnapshotResponse(_message.Message):
    __slots__ = ("snapshot", "entries", "urls")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    URLS_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    entries: _containers.RepeatedCompositeFieldContainer[SnapshotEntry]
    urls: _containers.RepeatedCompositeFieldContainer[_resources_pb2.SignedUrl]
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[SnapshotEntry, _Mapping]]] = ..., urls: _Optional[_Iterable[_Union[_resources_pb2.SignedUrl, _Mapping]]] = ...) -> None: ...
