"""Values of records as values of columns, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from localaml.domain.models import ErrorInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
_encode_in_order = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_micros(time: datetime) -> int:
    """Whole microseconds since the epoch, exact."""
    delta = time - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def to_micros_or_none(time: datetime | None) -> int | None:
    return None if time is None else to_micros(time)


def from_micros_or_none(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def to_json(value: Mapping[str, Any]) -> str:
    """Equal maps give equal text."""
    return _encode(value) if value else "{}"


def from_json(text: str) -> dict[str, Any]:
    """Raises ValueError when it is no JSON object."""
    if text == "{}":
        return {}
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text[:40]!r} is no JSON object")
    return value


def list_to_json(values: Iterable[Any]) -> str:
    return _encode_in_order(list(values))


def list_from_json(text: str) -> list[Any]:
    """Raises ValueError when it is no JSON list."""
    if text == "[]":
        return []
    value = json.loads(text)
    if not isinstance(value, list):
        raise ValueError(f"{text[:40]!r} is no JSON list")
    return value


def error_to_json(error: ErrorInfo | None) -> str | None:
    return None if error is None else _encode_in_order([error.code, error.message, dict(error.metadata)])


def error_from_json(text: str | None) -> ErrorInfo | None:
    return None if text is None else ErrorInfo(*json.loads(text))


def errors_to_json(errors: Iterable[ErrorInfo]) -> str:
    return list_to_json([error.code, error.message, dict(error.metadata)] for error in errors)


def errors_from_json(text: str) -> tuple[ErrorInfo, ...]:
    return tuple(ErrorInfo(*error) for error in list_from_json(text))


def known(names: Iterable[str], limit: int = 10) -> str:
    """What a not-found message says about what there is: `There is none.`, or `There are: a, b, ...`."""
    listed = sorted(names)
    if not listed:
        return "There is none."
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return f"There {'is' if len(listed) == 1 else 'are'}: {', '.join(listed[:limit])}{more}."
