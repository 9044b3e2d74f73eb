"""What goes wrong with containers gives the right state, a clear error, and leaves nothing: the fixture looks."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_containers import Scene, _finish, scene
from tests.support.docker_images import debian_image, host_filesystem_image
from tests.support.emulator_process import EmulatorProcess
from tests.support.waiting import wait_until

__all__ = ["debian_image", "host_filesystem_image", "scene"]
pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

# Two ranks on two nodes that talk to each other for ever.
TALK = """
import time
from azureml.core import Run
from mpi4py import MPI
world = MPI.COMM_WORLD
world.barrier()
if world.rank == 0:
    Run.get_context().log("waiting", 1)
while True:
    world.allreduce(1)
    time.sleep(0.05)
"""
EAT = """
import sys
blocks = []
print("eating", flush=True)
while True:
    blocks.append(bytearray(b"x" * 2**24))
"""
FILL = """
with open("outputs/large.bin", "wb") as file:
    while True:
        file.write(b"x" * 2**20)
"""
FOREIGN = """
import os
for folder in ("outputs", "logs"):
    path = os.path.join(folder, "foreign.txt")
    with open(path, "w") as file:
        file.write("mine\\n")
    os.chmod(path, 0o600)
    os.chown(path, 12345, 12345)
os.mkdir("outputs/closed")
with open("outputs/closed/inner.txt", "w") as file:
    file.write("inner\\n")
os.chmod("outputs/closed", 0o700)
os.chown("outputs/closed", 12345, 12345)
"""


def _error(details: dict[str, Any]) -> tuple[str, str]:
    error = details["error"]["error"]
    return error["code"], error["message"]


def _write(scene: Scene, name: str, text: str) -> str:
    (scene.source / name).write_text(text)
    return name


def test_a_node_that_is_cut_off_the_network_fails_its_run_soon(scene: Scene) -> None:
    run = scene.submit(_write(scene, "talk.py", TALK), node_count=2, distributed_backend="mpi")
    scene.at_the_gate(run)
    [network] = scene.networks()
    second = next(each for each in scene.containers() if each.attrs["Config"]["Hostname"] == "cpu-1")
    began = time.monotonic()
    network.disconnect(second)
    details = _finish(run, scene, "Failed")
    assert time.monotonic() - began < 15
    code, message = _error(details)
    assert code == "NODE_LOST" and second.labels["localaml.node"] in message and "network" in message


def test_a_node_that_is_paused_from_outside_fails_its_run(scene: Scene) -> None:
    run = scene.submit("gate.py", scene.workspace.get_default_datastore().path("x").as_mount())
    scene.at_the_gate(run)
    [container] = scene.containers()
    container.pause()
    code, message = _error(_finish(run, scene, "Failed"))
    assert code == "NODE_LOST" and "paused" in message


def test_a_job_without_memory_left_is_told_as_such(scene: Scene) -> None:
    from azureml.core import Experiment, RunConfiguration, ScriptRunConfig
    from azureml.core.runconfig import DockerConfiguration

    configuration = RunConfiguration()
    configuration.target = scene.target.name
    configuration.docker = DockerConfiguration(use_docker=True, arguments=["--memory=128m"])
    config = ScriptRunConfig(str(scene.source), _write(scene, "eat.py", EAT), run_config=configuration)
    run = Experiment(scene.workspace, "e").submit(config)
    code, message = _error(_finish(run, scene, "Failed"))
    assert code == "OUT_OF_MEMORY" and "cpu-0" in message and "0.1 GiB" in message
    run.download_file("azureml-logs/80_driver_log.txt", str(scene.source / "log.txt"))
    assert "eating" in (scene.source / "log.txt").read_text()


def test_files_of_another_user_are_collected(scene: Scene) -> None:
    run = scene.submit(_write(scene, "foreign.py", FOREIGN))
    details = _finish(run, scene)
    assert not details.get("warnings")
    for name, text in (
        ("outputs/foreign.txt", "mine\n"),
        ("logs/foreign.txt", "mine\n"),
        ("outputs/closed/inner.txt", "inner\n"),
    ):
        run.download_file(name, str(scene.source / "got.txt"))
        assert (scene.source / "got.txt").read_text() == text


def test_an_image_without_python_fails_its_run_in_preparing(scene: Scene) -> None:
    import io
    import tarfile

    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("etc/nothing"), io.BytesIO())
    scene.engine.api.import_image_from_data(empty.getvalue(), repository="localaml-tests/no-python", tag="1")
    try:
        run = scene.submit("facts.py", custom_docker_image="localaml-tests/no-python:1", user_managed=True)
        code, message = _error(_finish(run, scene, "Failed"))
        assert code == "IMAGE_WITHOUT_PYTHON" and "localaml-tests/no-python:1" in message
        assert "azureml-logs/80_driver_log.txt" not in run.get_file_names()
    finally:
        scene.engine.images.remove("localaml-tests/no-python:1", force=True)


def test_a_job_that_fills_the_disk_of_its_run(
    tmp_path: Path, cache_dir: Path, docker_engine: Any, host_filesystem_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state dir is a real file system of 48 MiB."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    (tmp_path / "source").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(small)], check=True)
    try:
        emulator = EmulatorProcess(
            small / "state", cache_dir, compute="docker", docker={"base_image": host_filesystem_image}
        )
        scene = Scene(emulator, docker_engine, tmp_path / "source")
        with emulator:
            for name, value in emulator.variables().items():
                monkeypatch.setenv(name, value)
            scene.connect()
            run = scene.submit(_write(scene, "fill.py", FILL))
            details = _finish(run, scene, "Failed")
            assert "disk full" in details["error"]["error"]["message"]
            # And it goes on: the run's folder went with the run.
            _finish(scene.submit(_write(scene, "ok.py", "print('ok')")), scene)
            scene.workspace.delete()
            assert not scene.containers() and not scene.networks()
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.fixture
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    """An engine that can be stopped: beside the machine's own, in namespaces of its own."""
    if os.getuid() != 0:
        pytest.skip("starting an engine needs root")
    # The address of a unix socket is short.
    engine = OwnEngine(tmp_path_factory.mktemp("engine"))
    engine.start()
    yield engine
    engine.stop()


