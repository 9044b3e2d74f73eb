"""Fixtures that several rooms use: a real emulator in a process of its own, and workspaces in it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.support.docker_images import debian_image, host_filesystem_image
from tests.support.emulator_process import EmulatorProcess

if TYPE_CHECKING:
    from docker import DockerClient

    from azureml.core import Workspace

__all__ = ["debian_image", "host_filesystem_image"]  # fixtures

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator with its own state dir, on free ports; one for all tests of the session that do not kill theirs."""
    folder = tmp_path_factory.mktemp("emulator")
    # Packages of tests lie in their own folders, and their files of the web on this machine.
    allowed = {"allowed_package_folders": [str(tmp_path_factory.getbasetemp())]}
    with EmulatorProcess(
        folder / "state", folder / "cache", environments=allowed, allowed_web_hosts=["127.0.0.1"]
    ) as running:
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


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerClient]:
    """A client of the Docker engine of this machine. Without an engine the test is skipped with the reason, or fails
    where LOCALAML_TEST_DOCKER=required."""
    import docker

    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        if os.environ.get("LOCALAML_TEST_DOCKER") == "required":
            pytest.fail(f"no Docker engine answers, and LOCALAML_TEST_DOCKER=required: {error}")
        pytest.skip(f"no Docker engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _engine_where_marked(request: pytest.FixtureRequest) -> None:
    """What is marked with `docker` needs the engine, whether it asks for its client or not."""
    if request.node.get_closest_marker("docker") is not None:
        request.getfixturevalue("docker_engine")
