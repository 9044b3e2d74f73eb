"""How large each part of a request may be: one table, and one check before any servicer sees the request.

The check follows the protobuf descriptors, so that a new field has a limit without a line here. What passes can be
stored, and answered over both transports: no number that JSON cannot say, no nesting that a client cannot read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from localaml.errors import InvalidArgument

MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""Of a request over any transport."""

MAX_NESTING = 25
"""Lists and objects in each other. Protobuf reads 100 levels of messages; an object takes three of them."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Of one field.

    Attributes:
        characters: of each text (also keys and values of maps), or bytes of a bytes field.
        items: of a list or map; in a JSON object (`google.protobuf.Struct`) of all lists and objects together.
        total_bytes: of the field as a whole, on the wire.
    """

    characters: int = 64 * 1024
    items: int = 10_000
    total_bytes: int = MAX_REQUEST_BYTES


_DEFAULT = Limit()
_KIB = 1024
_MIB = 1024 * 1024
_JSON = Limit(characters=16 * _KIB, items=10_000, total_bytes=512 * _KIB)
# Records are answered as a whole, in messages that every gRPC client takes (4 MiB): what they are made of is smaller.
_LABELS = Limit(total_bytes=_MIB)
_FILTER = Limit(characters=64 * _KIB, items=100)

# By the field's name, for all messages.
_BY_NAME: Mapping[str, Limit] = {
    "request_id": replace(_DEFAULT, characters=1024),
    "tags": _LABELS,
    "set_tags": _LABELS,
    "properties": _LABELS,
    "add_properties": _LABELS,
    "settings": _LABELS,
    "metadata": _LABELS,
}
# By message and field: what real use needs more of, and what must be less.
_BY_FIELD: Mapping[str, Limit] = {
    # A million files; how many a snapshot may have is a setting.
    "CreateSnapshotRequest.entries": replace(_DEFAULT, items=1_000_000),
    # Each has a limit of its own in the service, which tells the metric's name.
    "LogMetricsRequest.series": replace(_DEFAULT, items=200_000),
    "MetricSeries.values_json": replace(_DEFAULT, items=1_000_000, characters=2 * _MIB),
    "MetricSeries.times_micros": replace(_DEFAULT, items=1_000_000),
    "MetricSeries.steps": replace(_DEFAULT, items=1_000_000),
    "RegisterModelRequest.child_paths": replace(_DEFAULT, items=100_000),
    "SubmitRunRequest.definition": replace(_DEFAULT, total_bytes=_MIB),
    "RegisterEnvironmentRequest.definition": replace(_DEFAULT, total_bytes=_MIB),
    "RegisterEnvironmentRequest.other_sections": replace(_JSON, characters=64 * _KIB),
    "RegisterDatasetRequest.definition": replace(_DEFAULT, total_bytes=2 * _MIB),
    # Its size has a limit of its own in the service.
    "DatasetDefinition.table": Limit(characters=_MIB, items=100_000, total_bytes=2 * _MIB),
    "PythonSection.conda_dependencies": _JSON,
    # Each is told in the run's warnings once more.
    "RunDefinition.settings_without_effect": replace(_DEFAULT, total_bytes=128 * _KIB),
    "DockerSection.base_dockerfile": replace(_DEFAULT, characters=512 * _KIB),
    # Linux takes no longer ones.
    "RunDefinition.command": replace(_DEFAULT, characters=128 * _KIB),
    "RunDefinition.arguments": replace(_DEFAULT, characters=128 * _KIB),
    "RunDefinition.environment_variables": replace(_DEFAULT, characters=128 * _KIB),
    "EnvironmentDefinition.environment_variables": replace(_DEFAULT, characters=128 * _KIB),
    # Each becomes a condition of the query.
    "ListRunsRequest.tags": _FILTER,
    "ListRunsRequest.properties": _FILTER,
    "ListModelsRequest.tags": _FILTER,
    "ListModelsRequest.properties": _FILTER,
    "ListExperimentsRequest.tags": _FILTER,
    # All rules are listed in one answer.
    **{
        f"{message}.{field}": replace(_DEFAULT, characters=1024)
        for message, fields in {
            "FaultTarget": ("method", "cluster", "node", "run", "store", "vm_size"),
            "FaultEffect": ("code", "reason", "message", "point"),
        }.items()
        for field in fields
    },
}

# Given the value of a field, and its path.
_Check = Callable[[Any, str], None]
_ENUM = FieldDescriptor.TYPE_ENUM
_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_FLOATS = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT)
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def limit_of(field: FieldDescriptor) -> Limit:
    """The limit of a field, from the table."""
    owner = field.containing_type
    assert owner is not None
    return _BY_FIELD.get(f"{owner.name}.{field.name}") or _BY_NAME.get(field.name) or _DEFAULT


