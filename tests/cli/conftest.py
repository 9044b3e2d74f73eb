"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.command_line import CommandLine


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line with a home of its own; what it started is stopped at the end."""
    home = tmp_path / "home"
    home.mkdir()
    command_line = CommandLine(home)
    yield command_line
    if (command_line.state_dir / "endpoint.json").exists():
        command_line.succeed("stop", "--cancel-runs")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line beside an emulator that the tests of a module share."""
    command_line = CommandLine(tmp_path_factory.mktemp("shared"))
    command_line.succeed("start", "-d")
    command_line.succeed("init")
    yield command_line
    command_line.succeed("stop", "--cancel-runs")
