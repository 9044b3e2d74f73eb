"""Reading and writing proto3-JSON objects: fields with default values may be absent, numbers of 64 bits are strings."""

import re
from typing import TYPE_CHECKING, Any, Mapping, Optional

if TYPE_CHECKING:
    from datetime import datetime

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$")


def integer(message: Mapping[str, Any], key: str) -> int:
    """An integer field of any width; 0 when absent."""
    return int(message.get(key) or 0)


def timestamp(message: Mapping[str, Any], key: str) -> "Optional[datetime]":
    """A `google.protobuf.Timestamp` field as an aware UTC datetime (microseconds); None when absent."""
    value = message.get(key)
    if not value:
        return None
    from datetime import datetime, timedelta, timezone

    match = _TIMESTAMP.match(value)
    if match is None:
        raise ValueError("{!r} is not an RFC 3339 time".format(value))
    day, time, fraction, sign, hours, minutes = match.groups()
    result = datetime.strptime(day + "T" + time, "%Y-%m-%dT%H:%M:%S").replace(
        microsecond=int((fraction or "0")[:6].ljust(6, "0")), tzinfo=timezone.utc
    )
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        result = result - offset if sign == "+" else result + offset
    return result


def iso_time(message: Mapping[str, Any], key: str) -> Optional[str]:
    """A time field as Azure's answers show it: `2019-02-20T14:59:24.123456Z`; None when absent."""
    value = timestamp(message, key)
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def enum_word(message: Mapping[str, Any], key: str, prefix: str) -> str:
    """`{"state": "RUN_STATE_NOT_STARTED"}` with prefix `RUN_STATE_` -> `NotStarted`; empty when unspecified."""
    value = str(message.get(key) or "")
    if value.startswith(prefix):
        value = value[len(prefix) :]
    if value in ("", "UNSPECIFIED"):
        return ""
    return "".join(part.capitalize() for part in value.split("_"))


def enum_name(word: str, prefix: str) -> str:
    """The reverse of `enum_word`: `NotStarted` -> `RUN_STATE_NOT_STARTED`."""
    return prefix + re.sub(r"(?<!^)(?=[A-Z])", "_", word).upper()