class RequestLimits:
    """Checks requests; what there is to look at in a type is found once, from its descriptor."""

    def __init__(self) -> None:
        self._checks = _Checks()

    def check(self, request: Message) -> None:
        """Drops what this version does not know (it would be stored unread), and looks at the rest.

        Raises InvalidArgument: ``REQUEST_TOO_LARGE``, ``FIELD_TOO_LONG``, ``FIELD_TOO_LARGE``, ``TOO_MANY_ITEMS``,
        ``FIELD_TOO_DEEP``, ``NUMBER_NOT_FINITE``, ``VALUE_MISSING``, ``ENUM_VALUE_UNKNOWN``, ``TIME_OUT_OF_RANGE``;
        the metadata tell the field, the limit and what was sent.
        """
        size = request.ByteSize()
        if size > MAX_REQUEST_BYTES:
            raise InvalidArgument(
                "REQUEST_TOO_LARGE",
                f"The request has {size} bytes; at most {MAX_REQUEST_BYTES} are taken. Send it in parts.",
                {"limit": str(MAX_REQUEST_BYTES), "sent": str(size)},
            )
        request.DiscardUnknownFields()
        self._checks.of(request.DESCRIPTOR)(request, "")


class _Checks:
    """The checks of message types, each made when it is first met."""

    def __init__(self) -> None:
        self._made: dict[str, _Check] = {}

    def of(self, descriptor: Any) -> _Check:
        """The check of a message type (the stubs know two classes of descriptors)."""
        name = descriptor.full_name
        if name == "google.protobuf.Timestamp":
            return _check_time
        if name not in self._made:
            fields: dict[str, _Check] = {}
            # Before the fields are looked at: a type may hold itself.
            self._made[name] = _message_check(fields)
            fields.update((field.name, self._field(field)) for field in descriptor.fields)
        return self._made[name]

    def _field(self, field: FieldDescriptor) -> _Check:
        limit = limit_of(field)
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            return _map_check(limit, self._one(entry.fields_by_name["key"]), self._one(entry.fields_by_name["value"]))
        if entry is not None and entry.full_name == "google.protobuf.Struct":
            return JsonCheck(limit)
        one = self._one(field, limit)
        if is_repeated(field):
            return _list_check(limit, field, one)
        return _sized(limit, one) if entry is not None else one

    def _one(self, field: FieldDescriptor, limit: Limit | None = None) -> _Check:
        """Of a single value. Keys and values of maps have the limit of the map: they are looked at there."""
        if field.message_type is not None:
            return self.of(field.message_type)
        if field.type in _TEXTS:
            return _pass if limit is None else _text_check(limit.characters)
        if field.type in _FLOATS:
            return check_finite
        if field.type == _ENUM:
            return _enum_check(field)
        return _pass


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field is a list or a map."""
    # `label` is gone from newer versions of protobuf, `is_repeated` is missing from older ones.
    known = getattr(field, "is_repeated", None)
    return bool(getattr(field, "label", None) == FieldDescriptor.LABEL_REPEATED if known is None else known)


def _pass(value: Any, path: str) -> None:
    pass


def _message_check(fields: Mapping[str, _Check]) -> _Check:
    def check(message: Any, path: str) -> None:
        for field, value in message.ListFields():
            name = field.name
            fields[name](value, f"{path}.{name}" if path else name)

    return check


def _sized(limit: Limit, inner: _Check) -> _Check:
    if limit.total_bytes >= MAX_REQUEST_BYTES:
        return inner

    def check(message: Any, path: str) -> None:
        _check_size(message.ByteSize(), limit, path)
        inner(message, path)

    return check


def _text_check(characters: int) -> _Check:
    def check(value: Any, path: str) -> None:
        if len(value) > characters:
            raise _too_long(path, characters, len(value))

    return check


def _list_check(limit: Limit, field: FieldDescriptor, one: _Check) -> _Check:
    is_text = field.type in _TEXTS

    def check(values: Any, path: str) -> None:
        _check_count(len(values), limit, path)
        if one is _pass:
            return
        if is_text:
            # By far the most of all: metrics, paths.
            longest = max(map(len, values), default=0)
            if longest > limit.characters:
                index = next(at for at, value in enumerate(values) if len(value) > limit.characters)
                raise _too_long(f"{path}[{index}]", limit.characters, len(values[index]))
            return
        for index, value in enumerate(values):
            one(value, f"{path}[{index}]")

    return check


def _map_check(limit: Limit, key_check: _Check, value_check: _Check) -> _Check:
    def check(values: Any, path: str) -> None:
        _check_count(len(values), limit, path)
        total = 0
        for key, value in values.items():
            where = f"{path}[{_shown(key)}]"
            for part in (key, value):
                if isinstance(part, (str, bytes)):
                    if len(part) > limit.characters:
                        raise _too_long(where, limit.characters, len(part))
                    total += len(part.encode() if isinstance(part, str) else part)
            key_check(key, where)
            value_check(value, where)
        _check_size(total, limit, path)

    return check


class JsonCheck:
    """Of a JSON object."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit

    def __call__(self, value: Any, path: str) -> None:
        # The size first: it is quickly known, and bounds the work on the rest.
        _check_size(value.ByteSize(), self._limit, path)
        self._count = 0
        self._object(value, path, 1)

    def _object(self, value: Any, path: str, depth: int) -> None:
        self._enter(len(value.fields), path, depth)
        for key, each in value.fields.items():
            where = f"{path}.{_shown(key)}"
            if len(key) > self._limit.characters:
                raise _too_long(where, self._limit.characters, len(key))
            self._value(each, where, depth)

    def _value(self, value: Any, path: str, depth: int) -> None:
        kind = value.WhichOneof("kind")
        if kind == "string_value":
            if len(value.string_value) > self._limit.characters:
                raise _too_long(path, self._limit.characters, len(value.string_value))
        elif kind == "number_value":
            check_finite(value.number_value, path)
        elif kind == "struct_value":
            self._object(value.struct_value, path, depth + 1)
        elif kind == "list_value":
            values = value.list_value.values
            self._enter(len(values), path, depth + 1)
            for index, each in enumerate(values):
                self._value(each, f"{path}[{index}]", depth + 1)
        elif kind is None:
            raise InvalidArgument(
                "VALUE_MISSING", f"{path[:300]} has no value: JSON cannot say that. Send null.", {"field": path[:300]}
            )

    def _enter(self, items: int, path: str, depth: int) -> None:
        if depth > MAX_NESTING:
            raise InvalidArgument(
                "FIELD_TOO_DEEP",
                f"{path[:300]} lies in more than {MAX_NESTING} lists and objects in each other. Make it flatter.",
                {"field": path[:300], "limit": str(MAX_NESTING), "sent": str(depth)},
            )
        self._count += items
        _check_count(self._count, self._limit, path)


