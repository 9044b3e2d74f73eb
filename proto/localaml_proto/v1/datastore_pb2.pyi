from google.protobuf import timestamp_pb2 as _timestamp_pb2
from localaml_proto.v1 import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Datastore(_message.Message):
    __slots__ = ("name", "datastore_type", "account_name", "container_name", "protocol", "endpoint", "is_default", "create_time", "credential_type", "settings")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATASTORE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_NAME_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_TYPE_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    datastore_type: str
    account_name: str
    container_name: str
    protocol: str
    endpoint: str
    is_default: bool
    create_time: _timestamp_pb2.Timestamp
    credential_type: str
    settings: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., datastore_type: _Optional[str] = ..., account_name: _Optional[str] = ..., container_name: _Optional[str] = ..., protocol: _Optional[str] = ..., endpoint: _Optional[str] = ..., is_default: bool = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., credential_type: _Optional[str] = ..., settings: _Optional[_Mapping[str, str]] = ...) -> None: ...

class DatastoreFile(_message.Message):
    __slots__ = ("path", "size_bytes", "update_time")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    path: str
    size_bytes: int
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, path: _Optional[str] = ..., size_bytes: _Optional[int] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RegisterDatastoreRequest(_message.Message):
    __slots__ = ("parent", "datastore_name", "datastore", "secret", "overwrite", "create_if_not_exists", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DATASTORE_NAME_FIELD_NUMBER: _ClassVar[int]
    DATASTORE_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    CREATE_IF_NOT_EXISTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    datastore_name: str
    datastore: Datastore
    secret: str
    overwrite: bool
    create_if_not_exists: bool
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., datastore_name: _Optional[str] = ..., datastore: _Optional[_Union[Datastore, _Mapping]] = ..., secret: _Optional[str] = ..., overwrite: bool = ..., create_if_not_exists: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class GetDatastoreRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListDatastoresRequest(_message.Message):
    __slots__ = ("parent", "page")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page: _resources_pb2.PageRequest
    def __init__(self, parent: _Optional[str] = ..., page: _Optional[_Union[_resources_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListDatastoresResponse(_message.Message):
    __slots__ = ("datastores", "next_page_token", "unreadable")
    DATASTORES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    datastores: _containers.RepeatedCompositeFieldContainer[Datastore]
    next_page_token: str
    unreadable: _containers.RepeatedCompositeFieldContainer[_resources_pb2.UnreadableRecord]
    def __init__(self, datastores: _Optional[_Iterable[_Union[Datastore, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreadable: _Optional[_Iterable[_Union[_resources_pb2.UnreadableRecord, _Mapping]]] = ...) -> None: ...

class UnregisterDatastoreRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UnregisterDatastoreResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDatastoreFilesRequest(_message.Message):
    __slots__ = ("name", "prefix", "page")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    prefix: str
    page: _resources_pb2.PageRequest
    def __init__(self, name: _Optional[str] = ..., prefix: _Optional[str] = ..., page: _Optional[_Union[_resources_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListDatastoreFilesResponse(_message.Message):
    __slots__ = ("files", "next_page_token")
    FILES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[DatastoreFile]
    next_page_token: str
    def __init__(self, files: _Optional[_Iterable[_Union[DatastoreFile, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateDatastoreUploadUrlsRequest(_message.Message):
    __slots__ = ("name", "paths", "overwrite")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    name: str
    paths: _containers.RepeatedScalarFieldContainer[str]
    overwrite: bool
    def __init__(self, name: _Optional[str] = ..., paths: _Optional[_Iterable[str]] = ..., overwrite: bool = ...) -> None: ...

class CreateDatastoreUploadUrlsResponse(_message.Message):
    __slots__ = ("urls", "existing_paths")
    URLS_FIELD_NUMBER: _ClassVar[int]
    EXISTING_PATHS_FIELD_NUMBER: _ClassVar[int]
    urls: _containers.RepeatedCompositeFieldContainer[_resources_pb2.SignedUrl]
    existing_paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, urls: _Optional[_Iterable[_Union[_resources_pb2.SignedUrl, _Mapping]]] = ..., existing_paths: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateDatastoreDownloadUrlsRequest(_message.Message):
    __slots__ = ("name", "paths")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    name: str
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., paths: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateDatastoreDownloadUrlsResponse(_message.Message):
    __slots__ = ("urls",)
    URLS_FIELD_NUMBER: _ClassVar[int]
    urls: _containers.RepeatedCompositeFieldContainer[_resources_pb2.SignedUrl]
    def __init__(self, urls: _Optional[_Iterable[_Union[_resources_pb2.SignedUrl, _Mapping]]] = ...) -> None: ...
