"""Sizes in bytes as Docker writes them. Pure.

Source: `units.RAMInBytes` of docker/go-units, which reads `--shm-size` and `--memory`: a number, optionally with a
fraction, and a unit by powers of 1024.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_MAX_BYTES = 2**63 - 1


def parse_size(text: str) -> int | None:
    """Bytes of ``512m``, ``2g``, ``1.5GiB`` or ``1024``; None when it is no size that the engine takes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or len(match[1]) > 32:
        return None
    size = int(float(match[1]) * 1024 ** _POWERS[(match[2] or "").lower()])
    return size if size <= _MAX_BYTES else None
