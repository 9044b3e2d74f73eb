"""Fixtures that several rooms use: a real emulator in a process of its own, and workspaces in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.support.emulator_process import EmulatorProcess

if TYPE_CHECKING:
    from azureml.core import Workspace

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator with its own state dir, on free ports; one for all tests of the session that do not kill theirs."""
    folder = tmp_path_factory.mktemp("emulator")
    with EmulatorProcess(folder / "state", folder / "cache") as running:
        yield running


@pytest.fixture
def connected(emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> EmulatorProcess:
    """The session's emulator, with the SDK of this process pointed to it."""
    for name in ("LOCALAML_ENDPOINT", "LOCALAML_GRPC_ENDPOINT", "LOCALAML_TOKEN", "LOCALAML_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AZUREML_RUN_TOKEN", raising=False)
    monkeypatch.setenv("LOCALAML_STATE_DIR", str(emulator.state_dir))
    return emulator


@pytest.fixture
def workspace(connected: EmulatorProcess) -> Iterator[Workspace]:
    """A workspace of this test's own."""
    from azureml.core import Workspace

    made = Workspace.create(
        f"ws-{next(_numbers)}", subscription_id="tests", resource_group="group", location="local", show_output=False
    )
    yield made
    made.delete()
