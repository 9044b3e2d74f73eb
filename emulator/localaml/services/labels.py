"""Tags, properties and environment variables: maps of text that callers give."""

from __future__ import annotations

from collections.abc import Mapping

from localaml.domain.names import has_controls
from localaml.errors import InvalidArgument

_MAX_KEY = 255
_MAX_VALUE = 32 * 1024
_MAX_COUNT = 1000
# Labels are part of every answer on what has them, and an answer of more than 4 MiB is refused by gRPC clients.
_MAX_BYTES = 1024 * 1024


def check_labels(labels: Mapping[str, str], what: str) -> None:
    """Checks the names and values of tags or properties.

    Raises InvalidArgument ``INVALID_LABEL``: an empty or overlong name, one with control characters, an overlong value,
    too many, or too much in all.
    """
    if len(labels) > _MAX_COUNT:
        raise InvalidArgument(
            "INVALID_LABEL", f"There are {len(labels)} {what} entries; at most {_MAX_COUNT} are kept."
        )
    size = sum(len(key.encode()) + len(value.encode()) for key, value in labels.items())
    if size > _MAX_BYTES:
        raise InvalidArgument(
            "INVALID_LABEL",
            f"All {what} entries together have {size} bytes; at most {_MAX_BYTES} are kept. "
            "Upload longer text as a file.",
        )
    for key, value in labels.items():
        if not key or len(key) > _MAX_KEY or has_controls(key):
            raise InvalidArgument(
                "INVALID_LABEL",
                f"{key[:64]!r} is not a good {what} name: use 1 to {_MAX_KEY} characters without control characters.",
            )
        if len(value) > _MAX_VALUE:
            raise InvalidArgument(
                "INVALID_LABEL",
                f"The value of {what} {key!r} has {len(value)} characters; at most {_MAX_VALUE} are kept. "
                "Upload longer text as a file.",
            )


def merged_labels(old: Mapping[str, str], new: Mapping[str, str], what: str) -> dict[str, str]:
    """The labels of something that has some and gets more. Raises InvalidArgument ``INVALID_LABEL``, as `check_labels`
    does: for the new ones, and when it would have too many or too much in all."""
    merged = {**old, **new}
    if new:
        check_labels(new, what)
        check_labels(merged, what)
    return merged
