"""Faults of emulators that live in this process, one after the other on one clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from tests.support.fake_runtime import FakeEnvironments, FakeRuntime

from localaml.control.clock import VirtualClock
from localaml.domain.faults import FaultKind, FaultRule, FaultTarget, FaultWhen
from localaml.server import Emulator
from localaml.settings import Settings
from localaml.store import Store

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def stored(settings: Settings) -> list[bool]:
    store = Store.open(settings.state_dir / "metadata.sqlite3")
    try:
        return [fault.has_begun for fault in store.faults.list()]
    finally:
        store.close()


async def test_what_is_to_begin_later_begins_with_the_next_emulator(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    settings = Settings(tmp_path / "state", tmp_path / "cache")

    def emulator() -> Emulator:
        return Emulator(settings, clock=clock, runtime=FakeRuntime(), environments=FakeEnvironments())

    async with emulator() as first:
        later = FaultWhen(count=1, not_before=START + timedelta(seconds=100))
        first.orchestrator._tools.hooks.add(  # type: ignore[attr-defined]  # they are the faults
            FaultRule("", FaultKind.NODE_LOST, FaultTarget(cluster="cpu"), later)
        )
    assert stored(settings) == [False]
    await clock.advance(200)
    assert stored(settings) == [False], "nobody is there to begin it"
    async with emulator():
        pass
    assert stored(settings) == [True]
