"""Tags and properties whose value is None.

Maps of the protocol hold text alone: None travels, and is stored, as a text that nobody writes.
"""

from __future__ import annotations

from collections.abc import Mapping

NO_VALUE = "\0"


def shown_labels(labels: Mapping[str, str]) -> str:
    """Labels for people: `a=1, b`; one without a value is its name alone."""
    return ", ".join(key if value in ("", NO_VALUE) else f"{key}={value}" for key, value in sorted(labels.items()))
