"""What a check of `localaml doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Result(Enum):
    OK = "ok"
    # Works, with a limitation that the text names.
    NOTE = "note"
    # LocalAML cannot do its work.
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    result: Result
    text: str
