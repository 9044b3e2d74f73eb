"""What Azure calls deprecated, said once in a process for each name, through `warnings`.

LocalAML keeps all of it. So the category is one that Python shows to those who ask for it (pytest does, and
`python -W default`), not to those who run what has always run.
"""

import os
import sys
import warnings
from typing import Set

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class _Told:
    """The names that this process has been told."""

    def __init__(self) -> None:
        self.names: Set[str] = set()


_told = _Told()


def warn_deprecated(name: str, instead: str) -> None:
    """Warns at the line of the caller's code that used a name.

    Args:
        name: as users write it, e.g. ``Estimator``.
        instead: what Azure advises to use.
    """
    if name in _told.names:
        return
    _told.names.add(name)
    text = "{!r} is deprecated in Azure's SDK: use {} instead. LocalAML keeps it.".format(name, instead)
    warnings.warn(text, PendingDeprecationWarning, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """How far above `warn_deprecated` the first line outside of this package is."""
    level, frame = 2, sys._getframe(2)
    while frame.f_back is not None and os.path.abspath(frame.f_code.co_filename).startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
