"""The mark of experimental classes and functions."""

from typing import TypeVar

_T = TypeVar("_T")


def experimental(wrapped: "_T") -> "_T":
    """Returns it as it is: Azure's adds a note to the docstring."""
    return wrapped
