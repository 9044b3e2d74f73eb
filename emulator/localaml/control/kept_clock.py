"""The clock that an emulator's settings ask for. Its time is kept in the state dir: after a restart it goes on."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from localaml.clock import Clock, RealClock
from localaml.control.clock import ScaledClock, VirtualClock
from localaml.errors import InvalidArgument
from localaml.settings import Settings


def make_clock(settings: Settings, path: Path, machine: Clock | None = None) -> Clock:
    """The clock for an emulator.

    Args:
        path: file in the state dir in which a virtual or scaled clock's time is kept.
        machine: where machine time comes from.

    Raises:
        InvalidArgument: ``CLOCK_INVALID``: no such kind of clock, or a scale or a start that cannot be.
    """
    machine = machine or RealClock()
    if settings.clock == "real":
        path.unlink(missing_ok=True)
        return machine
    if settings.clock == "virtual":
        clock = VirtualClock(_start(settings, path, machine), lambda now: _keep(path, now, machine.now(), 0.0))
    elif settings.clock == "scaled":
        if not 0.001 <= settings.clock_scale <= 1e6:
            raise InvalidArgument(
                "CLOCK_INVALID", f"clock_scale must be between 0.001 and 1,000,000, not {settings.clock_scale!r}."
            )
        scaled = ScaledClock(_start(settings, path, machine), settings.clock_scale, machine)
        _keep(path, scaled.now(), machine.now(), settings.clock_scale)
        return scaled
    else:
        raise InvalidArgument(
            "CLOCK_INVALID", f"There is no clock {settings.clock!r}; there are 'real', 'virtual' and 'scaled'."
        )
    _keep(path, clock.now(), machine.now(), 0.0)
    return clock


def _start(settings: Settings, path: Path, machine: Clock) -> datetime:
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text("utf-8"))
        # While no emulator ran, a scaled clock went on, and a virtual one (scale 0) did not.
        gone = max(0.0, (machine.now() - datetime.fromisoformat(kept["machine"])).total_seconds())
        return datetime.fromisoformat(kept["service"]) + timedelta(seconds=gone * kept["scale"])
    if settings.clock_start is None:
        return machine.now()
    try:
        start = datetime.fromisoformat(settings.clock_start.replace("Z", "+00:00"))
    except ValueError:
        raise InvalidArgument(
            "CLOCK_INVALID",
            f"clock_start must be an ISO date or time such as 2026-01-31T12:00:00Z, not {settings.clock_start!r}.",
        ) from None
    return start if start.tzinfo is not None else start.replace(tzinfo=timezone.utc)


def _keep(path: Path, service: datetime, machine: datetime, scale: float) -> None:
    # It has to survive the death of the process, not of the machine: no fsync, so that advancing stays quick.
    text = json.dumps({"service": service.isoformat(), "machine": machine.isoformat(), "scale": scale})
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)
