from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from localaml_proto.v1 import resources_pb2 as _resources_pb2
from localaml_proto.v1 import run_definition_pb2 as _run_definition_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Environment(_message.Message):
    __slots__ = ("name", "version", "asset_id", "definition", "other_sections", "labels", "create_time", "curated", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ASSET_ID_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    OTHER_SECTIONS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CURATED_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    asset_id: str
    definition: _run_definition_pb2.EnvironmentDefinition
    other_sections: _struct_pb2.Struct
    labels: _containers.RepeatedScalarFieldContainer[str]
    create_time: _timestamp_pb2.Timestamp
    curated: bool
    description: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., asset_id: _Optional[str] = ..., definition: _Optional[_Union[_run_definition_pb2.EnvironmentDefinition, _Mapping]] = ..., other_sections: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., labels: _Optional[_Iterable[str]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., curated: bool = ..., description: _Optional[str] = ...) -> None: ...

class RegisterEnvironmentRequest(_message.Message):
    __slots__ = ("parent", "environment_name", "definition", "other_sections", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_NAME_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    OTHER_SECTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    environment_name: str
    definition: _run_definition_pb2.EnvironmentDefinition
    other_sections: _struct_pb2.Struct
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., environment_name: _Optional[str] = ..., definition: _Optional[_Union[_run_definition_pb2.EnvironmentDefinition, _Mapping]] = ..., other_sections: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetEnvironmentRequest(_message.Message):
    __slots__ = ("name", "version", "label")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    label: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class ListEnvironmentsRequest(_message.Message):
    __slots__ = ("parent", "environment_name", "latest_only", "exclude_curated", "page")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_NAME_FIELD_NUMBER: _ClassVar[int]
    LATEST_ONLY_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_CURATED_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    environment_name: str
    latest_only: bool
    exclude_curated: bool
    page: _resources_pb2.PageRequest
    def __init__(self, parent: _Optional[str] = ..., environment_name: _Optional[str] = ..., latest_only: bool = ..., exclude_curated: bool = ..., page: _Optional[_Union[_resources_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListEnvironmentsResponse(_message.Message):
    __slots__ = ("environments", "next_page_token", "unreadable")
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    environments: _containers.RepeatedCompositeFieldContainer[Environment]
    next_page_token: str
    unreadable: _containers.RepeatedCompositeFieldContainer[_resources_pb2.UnreadableRecord]
    def __init__(self, environments: _Optional[_Iterable[_Union[Environment, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreadable: _Optional[_Iterable[_Union[_resources_pb2.UnreadableRecord, _Mapping]]] = ...) -> None: ...

class LabelEnvironmentRequest(_message.Message):
    __slots__ = ("name", "version", "labels")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ...) -> None: ...

class BuildEnvironmentRequest(_message.Message):
    __slots__ = ("parent", "environment_name", "version", "definition")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    parent: str
    environment_name: str
    version: str
    definition: _run_definition_pb2.EnvironmentDefinition
    def __init__(self, parent: _Optional[str] = ..., environment_name: _Optional[str] = ..., version: _Optional[str] = ..., definition: _Optional[_Union[_run_definition_pb2.EnvironmentDefinition, _Mapping]] = ...) -> None: ...

class BuildEnvironmentResponse(_message.Message):
    __slots__ = ("line", "built")
    LINE_FIELD_NUMBER: _ClassVar[int]
    BUILT_FIELD_NUMBER: _ClassVar[int]
    line: str
    built: BuiltEnvironment
    def __init__(self, line: _Optional[str] = ..., built: _Optional[_Union[BuiltEnvironment, _Mapping]] = ...) -> None: ...

class BuiltEnvironment(_message.Message):
    __slots__ = ("python", "python_version", "newly_built")
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    NEWLY_BUILT_FIELD_NUMBER: _ClassVar[int]
    python: str
    python_version: str
    newly_built: bool
    def __init__(self, python: _Optional[str] = ..., python_version: _Optional[str] = ..., newly_built: bool = ...) -> None: ...
