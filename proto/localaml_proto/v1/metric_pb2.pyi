from localaml_proto.v1 import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MetricType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METRIC_TYPE_UNSPECIFIED: _ClassVar[MetricType]
    METRIC_TYPE_SCALAR: _ClassVar[MetricType]
    METRIC_TYPE_LIST: _ClassVar[MetricType]
    METRIC_TYPE_ROW: _ClassVar[MetricType]
    METRIC_TYPE_TABLE: _ClassVar[MetricType]
    METRIC_TYPE_IMAGE: _ClassVar[MetricType]
    METRIC_TYPE_CONFUSION_MATRIX: _ClassVar[MetricType]
    METRIC_TYPE_ACCURACY_TABLE: _ClassVar[MetricType]
    METRIC_TYPE_RESIDUALS: _ClassVar[MetricType]
    METRIC_TYPE_PREDICTIONS: _ClassVar[MetricType]
METRIC_TYPE_UNSPECIFIED: MetricType
METRIC_TYPE_SCALAR: MetricType
METRIC_TYPE_LIST: MetricType
METRIC_TYPE_ROW: MetricType
METRIC_TYPE_TABLE: MetricType
METRIC_TYPE_IMAGE: MetricType
METRIC_TYPE_CONFUSION_MATRIX: MetricType
METRIC_TYPE_ACCURACY_TABLE: MetricType
METRIC_TYPE_RESIDUALS: MetricType
METRIC_TYPE_PREDICTIONS: MetricType

class MetricSeries(_message.Message):
    __slots__ = ("name", "type", "values_json", "times_micros", "steps", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUES_JSON_FIELD_NUMBER: _ClassVar[int]
    TIMES_MICROS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: MetricType
    values_json: _containers.RepeatedScalarFieldContainer[str]
    times_micros: _containers.RepeatedScalarFieldContainer[int]
    steps: _containers.RepeatedScalarFieldContainer[int]
    description: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[MetricType, str]] = ..., values_json: _Optional[_Iterable[str]] = ..., times_micros: _Optional[_Iterable[int]] = ..., steps: _Optional[_Iterable[int]] = ..., description: _Optional[str] = ...) -> None: ...

class LogMetricsRequest(_message.Message):
    __slots__ = ("parent", "series", "writer_id", "batch_number")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_NUMBER_FIELD_NUMBER: _ClassVar[int]
    parent: str
    series: _containers.RepeatedCompositeFieldContainer[MetricSeries]
    writer_id: str
    batch_number: int
    def __init__(self, parent: _Optional[str] = ..., series: _Optional[_Iterable[_Union[MetricSeries, _Mapping]]] = ..., writer_id: _Optional[str] = ..., batch_number: _Optional[int] = ...) -> None: ...

class LogMetricsResponse(_message.Message):
    __slots__ = ("accepted_count",)
    ACCEPTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    accepted_count: int
    def __init__(self, accepted_count: _Optional[int] = ...) -> None: ...

class ListMetricsRequest(_message.Message):
    __slots__ = ("parent", "metric_name", "page")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    metric_name: str
    page: _resources_pb2.PageRequest
    def __init__(self, parent: _Optional[str] = ..., metric_name: _Optional[str] = ..., page: _Optional[_Union[_resources_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListMetricsResponse(_message.Message):
    __slots__ = ("series", "next_page_token", "unreadable")
    SERIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    series: _containers.RepeatedCompositeFieldContainer[MetricSeries]
    next_page_token: str
    unreadable: _containers.RepeatedCompositeFieldContainer[_resources_pb2.UnreadableRecord]
    def __init__(self, series: _Optional[_Iterable[_Union[MetricSeries, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreadable: _Optional[_Iterable[_Union[_resources_pb2.UnreadableRecord, _Mapping]]] = ...) -> None: ...
