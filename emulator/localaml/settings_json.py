"""`Settings` as JSON and back: how the CLI hands them to the `python -m localaml.server` that it starts."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from localaml.errors import InvalidArgument
from localaml.settings import Settings

_T = TypeVar("_T")


def settings_to_json(settings: Settings) -> str:
    """One line of JSON from which `settings_from_json` makes equal settings."""

    def plain(value: object) -> str:
        if isinstance(value, Path):
            return str(value)
        raise TypeError(f"A setting of type {type(value).__name__} has no JSON form.")

    return json.dumps(dataclasses.asdict(settings), default=plain)


def settings_from_json(text: str) -> Settings:
    """Settings from JSON; a setting that is left out has its default.

    Raises:
        InvalidArgument: ``SETTINGS_INVALID``: no JSON object, a setting that does not exist, one of the wrong type, or
            one without default that is missing. The message names it.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InvalidArgument("SETTINGS_INVALID", f"The settings are not JSON: {error}.") from None
    return _build(Settings, values, "")


def _build(kind: type[_T], values: object, prefix: str) -> _T:
    if not isinstance(values, dict):
        raise InvalidArgument("SETTINGS_INVALID", f"{prefix.rstrip('.') or 'The settings'} must be a JSON object.")
    assert dataclasses.is_dataclass(kind)
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise InvalidArgument("SETTINGS_INVALID", f"There is no setting {prefix}{unknown[0]}.")
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if field.name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InvalidArgument("SETTINGS_INVALID", f"The setting {prefix}{missing[0]} is missing.")
    return kind(**{name: _convert(hints[name], value, prefix + name) for name, value in values.items()})


def _convert(hint: Any, value: object, name: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in typing.get_args(hint):
            return None
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
        return _convert(hint, value, name)
    if origin is tuple and isinstance(value, list):
        (item, _) = typing.get_args(hint)
        return tuple(_convert(item, one, name) for one in value)
    if origin is Mapping and isinstance(value, dict):
        (_, item) = typing.get_args(hint)
        return {key: _convert(item, one, f"{name}.{key}") for key, one in value.items()}
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast("type[Any]", hint), value, name + ".")
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is an int for isinstance, not for people.
    if type(value) is hint:
        return value
    wanted = getattr(hint, "__name__", str(hint))
    raise InvalidArgument("SETTINGS_INVALID", f"The setting {name} must be of type {wanted}, not {value!r}.")
