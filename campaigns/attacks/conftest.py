"""Emulators to attack, one for all tests of the session that change only what is their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import _engine_where_marked, docker_engine
from tests.support.docker_images import host_filesystem_image
from tests.support.emulator_process import EmulatorProcess

from campaigns.attacks.scene import Scene

__all__ = ["_engine_where_marked", "docker_engine", "host_filesystem_image"]  # fixtures


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments of jobs, made once per session."""
    return tmp_path_factory.mktemp("attacks-cache")


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Scene]:
    """An emulator whose nodes are processes."""
    with EmulatorProcess(tmp_path_factory.mktemp("attacked") / "state", cache_dir) as running:
        yield Scene(running).make()


@pytest.fixture(scope="session")
def other_scene(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Scene]:
    """Somebody else's emulator: of the same names, with keys of its own. Its time passes when it is told to."""
    folder = tmp_path_factory.mktemp("elsewhere") / "state"
    with EmulatorProcess(folder, cache_dir, clock="virtual") as running:
        yield Scene(running).make()