def check_finite(value: Any, path: str) -> None:
    """Raises InvalidArgument ``NUMBER_NOT_FINITE``."""
    if not math.isfinite(value):
        raise InvalidArgument(
            "NUMBER_NOT_FINITE",
            f"{path[:300]} is {value}, which is no number that can be kept. Send a finite one.",
            {"field": path[:300], "sent": str(value)},
        )


def _enum_check(field: FieldDescriptor) -> _Check:
    kind = field.enum_type
    assert kind is not None
    name, numbers = kind.name, frozenset(kind.values_by_number)

    def check(value: Any, path: str) -> None:
        if value not in numbers:
            raise InvalidArgument(
                "ENUM_VALUE_UNKNOWN",
                f"{path[:300]} is {value}, which {name} does not have. Is the client newer than the emulator?",
                {"field": path[:300], "sent": str(value)},
            )

    return check


def _check_time(value: Any, path: str) -> None:
    if not (_FIRST_SECOND <= value.seconds <= _LAST_SECOND and 0 <= value.nanos < 10**9):
        raise InvalidArgument(
            "TIME_OUT_OF_RANGE",
            f"{path[:300]} is no time between the years 1 and 9999.",
            {"field": path[:300], "sent": f"{value.seconds} s, {value.nanos} ns"},
        )


def _check_count(count: int, limit: Limit, path: str) -> None:
    if count > limit.items:
        raise InvalidArgument(
            "TOO_MANY_ITEMS",
            f"{path[:300]} has {count} items; at most {limit.items} are taken.",
            {"field": path[:300], "limit": str(limit.items), "sent": str(count)},
        )


def _check_size(size: int, limit: Limit, path: str) -> None:
    if size > limit.total_bytes:
        raise InvalidArgument(
            "FIELD_TOO_LARGE",
            f"{path[:300]} has {size} bytes; at most {limit.total_bytes} are taken.",
            {"field": path[:300], "limit": str(limit.total_bytes), "sent": str(size)},
        )


def _too_long(path: str, limit: int, sent: int) -> InvalidArgument:
    return InvalidArgument(
        "FIELD_TOO_LONG",
        f"{path[:300]} has {sent} characters; at most {limit} are taken.",
        {"field": path[:300], "limit": str(limit), "sent": str(sent)},
    )


def _shown(key: Any) -> str:
    """A key in the path of a field: short, and without characters that a terminal obeys."""
    return repr(key)[1:-1][:60] if isinstance(key, str) else str(key)
