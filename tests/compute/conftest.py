from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.compute.machine import MACHINES, Machine


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
async def machine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Machine]:
    """A runtime with two nodes; afterwards nothing of it may be left on the machine."""
    if request.param == "docker":
        request.getfixturevalue("host_filesystem_image")
    machine = MACHINES[request.param](tmp_path / "state", visible=[tmp_path])
    await machine.start()
    yield machine
    left = machine.left_behind()
    await machine.runtime.end_leftovers(frozenset())
    await machine.runtime.close()
    assert not left
    assert not machine.left_on_the_engine()
