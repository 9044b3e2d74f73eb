"""When a run is given up whose preparation ends the emulator. Pure.

A preparation that uses up all memory, or holds the emulator up until somebody kills it, would be begun again by each
start. So the beginnings are counted where a kill cannot take the count away; an end of any kind, and an orderly stop of
the emulator, sets it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaml.domain.models import ErrorInfo

_BEGUN = "preparations_begun"
_MOST = 2


def unfinished(execution: Mapping[str, Any]) -> int:
    """How many preparations of a run were begun that came to no end: in each of them the emulator was killed."""
    begun = execution.get(_BEGUN, 0)
    return begun if isinstance(begun, int) else 0


def begin(execution: Mapping[str, Any]) -> dict[str, Any]:
    """What is noted of a run before it is prepared."""
    return {**execution, _BEGUN: unfinished(execution) + 1}


def end(execution: Mapping[str, Any]) -> dict[str, Any]:
    """What is noted of a run whose preparation has come to an end."""
    return {name: value for name, value in execution.items() if name != _BEGUN}


def reason_to_give_up(execution: Mapping[str, Any]) -> ErrorInfo | None:
    """Why a run is not prepared once more; None when it is."""
    count = unfinished(execution)
    if count < _MOST:
        return None
    return ErrorInfo(
        "PREPARATION_KILLS_EMULATOR",
        f"The emulator was killed {count} times while it prepared this run's environment, so it is not tried again: "
        "either the preparation needs more memory than there is, or it held the emulator up until somebody ended it. "
        "Ask for fewer or smaller packages, and submit again; the emulator's log tells what was going on.",
        {"preparations": str(count)},
    )
