"""For tests of code that uses Azure ML: an emulator to test against, its time, and assertions on runs.

    with localaml.testing.emulator(clock="virtual") as emulator:
        ...  # Workspace.create(...), as always
        emulator.clock.advance(minutes=31)

With pytest it needs no code: the fixtures `workspace`, `amlcompute`, `clock`, `faults` and `localaml_emulator` are
there (`localaml.testing.plugin`). docs/testing.md tells all of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localaml.testing.assertions import (
        assert_artifacts,
        assert_completed,
        assert_log_contains,
        assert_metrics,
        outcome,
        wait_for_state,
    )
    from localaml.testing.call_counts import count_calls
    from localaml.testing.emulators import Emulator, OwnEmulator, emulator
    from localaml.testing.faults import Fault, Faults
    from localaml.testing.time import EmulatorClock

# Loaded when asked for: the plugin is in every pytest process, also in those that use nothing of it.
_HOMES = {
    "assert_artifacts": "assertions",
    "assert_completed": "assertions",
    "assert_log_contains": "assertions",
    "assert_metrics": "assertions",
    "outcome": "assertions",
    "wait_for_state": "assertions",
    "count_calls": "call_counts",
    "Emulator": "emulators",
    "OwnEmulator": "emulators",
    "emulator": "emulators",
    "EmulatorClock": "time",
    "Fault": "faults",
    "Faults": "faults",
}

__all__ = [
    "Emulator",
    "EmulatorClock",
    "Fault",
    "Faults",
    "OwnEmulator",
    "assert_artifacts",
    "assert_completed",
    "assert_log_contains",
    "assert_metrics",
    "count_calls",
    "emulator",
    "outcome",
    "wait_for_state",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
