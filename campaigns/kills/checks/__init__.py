"""What is compared at the end. Each check returns findings: sentences that say what is wrong, and where to look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that may not be.

    Attributes:
        kind: ``lost``, ``wrong``, ``stuck``, ``orphan``, ``leftover``, ``damaged`` or ``unexpected``.
    """

    kind: str
    text: str
