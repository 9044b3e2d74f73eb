from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.services.harness import Emulated, emulated


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulated]:
    """Servicers with one workspace."""
    async with emulated(tmp_path) as running:
        yield running
