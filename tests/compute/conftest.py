from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.compute.machine import Machine


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """A runtime with two nodes; afterwards nothing of it may be left on the machine."""
    machine = Machine(tmp_path / "state")
    await machine.runtime.start()
    yield machine
    left = machine.left_behind()
    await machine.runtime.end_leftovers(frozenset())
    await machine.runtime.close()
    assert not left