class OwnEngine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/d.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = f"--host {self.host} --data-root {self.folder}/data --exec-root {self.folder}/exec"
        script = f"ip link set lo up; exec dockerd {options} --pidfile {self.folder}/pid >>{self.folder}/log 2>&1"
        self._process = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", script], stdin=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(self._answers, 60, "the engine to answer", (self.folder / "log").read_text)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    @property
    def client(self) -> Any:
        import docker

        return docker.DockerClient(base_url=self.host)

    def _answers(self) -> bool:
        import docker

        try:
            client = self.client
        except docker.errors.DockerException:
            return False
        with contextlib.closing(client):
            return bool(client.ping())


def test_an_engine_that_is_stopped_and_started_again(
    own_engine: OwnEngine, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from localaml.images.skeleton import build_skeleton

    with contextlib.closing(own_engine.client) as client:
        build_skeleton(client, ["localaml/host-filesystem:latest"])
        (tmp_path / "source").mkdir()
        docker = {"base_image": "localaml/host-filesystem:latest", "host": own_engine.host}
        emulator = EmulatorProcess(tmp_path / "state", cache_dir, compute="docker", docker=docker)
        scene = Scene(emulator, client, tmp_path / "source")
        with emulator:
            for name, value in emulator.variables().items():
                monkeypatch.setenv(name, value)
            scene.connect()
            gate = scene.workspace.get_default_datastore().path("gate").as_mount()
            run = scene.submit("gate.py", gate)
            scene.at_the_gate(run)
            own_engine.stop()
            code, message = _error(_finish(run, scene, "Failed"))
            assert code == "NODE_LOST", message
            # Submitted while there is no engine: it waits for one, and the cluster says why.
            waiting = scene.submit("gate.py", gate)

            def told() -> bool:
                errors = scene.target.get_status().errors or []
                return any("Docker engine" in str(error) for error in errors)

            wait_until(told, 60, "the cluster to say what is wrong", scene.emulator.log)
            assert waiting.get_status() in ("Queued", "Preparing", "Starting")
            (scene.datastore / "gate" / "go").touch()
            own_engine.start()
            _finish(waiting, scene)
            scene.workspace.delete()
            assert not scene.containers() and not scene.networks()


WHO = """
import os, sys
print("user", os.getuid(), os.getgid())
for folder in ("outputs", sys.argv[2]):
    path = os.path.join(folder, "mine.txt")
    with open(path, "w") as file:
        file.write("mine")
    os.chmod(path, 0o600)
"""


def test_jobs_of_a_user_of_their_own(
    tmp_path: Path, cache_dir: Path, docker_engine: Any, debian_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").mkdir()
    docker = {"base_image": debian_image, "user": "12345:23456"}
    emulator = EmulatorProcess(tmp_path / "state", cache_dir, compute="docker", docker=docker)
    scene = Scene(emulator, docker_engine, tmp_path / "source")
    with emulator:
        for name, value in emulator.variables().items():
            monkeypatch.setenv(name, value)
        scene.connect()
        mount = scene.workspace.get_default_datastore().path("m").as_mount()
        run = scene.submit(_write(scene, "who.py", WHO), mount)
        _finish(run, scene)
        run.download_file("azureml-logs/80_driver_log.txt", str(tmp_path / "log.txt"))
        assert (tmp_path / "log.txt").read_text() == "user 12345 23456\n"
        run.download_file("outputs/mine.txt", str(tmp_path / "got.txt"))
        assert (tmp_path / "got.txt").read_text() == (scene.datastore / "m" / "mine.txt").read_text() == "mine"
        scene.workspace.delete()
        assert not scene.containers() and not scene.networks()
