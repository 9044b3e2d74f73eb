"""Assertions on runs. Each fails with the run's story: its states and their causes, its error, the ends of its logs."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from localaml.testing.stories import driver_logs, tail, told

if TYPE_CHECKING:
    from azureml.core import Run

_LOOK_SECONDS = 0.02
_TERMINAL = ("Completed", "Failed", "Canceled")


def wait_for_state(run: Run, state: str, timeout: float = 60.0, *, count: int = 1) -> str:
    """Waits until a run has come to a state; returns the state that it is in then.

    A state that the run has left already counts: nobody can be sure to see one that lasts a few milliseconds.

    Args:
        state: as Azure spells it: ``Queued``, ``Running``, ``Completed``, ...
        timeout: real seconds, also under a virtual clock.
        count: how often the run must have come to it: 2 for the second ``Running`` of a run that was queued again.

    Raises:
        AssertionError: it took longer, or the run has ended without; with the run's story.
        ValueError: there is no such state.
    """
    __tracebackhide__ = True
    from azureml._run_impl.states import ALL

    if state not in ALL:
        raise ValueError(f"There is no state {state!r} of runs; there are {', '.join(sorted(ALL))}.")
    return _wait(run, state, count, timeout)


def assert_completed(run: Run, timeout: float = 120.0) -> None:
    """Waits for a run's end, which must be ``Completed``.

    Raises:
        AssertionError: it was another one, or did not come within `timeout` real seconds; with the run's story.
    """
    __tracebackhide__ = True
    state = _wait(run, None, 1, timeout)
    if state != "Completed":
        raise AssertionError(f"The run is {state}, not Completed.\n{told(run)}")


def assert_metrics(run: Run, expected: Mapping[str, Any], approx: float | None = None) -> None:
    """A run has these metrics (and perhaps others), with values as `run.get_metrics()` returns them.

    Args:
        approx: relative difference that numbers may have, also inside lists and tables (and the absolute difference
            from an expected 0); None: they must be equal. In `expected`, `pytest.approx(...)` does as well.

    Raises:
        AssertionError: names each metric that is missing or different.
    """
    __tracebackhide__ = True
    found = run.get_metrics()
    wrong = [
        f"  {name}: expected {value!r}, " + (f"found {found[name]!r}" if name in found else "not logged")
        for name, value in expected.items()
        if name not in found or not _equal(found[name], value, approx)
    ]
    if wrong:
        others = f"\nAll metrics: {', '.join(sorted(found)) or 'none'}"
        raise AssertionError("Metrics of the run differ:\n" + "\n".join(wrong) + others + f"\n{told(run)}")


def assert_artifacts(run: Run, *patterns: str, exactly: bool = False) -> None:
    """For each pattern (``outputs/model.pkl``, ``outputs/*.json``; ``*`` also stands for ``/``) a run has a file.

    Args:
        exactly: it has no other files than those that match, the emulator's own logs (``azureml-logs/``) aside.

    Raises:
        AssertionError: names the patterns without a file, and the files without a pattern.
    """
    __tracebackhide__ = True
    names = run.get_file_names()
    missing = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]
    own = [name for name in names if not name.startswith("azureml-logs/")]
    further = [name for name in own if not any(fnmatchcase(name, pattern) for pattern in patterns)] if exactly else []
    if missing or further:
        raise AssertionError(
            f"Files of the run: nothing matches {missing}, unexpected are {further}. It has {names}.\n{told(run)}"
        )


def assert_log_contains(
    run: Run, text: str | re.Pattern[str], log: str = "*_driver_log*", *, timeout: float = 0.0
) -> None:
    """What a run's processes printed has a text in it.

    Args:
        text: a piece of it, or a compiled regular expression.
        log: pattern of the logs' names; any of them may have it.
        timeout: real seconds to wait for it.

    Raises:
        AssertionError: with the ends of the logs.
    """
    __tracebackhide__ = True
    pattern = re.compile(re.escape(text)) if isinstance(text, str) else text
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        has_ended = run.get_status() in _TERMINAL
        logs = _logs(run, log)
        if any(pattern.search(content) for content in logs.values()):
            return
        if has_ended or time.monotonic() >= deadline:
            break
        pause.wait(_LOOK_SECONDS)
    shown = "\n".join(f"--- {name}\n{tail(content)}" for name, content in sorted(logs.items()))
    wanted = text if isinstance(text, str) else text.pattern
    raise AssertionError(f"No log of the run has {wanted!r} in it ({len(logs)} log(s) match {log!r}).\n{shown}")


def outcome(run: Run) -> dict[str, Any]:
    """What is the same each time a run is repeated, as plain data: to compare with what another run did.

    Returns:
        ``states`` in their order; ``metrics``; ``artifacts``: names of files, sorted, without the emulator's own logs;
        ``exit``: the state at the end and the error's code (None for none). No ids, times or host names.
    """
    status = run.get_detailed_status()
    error = run.get_details().get("error")
    return {
        "states": [change["state"] for change in status["details"]],
        "metrics": run.get_metrics(),
        "artifacts": sorted(name for name in run.get_file_names() if not name.startswith("azureml-logs/")),
        "exit": {"state": status["status"], "error": error["error"]["code"] if error else None},
    }


def _logs(run: Run, pattern: str) -> dict[str, str]:
    return {
        name: content
        for name, content in run.get_details_with_logs()["logFiles"].items()
        if fnmatchcase(name, pattern) or fnmatchcase(name, f"azureml-logs/{pattern}")
    }


class _TimeIsUp(Exception):
    pass


def _wait(run: Run, state: str | None, count: int, timeout: float) -> str:
    """Follows a run until it has come to `state` so often (None: to its end)."""
    __tracebackhide__ = True
    from azureml._localaml.wire import enum_word
    from azureml._run_impl.log_stream import watch_run
    from azureml._run_impl.states import state_of

    expired = threading.Event()
    streams: list[Any] = []

    def note(stream: Any) -> None:
        streams.append(stream)
        if expired.is_set():
            stream.close()
            raise _TimeIsUp

    def end() -> None:
        expired.set()
        for stream in streams:
            stream.close()

    timer = threading.Timer(timeout, end)
    timer.daemon = True
    timer.start()
    current = "unknown"
    try:
        for record in watch_run(run._client, run._name, note):
            current = state_of(record)
            story = [enum_word(change, "state", "RUN_STATE_") for change in record.get("stateChanges") or ()]
            if state is not None and story.count(state) >= count:
                return current
            if current in _TERMINAL:
                if state is None:
                    return current
                times = f" {count} times" if count > 1 else ""
                raise AssertionError(f"The run has ended ({current}) without coming to {state}{times}.\n{told(run)}")
            if expired.is_set():
                break
    except _TimeIsUp:
        pass
    finally:
        timer.cancel()
    wanted = state or "its end"
    raise AssertionError(f"The run has not come to {wanted} within {timeout:g} seconds; it is {current}.\n{told(run)}")


def _equal(found: Any, expected: Any, approx: float | None) -> bool:
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return set(found) == set(expected) and all(_equal(found[key], expected[key], approx) for key in expected)
    if _is_list(expected) and _is_list(found):
        return len(found) == len(expected) and all(
            _equal(one, other, approx) for one, other in zip(found, expected, strict=True)
        )
    if approx is not None and _is_number(found) and _is_number(expected):
        return math.isclose(found, expected, rel_tol=approx, abs_tol=approx if expected == 0 else 0.0)
    return bool(found == expected)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


__all__ = [
    "assert_artifacts",
    "assert_completed",
    "assert_log_contains",
    "assert_metrics",
    "driver_logs",
    "outcome",
    "wait_for_state",
]
