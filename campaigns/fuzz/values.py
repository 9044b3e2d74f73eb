"""Strategies for requests, made from the protobuf descriptors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf import json_format
from hypothesis import strategies as st

from campaigns.fuzz.corpus import FLOATS, INTEGERS, LONG_INTEGERS, TEXTS, nested_lists, nested_objects
from campaigns.fuzz.rpcs import Rpc
from campaigns.fuzz.world import EXPERIMENT, GROUP, OTHER, RUN, WORKSPACE, World

_WORDS = ("ws", "exp", "cpu", "never", "data", "going", "ended", "queued", "model", "files", "table", "env", "secret")
_NAMES = (
    GROUP,
    WORKSPACE,
    OTHER,
    EXPERIMENT,
    f"{WORKSPACE}/experiments/-",
    f"{WORKSPACE}/experiments/empty",
    RUN,
    f"{EXPERIMENT}/runs/ended",
    f"{EXPERIMENT}/runs/queued",
    f"{WORKSPACE}/experiments/-/runs/going",
    f"{WORKSPACE}/computes/cpu",
    f"{WORKSPACE}/datastores/data",
    f"{WORKSPACE}/datastores/workspaceblobstore",
    f"{WORKSPACE}/models/model",
    f"{WORKSPACE}/environments/env",
    f"{WORKSPACE}/environments/AzureML-Minimal",
    f"{WORKSPACE}/secrets/secret",
    f"{WORKSPACE}/computes/",
    f"{WORKSPACE}/computes/a\0b",
    "subscriptions/fuzz",
)
_KEYS = ("snapshot", "model", "dataset", "environment", "upload")
_PATHS = ("outputs/a.txt", "logs/b.txt", "azureml-logs/70_driver_log.txt", "folder/file.txt", "train.py", "m.pkl")
_DEEP = (nested_lists(10), nested_lists(30), nested_lists(47), nested_objects(20), nested_objects(31))


_TEN = st.integers(0, 9)
_SECONDS, _NANOS = st.sampled_from(LONG_INTEGERS), st.sampled_from(INTEGERS)
_CHANGES = st.sampled_from((0, 1, 1, 1, 2, 3))
_MAP_SIZES = st.sampled_from((0, 1, 1, 2, 3, 1001, 10_001))
_LIST_SIZES = st.sampled_from((0, 1, 1, 2, 3, 1001))


@cache
def _up_to(count: int) -> Any:
    return st.integers(0, count)


@st.composite
def _from_draws(draw: Any, make: Callable[[Any], Any]) -> Any:
    return make(draw)


class Values:
    """Strategies for what is in requests.

    Args:
        world: where names of things that exist come from.
        good: good requests, by the rpc's name.
    """

    def __init__(self, world: World, good: dict[str, list[Callable[[], dict[str, Any]]]]) -> None:
        self._world = world
        self._good_ones = {name: st.sampled_from(makers) for name, makers in good.items()}
        self._requests: dict[str, Any] = {}
        self._texts = st.one_of(
            st.sampled_from(TEXTS),
            st.sampled_from(_WORDS),
            st.sampled_from(_PATHS),
            st.sampled_from(_KEYS).map(lambda key: self._world.ids.get(key, "")),
            st.text(max_size=6),
        )
        self._names = st.one_of(st.sampled_from(_NAMES), self._texts)
        self._json = st.one_of(
            st.dictionaries(self._texts, self._leaf_or_list(), max_size=3),
            st.sampled_from(_DEEP).map(lambda value: {"dependencies": value}),
            st.sampled_from(FLOATS).map(lambda value: {"dependencies": [value]}),
            st.lists(self._texts, max_size=3).map(lambda value: {"dependencies": ["python=3.10", *value]}),
            st.lists(self._texts, max_size=3).map(lambda value: {"dependencies": [{"pip": value}]}),
            st.integers(9_990, 10_010).map(lambda count: {"dependencies": [1] * count}),
        )

    def _leaf_or_list(self) -> Any:
        leaf = st.one_of(st.none(), st.booleans(), st.sampled_from(FLOATS), self._texts)
        return st.recursive(
            leaf, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(self._texts, inner), max_leaves=4
        )

    # -- requests -----------------------------------------------------------------------------------------------------

    def request(self, rpc: Rpc) -> Any:
        """A request of this rpc: mostly a good one with up to three fields that are something else."""
        found = self._requests.get(rpc.name)
        if found is None:
            found = self._requests[rpc.name] = _from_draws(lambda draw: self._make(draw, rpc))
        return found

    def _make(self, draw: Any, rpc: Rpc) -> Any:
        request = rpc.request_class()
        if draw(_TEN) < 9:
            json_format.ParseDict(draw(self._good_ones[rpc.name])(), request)
            for _ in range(draw(_CHANGES)):
                self._spoil(draw, request)
        else:
            self._fill(draw, request, 0)
        return request

    def _spoil(self, draw: Any, message: Any) -> None:
        """Puts something else into a field of the message, or of a message in it."""
        while True:
            fields = message.DESCRIPTOR.fields
            if not fields:
                return
            field = fields[draw(_up_to(len(fields) - 1))]
            inner = field.message_type
            if inner is None or _is_map(field) or inner.full_name.startswith("google.") or draw(_TEN) == 0:
                message.ClearField(field.name)
                self._set(draw, message, field, 0)
                return
            value = getattr(message, field.name)
            if _is_list(field):
                message = value[draw(_up_to(len(value) - 1))] if len(value) else value.add()
            else:
                value.SetInParent()
                message = value

    def _fill(self, draw: Any, message: Any, depth: int) -> None:
        for field in message.DESCRIPTOR.fields:
            if draw(_TEN) < (6 if depth < 3 else 2):
                self._set(draw, message, field, depth)

    def _set(self, draw: Any, message: Any, field: Any, depth: int) -> None:
        """Gives a field a value; some a very long one."""
        target = getattr(message, field.name)
        if _is_map(field):
            value_field = field.message_type.fields_by_name["value"]
            count = draw(_MAP_SIZES)
            keys = [draw(self._texts) for _ in range(count)] if count < 10 else [str(n) for n in range(count)]
            for key in keys:
                if value_field.message_type is not None:
                    self._fill(draw, target[key], depth + 1) if count < 10 else target[key].SetInParent()
                else:
                    target[key] = draw(self._texts) if count < 10 else "x"
        elif _is_list(field):
            count = draw(_LIST_SIZES)
            if field.message_type is not None:
                for _ in range(count):
                    self._fill(draw, target.add(), depth + 1 if count < 10 else 9)
            elif count < 10:
                target.extend(draw(self._scalar(field)) for _ in range(count))
            else:
                target.extend([draw(self._scalar(field))] * (count if field.type != field.TYPE_STRING else 10_001))
        elif field.message_type is None:
            setattr(message, field.name, draw(self._scalar(field)))
        elif field.message_type.full_name == "google.protobuf.Struct":
            _update(target, draw(self._json))
        elif field.message_type.full_name == "google.protobuf.Timestamp":
            target.seconds = draw(_SECONDS)
            target.nanos = draw(_NANOS)
        else:
            target.SetInParent()
            self._fill(draw, target, depth + 1)

    def _scalar(self, field: Any) -> Any:
        if field.type == field.TYPE_STRING:
            if field.containing_type.name in ("SaveStateRequest", "LoadStateRequest"):
                return st.sampled_from(self._own_paths())
            return self._names if field.name in ("name", "parent", "workspace") else self._texts
        if field.type == field.TYPE_BYTES:
            return st.binary(max_size=10)
        return _numbers(field.type, field.enum_type)

    def _own_paths(self) -> list[str]:
        """Where states may be written to and read from: these calls write as whoever runs the campaign."""
        files = self._world.files
        return [
            "",
            "relative",
            "\0",
            f"{files}",
            f"{files}/saved",
            f"{files}/no/such",
            f"{files}/garbage",
            f"{files}/a\0",
        ]


@cache
def _numbers(kind: int, enum: Any) -> Any:
    from google.protobuf.descriptor import FieldDescriptor as Field

    if kind == Field.TYPE_BOOL:
        return st.booleans()
    if kind == Field.TYPE_ENUM:
        return st.sampled_from([*enum.values_by_number, *enum.values_by_number, 77, -1, 2**31 - 1])
    if kind in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT):
        return st.sampled_from(FLOATS)
    if kind in (Field.TYPE_INT64, Field.TYPE_SINT64, Field.TYPE_SFIXED64):
        return st.one_of(st.integers(0, 5), st.sampled_from(LONG_INTEGERS))
    return st.one_of(st.integers(0, 5), st.sampled_from(INTEGERS))


def _is_list(field: Any) -> bool:
    known = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if known is None else known)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _update(struct: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        _set_value(struct.fields[key], value)


def _set_value(target: Any, value: Any) -> None:
    if value is None:
        target.null_value = 0
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, list):
        target.list_value.SetInParent()
        for each in value:
            _set_value(target.list_value.values.add(), each)
    else:
        target.struct_value.SetInParent()
        _update(target.struct_value, value)


def as_json(message: Any) -> bytes:
    """A request as a client would send it, and worse: with numbers that JSON does not have.

    What the library cannot say (a struct with NaN) is said by hand.
    """
    import json

    return json.dumps(_plain(message), ensure_ascii=False).encode()


def _plain(message: Any) -> Any:
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Struct":
        return {key: _plain(value) for key, value in message.fields.items()}
    if name == "google.protobuf.Value":
        kind = message.WhichOneof("kind")
        if kind in (None, "null_value"):
            return None
        value = getattr(message, kind)
        if kind == "list_value":
            return [_plain(each) for each in value.values]
        return _plain(value) if kind == "struct_value" else value
    if name == "google.protobuf.Timestamp":
        return f"{message.seconds}.{message.nanos}"
    values: dict[str, Any] = {}
    for field, value in message.ListFields():
        if _is_map(field):
            plain: Any = {
                str(key): _plain(each) if hasattr(each, "DESCRIPTOR") else each for key, each in value.items()
            }
        elif _is_list(field):
            plain = [_plain(each) if field.message_type is not None else _scalar_json(each) for each in value]
        else:
            plain = _plain(value) if field.message_type is not None else _scalar_json(value)
        values[field.json_name] = plain
    return values


def _scalar_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
    return value
