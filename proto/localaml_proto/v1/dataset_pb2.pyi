from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from localaml_proto.v1 import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DatasetType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATASET_TYPE_UNSPECIFIED: _ClassVar[DatasetType]
    DATASET_TYPE_FILE: _ClassVar[DatasetType]
    DATASET_TYPE_TABULAR: _ClassVar[DatasetType]
DATASET_TYPE_UNSPECIFIED: DatasetType
DATASET_TYPE_FILE: DatasetType
DATASET_TYPE_TABULAR: DatasetType

class Dataset(_message.Message):
    __slots__ = ("dataset_id", "name", "version", "definition", "description", "tags", "create_time", "is_latest")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    IS_LATEST_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    name: str
    version: int
    definition: DatasetDefinition
    description: str
    tags: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    is_latest: bool
    def __init__(self, dataset_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[int] = ..., definition: _Optional[_Union[DatasetDefinition, _Mapping]] = ..., description: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., is_latest: bool = ...) -> None: ...

class DatasetDefinition(_message.Message):
    __slots__ = ("dataset_type", "sources", "selections", "table")
    DATASET_TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    SELECTIONS_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    dataset_type: DatasetType
    sources: _containers.RepeatedCompositeFieldContainer[DatasetSource]
    selections: _containers.RepeatedCompositeFieldContainer[FileSelection]
    table: _struct_pb2.Struct
    def __init__(self, dataset_type: _Optional[_Union[DatasetType, str]] = ..., sources: _Optional[_Iterable[_Union[DatasetSource, _Mapping]]] = ..., selections: _Optional[_Iterable[_Union[FileSelection, _Mapping]]] = ..., table: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class DatasetSource(_message.Message):
    __slots__ = ("datastore_name", "path", "url")
    DATASTORE_NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    datastore_name: str
    path: str
    url: str
    def __init__(self, datastore_name: _Optional[str] = ..., path: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class FileSelection(_message.Message):
    __slots__ = ("take", "skip", "sample")
    TAKE_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    take: int
    skip: int
    sample: FileSample
    def __init__(self, take: _Optional[int] = ..., skip: _Optional[int] = ..., sample: _Optional[_Union[FileSample, _Mapping]] = ...) -> None: ...

class FileSample(_message.Message):
    __slots__ = ("probability", "seed", "complement")
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    COMPLEMENT_FIELD_NUMBER: _ClassVar[int]
    probability: float
    seed: int
    complement: bool
    def __init__(self, probability: _Optional[float] = ..., seed: _Optional[int] = ..., complement: bool = ...) -> None: ...

class DatasetFile(_message.Message):
    __slots__ = ("path", "datastore_name", "path_on_datastore", "url", "size_bytes")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DATASTORE_NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_ON_DATASTORE_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    path: str
    datastore_name: str
    path_on_datastore: str
    url: str
    size_bytes: int
    def __init__(self, path: _Optional[str] = ..., datastore_name: _Optional[str] = ..., path_on_datastore: _Optional[str] = ..., url: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class RegisterDatasetRequest(_message.Message):
    __slots__ = ("parent", "dataset_name", "definition", "description", "tags", "create_new_version", "request_id")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DATASET_NAME_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    CREATE_NEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    dataset_name: str
    definition: DatasetDefinition
    description: str
    tags: _containers.ScalarMap[str, str]
    create_new_version: bool
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., dataset_name: _Optional[str] = ..., definition: _Optional[_Union[DatasetDefinition, _Mapping]] = ..., description: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., create_new_version: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class GetDatasetRequest(_message.Message):
    __slots__ = ("parent", "dataset_id", "dataset_name", "version")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    parent: str
    dataset_id: str
    dataset_name: str
    version: int
    def __init__(self, parent: _Optional[str] = ..., dataset_id: _Optional[str] = ..., dataset_name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class ListDatasetsRequest(_message.Message):
    __slots__ = ("parent", "dataset_name", "latest_only", "page")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DATASET_NAME_FIELD_NUMBER: _ClassVar[int]
    LATEST_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    dataset_name: str
    latest_only: bool
    page: _resources_pb2.PageRequest
    def __init__(self, parent: _Optional[str] = ..., dataset_name: _Optional[str] = ..., latest_only: bool = ..., page: _Optional[_Union[_resources_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListDatasetsResponse(_message.Message):
    __slots__ = ("datasets", "next_page_token", "unreadable")
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[Dataset]
    next_page_token: str
    unreadable: _containers.RepeatedCompositeFieldContainer[_resources_pb2.UnreadableRecord]
    def __init__(self, datasets: _Optional[_Iterable[_Union[Dataset, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreadable: _Optional[_Iterable[_Union[_resources_pb2.UnreadableRecord, _Mapping]]] = ...) -> None: ...

class UpdateDatasetRequest(_message.Message):
    __slots__ = ("parent", "dataset_id", "description", "set_tags", "remove_tags")
    class SetTagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SET_TAGS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_TAGS_FIELD_NUMBER: _ClassVar[int]
    parent: str
    dataset_id: str
    description: str
    set_tags: _containers.ScalarMap[str, str]
    remove_tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, parent: _Optional[str] = ..., dataset_id: _Optional[str] = ..., description: _Optional[str] = ..., set_tags: _Optional[_Mapping[str, str]] = ..., remove_tags: _Optional[_Iterable[str]] = ...) -> None: ...

class UnregisterDatasetRequest(_message.Message):
    __slots__ = ("parent", "dataset_name")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DATASET_NAME_FIELD_NUMBER: _ClassVar[int]
    parent: str
    dataset_name: str
    def __init__(self, parent: _Optional[str] = ..., dataset_name: _Optional[str] = ...) -> None: ...

class UnregisterDatasetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDatasetFilesRequest(_message.Message):
    __slots__ = ("parent", "definition", "page")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    definition: DatasetDefinition
    page: _resources_pb2.PageRequest
    def __init__(self, parent: _Optional[str] = ..., definition: _Optional[_Union[DatasetDefinition, _Mapping]] = ..., page: _Optional[_Union[_resources_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListDatasetFilesResponse(_message.Message):
    __slots__ = ("files", "next_page_token")
    FILES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[DatasetFile]
    next_page_token: str
    def __init__(self, files: _Optional[_Iterable[_Union[DatasetFile, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
