"""Nothing is lost whatever system call the emulator is killed before."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.kill_points import run_scenario

_MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a file system: the order of the calls is looked at, not the medium."""
    made = Path(tempfile.mkdtemp(prefix="localaml-test-", dir=_MEMORY if _MEMORY.is_dir() else tmp_path))
    yield made
    shutil.rmtree(made)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("scenario", "least"), [("finalizing", 40), ("eviction", 15), ("loading", 60)])
def test_a_kill_before_any_system_call_loses_nothing(folder: Path, scenario: str, least: int) -> None:
    # Fewer kills than that: the calls are not seen any more, and nothing is tested.
    assert run_scenario(Path(__file__).with_name(f"{scenario}.py"), folder) >= least
