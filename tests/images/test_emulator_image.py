"""The image of the emulator itself: built of the checkout, started as docker-compose.yml does, used from outside."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def emulator_image(
    docker_engine: DockerClient, debian_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The image, on top of the local base image: no registry is needed."""
    context = tmp_path_factory.mktemp("context")
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, context / name)
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if bundle:
        shutil.copy(bundle, context / "ca-bundle.pem")
    tag = f"localaml/test-emulator:{uuid.uuid4().hex[:12]}"
    image, _lines = docker_engine.images.build(
        path=str(context), tag=tag, buildargs={"BASE": debian_image}, rm=True, forcerm=True
    )
    yield tag
    docker_engine.images.remove(str(image.id), force=True)
    # The stage in which it was installed: the engine keeps it, without a name, for the next build.
    docker_engine.images.prune(filters={"label": "localaml.emulator-installation"})


@pytest.fixture
def running(docker_engine: DockerClient, emulator_image: str) -> Iterator[Container]:
    """A container of it, with the limits of docker-compose.yml, on ports that are free."""
    grpc_port, http_port = _free_port(), _free_port()
    container = docker_engine.containers.run(
        emulator_image,
        detach=True,
        init=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        pids_limit=4096,
        environment={"LOCALAML_PORT": str(grpc_port), "LOCALAML_HTTP_PORT": str(http_port)},
        ports={f"{port}/tcp": ("127.0.0.1", port) for port in (grpc_port, http_port)},
        healthcheck={"interval": 500_000_000},
    )
    try:
        _wait_until_healthy(container)
        yield container
    finally:
        container.remove(force=True, v=True)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def _wait_until_healthy(container: Container) -> None:
    def is_healthy() -> bool:
        container.reload()
        assert container.status == "running", container.logs().decode()
        return bool(container.attrs["State"].get("Health", {}).get("Status") == "healthy")

    wait_until(is_healthy, 60, "the health check", lambda: container.logs().decode())


def _connect(container: Container, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The SDK of this process, pointed to the container as docs/docker.md says."""
    from azureml.core import Workspace

    token = container.exec_run(["cat", "/var/lib/localaml/state/token"]).output.decode().strip()
    variables = dict(entry.split("=", 1) for entry in container.attrs["Config"]["Env"])
    for name in ("LOCALAML_STATE_DIR", "LOCALAML_GRPC_ENDPOINT", "LOCALAML_TOKEN_FILE", "AZUREML_RUN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOCALAML_ENDPOINT", f"http://127.0.0.1:{variables['LOCALAML_HTTP_PORT']}")
    monkeypatch.setenv("LOCALAML_TOKEN", token)
    return Workspace.create("demo", subscription_id="s", resource_group="g", exist_ok=True, show_output=False)


def test_a_run_completes_in_it_and_is_there_after_a_kill(
    running: Container, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from azureml.core import Experiment, ScriptRunConfig

    (tmp_path / "source").mkdir()
    (tmp_path / "source/train.py").write_text(
        "import os\n"
        "from azureml.core import Run\n"
        "Run.get_context().log('user', os.getuid())\n"
        "os.makedirs('outputs', exist_ok=True)\n"
        "open('outputs/model.txt', 'w').write('trained')\n"
    )
    workspace = _connect(running, monkeypatch)
    run = Experiment(workspace, "demo").submit(
        ScriptRunConfig(source_directory=str(tmp_path / "source"), script="train.py", compute_target="local")
    )
    run.wait_for_completion()
    assert run.get_metrics() == {"user": 1000}

    running.kill()
    # The same process ids again, and the state folder of an emulator that did not stop in order.
    running.start()
    _wait_until_healthy(running)
    run.download_file("outputs/model.txt", str(tmp_path / "model.txt"))
    assert (tmp_path / "model.txt").read_text() == "trained"


def test_it_stops_in_order(running: Container) -> None:
    running.stop(timeout=30)
    running.reload()
    assert running.attrs["State"]["ExitCode"] == 0


def test_nothing_of_the_build_is_in_it(running: Container) -> None:
    code, said = running.exec_run(["sh", "-c", "ls /source /tmp/ca.pem; id -u; localaml --version"])
    assert code == 0
    assert "1000" in said.decode().split() and b"localaml 0" in said
    assert b"pyproject" not in said and b"ca-bundle" not in said
