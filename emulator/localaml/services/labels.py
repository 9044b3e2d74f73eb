"""Tags, properties and environment variables: maps of text that callers give."""

from __future__ import annotations

from collections.abc import Mapping

from localaml.errors import InvalidArgument

_MAX_KEY = 255
_MAX_VALUE = 32 * 1024
_MAX_COUNT = 1000


def check_labels(labels: Mapping[str, str], what: str) -> None:
    """Checks the names and values of tags or properties.

    Raises InvalidArgument ``INVALID_LABEL``: an empty or overlong name, one with control characters, an overlong value,
    or too many.
    """
    if len(labels) > _MAX_COUNT:
        raise InvalidArgument(
            "INVALID_LABEL", f"There are {len(labels)} {what} entries; at most {_MAX_COUNT} are kept."
        )
    for key, value in labels.items():
        if not key or len(key) > _MAX_KEY or any(c < " " or c == "\x7f" for c in key):
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
