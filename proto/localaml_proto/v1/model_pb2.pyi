from google.protobuf import timestamp_pb2 as _timestamp_pb2
from localaml_proto.v1 import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Model(_message.Message):
    __slots__ = ("name", "version", "asset_id", "description", "tags", "properties", "create_time", "run_id", "experiment", "framework", "framework_version", "file_count", "size_bytes", "datasets", "sample_input_dataset_id", "sample_output_dataset_id", "resource_configuration")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ASSET_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_VERSION_FIELD_NUMBER: _ClassVar[int]
    FILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_INPUT_DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_OUTPUT_DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    asset_id: str
    description: str
    tags: _containers.ScalarMap[str, str]
    properties: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    run_id: str
    experiment: str
    framework: str
    framework_version: str
    file_count: int
    size_bytes: int
    datasets: _containers.RepeatedCompositeFieldContainer[ModelDataset]
    sample_input_dataset_id: str
    sample_output_dataset_id: str
    resource_configuration: ResourceConfiguration
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., asset_id: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., properties: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., run_id: _Optional[str] = ..., experiment: _Optional[str] = ..., framework: _Optional[str] = ..., framework_version: _Optional[str] = ..., file_count: _Optional[int] = ..., size_bytes: _Optional[int] = ..., datasets: _Optional[_Iterable[_Union[ModelDataset, _Mapping]]] = ..., sample_input_dataset_id: _Optional[str] = ..., sample_output_dataset_id: _Optional[str] = ..., resource_configuration: _Optional[_Union[ResourceConfiguration, _Mapping]] = ...) -> None: ...

class ModelDataset(_message.Message):
    __slots__ = ("purpose", "dataset_id")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    dataset_id: str
    def __init__(self, purpose: _Optional[str] = ..., dataset_id: _Optional[str] = ...) -> None: ...

class ResourceConfiguration(_message.Message):
    __slots__ = ("cpu", "memory_in_gb", "gpu")
    CPU_FIELD_NUMBER: _ClassVar[int]
    MEMORY_IN_GB_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    cpu: float
    memory_in_gb: float
    gpu: int
    def __init__(self, cpu: _Optional[float] = ..., memory_in_gb: _Optional[float] = ..., gpu: _Optional[int] = ...) -> None: ...

class RegisterModelRequest(_message.Message):
    __slots__ = ("parent", "model_name", "upload_id", "file_count", "run_path", "run_id", "child_paths", "description", "tags", "properties", "framework", "framework_version", "datasets", "sample_input_dataset_id", "sample_output_dataset_id", "resource_configuration", "request_id")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PARENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    RUN_PATH_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CHILD_PATHS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_VERSION_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_INPUT_DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_OUTPUT_DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    model_name: str
    upload_id: str
    file_count: int
    run_path: str
    run_id: str
    child_paths: _containers.RepeatedScalarFieldContainer[str]
    description: str
    tags: _containers.ScalarMap[str, str]
    properties: _containers.ScalarMap[str, str]
    framework: str
    framework_version: str
    datasets: _containers.RepeatedCompositeFieldContainer[ModelDataset]
    sample_input_dataset_id: str
    sample_output_dataset_id: str
    resource_configuration: ResourceConfiguration
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., model_name: _Optional[str] = ..., upload_id: _Optional[str] = ..., file_count: _Optional[int] = ..., run_path: _Optional[str] = ..., run_id: _Optional[str] = ..., child_paths: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., properties: _Optional[_Mapping[str, str]] = ..., framework: _Optional[str] = ..., framework_version: _Optional[str] = ..., datasets: _Optional[_Iterable[_Union[ModelDataset, _Mapping]]] = ..., sample_input_dataset_id: _Optional[str] = ..., sample_output_dataset_id: _Optional[str] = ..., resource_configuration: _Optional[_Union[ResourceConfiguration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateModelUploadUrlsRequest(_message.Message):
    __slots__ = ("parent", "upload_id", "paths")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    parent: str
    upload_id: str
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, parent: _Optional[str] = ..., upload_id: _Optional[str] = ..., paths: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateModelUploadUrlsResponse(_message.Message):
    __slots__ = ("urls",)
    URLS_FIELD_NUMBER: _ClassVar[int]
    urls: _containers.RepeatedCompositeFieldContainer[_resources_pb2.SignedUrl]
    def __init__(self, urls: _Optional[_Iterable[_Union[_resources_pb2.SignedUrl, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("parent", "model_name", "tags", "properties", "run_id", "framework", "dataset_id", "latest_only", "page")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PARENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    LATEST_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    model_name: str
    tags: _containers.ScalarMap[str, str]
    properties: _containers.ScalarMap[str, str]
    run_id: str
    framework: str
    dataset_id: str
    latest_only: bool
    page: _resources_pb2.PageRequest
    def __init__(self, parent: _Optional[str] = ..., model_name: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., properties: _Optional[_Mapping[str, str]] = ..., run_id: _Optional[str] = ..., framework: _Optional[str] = ..., dataset_id: _Optional[str] = ..., latest_only: bool = ..., page: _Optional[_Union[_resources_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token", "unreadable")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    next_page_token: str
    unreadable: _containers.RepeatedCompositeFieldContainer[_resources_pb2.UnreadableRecord]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreadable: _Optional[_Iterable[_Union[_resources_pb2.UnreadableRecord, _Mapping]]] = ...) -> None: ...

class UpdateModelRequest(_message.Message):
    __slots__ = ("name", "version", "description", "set_tags", "remove_tags", "add_properties", "replace_tags", "add_datasets", "sample_input_dataset_id", "sample_output_dataset_id", "resource_configuration")
    class SetTagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AddPropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SET_TAGS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_TAGS_FIELD_NUMBER: _ClassVar[int]
    ADD_PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    REPLACE_TAGS_FIELD_NUMBER: _ClassVar[int]
    ADD_DATASETS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_INPUT_DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_OUTPUT_DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    description: str
    set_tags: _containers.ScalarMap[str, str]
    remove_tags: _containers.RepeatedScalarFieldContainer[str]
    add_properties: _containers.ScalarMap[str, str]
    replace_tags: bool
    add_datasets: _containers.RepeatedCompositeFieldContainer[ModelDataset]
    sample_input_dataset_id: str
    sample_output_dataset_id: str
    resource_configuration: ResourceConfiguration
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., description: _Optional[str] = ..., set_tags: _Optional[_Mapping[str, str]] = ..., remove_tags: _Optional[_Iterable[str]] = ..., add_properties: _Optional[_Mapping[str, str]] = ..., replace_tags: bool = ..., add_datasets: _Optional[_Iterable[_Union[ModelDataset, _Mapping]]] = ..., sample_input_dataset_id: _Optional[str] = ..., sample_output_dataset_id: _Optional[str] = ..., resource_configuration: _Optional[_Union[ResourceConfiguration, _Mapping]] = ...) -> None: ...

class DeleteModelRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class DeleteModelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateModelDownloadUrlsRequest(_message.Message):
    __slots__ = ("name", "version", "page")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    page: _resources_pb2.PageRequest
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., page: _Optional[_Union[_resources_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class CreateModelDownloadUrlsResponse(_message.Message):
    __slots__ = ("urls", "next_page_token", "version")
    URLS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    urls: _containers.RepeatedCompositeFieldContainer[_resources_pb2.SignedUrl]
    next_page_token: str
    version: int
    def __init__(self, urls: _Optional[_Iterable[_Union[_resources_pb2.SignedUrl, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...
