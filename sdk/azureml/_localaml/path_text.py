"""Paths as text: whoever takes a path takes `pathlib.Path`, too."""

import os
from typing import Any


def path_text(value: Any) -> Any:
    """A path object as text, with `/` between its parts on every system; everything else as it is."""
    if not isinstance(value, os.PathLike):
        return value
    as_posix = getattr(value, "as_posix", None)
    return as_posix() if callable(as_posix) else os.fsdecode(value)
