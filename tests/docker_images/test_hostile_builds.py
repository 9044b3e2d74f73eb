"""Packages whose build looks around: programs of packages run when they are built, and any job can name one."""

from __future__ import annotations

import functools
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docker_images.test_container_environments import Bench

from localaml.clock import RealClock
from localaml.compute.docker.engine import Engine
from localaml.compute.docker.images import Images
from localaml.jobs.environments.builder import UvEnvironmentBuilder
from localaml.jobs.environments.container_builder import ContainerEnvironments
from localaml.jobs.environments.routed import RoutedEnvironments
from localaml.settings import DockerSettings, EnvironmentSettings

pytestmark = pytest.mark.docker
SECRET = "not-for-packages-77d1"

_BACKEND = """
import os, socket, zipfile
PATHS, PORTS, SECRET, PLANTED = {paths!r}, {ports!r}, {secret!r}, {planted!r}
def look():
    found = []
    for path in PATHS:
        try:
            inside = os.listdir(path) if os.path.isdir(path) else [open(path).read()]
            found.append("path " + path + " " + ",".join(inside))
        except OSError:
            pass
    for name, value in os.environ.items():
        if SECRET in value:
            found.append("variable " + name)
    for port in PORTS:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            found.append("port " + str(port))
        except OSError:
            pass
    try:
        # In the container's own files it may do so.
        os.makedirs(PLANTED)
    except OSError:
        pass
    return found
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "nosy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("nosy.py", "found = " + repr(look()) + "\\n")
        wheel.writestr("nosy-1.0.dist-info/METADATA", "Metadata-Version: 2.2\\nName: nosy\\nVersion: 1.0\\n")
        wheel.writestr("nosy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("nosy-1.0.dist-info/RECORD", "nosy.py,,\\n")
    return name
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class Scene:
    """A state dir with keys, servers on the loopback address, an owner with credentials, and a package that is nosy."""

    def __init__(self, bench: Bench, folder: Path, engine: Engine, index: int, other: int) -> None:
        self.bench, self._engine, self.index, self.other = bench, engine, index, other
        state, home = folder / "state", folder / "home"
        for place in (state, home):
            place.mkdir()
        files = [state / "token", state / "signing.key", state / "metadata.sqlite3", home / ".netrc"]
        others = bench.cache / "environments" / "of-others"
        others.mkdir(parents=True)
        files.append(others / "module.py")
        self.planted = bench.cache / "environments" / "planted"
        for path in files:
            path.write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
        paths = [str(path) for path in (*files, state, home, others, Path("/var/run/docker.sock"))]
        backend = _BACKEND.format(paths=paths, ports=[index, other], secret=SECRET, planted=str(self.planted))
        project = (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "nosy"\nversion = "1.0"\n'
        )
        metadata = "Metadata-Version: 2.2\nName: nosy\nVersion: 1.0\n"
        with tarfile.open(bench.wheels / "nosy-1.0.tar.gz", "w:gz") as archive:
            for name, text in (("PKG-INFO", metadata), ("pyproject.toml", project), ("backend.py", backend)):
                entry = tarfile.TarInfo(f"nosy-1.0/{name}")
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))
        bench.environ |= {
            "HOME": str(home),
            "LOCALAML_TOKEN": SECRET,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "UV_INDEX_MINE_PASSWORD": SECRET,
        }

    async def found(self, network: str) -> list[str]:
        """What the package found when it was built."""
        bench = self.bench
        settings = DockerSettings(base_image=bench.image, build_network=network)
        images = Images(self._engine, settings, bench.cache, environ=bench.environ)
        told = EnvironmentSettings()
        environments = RoutedEnvironments(
            lambda: UvEnvironmentBuilder(bench.cache, told, RealClock(), environ=bench.environ),
            lambda host: ContainerEnvironments(images, host, told, environ=bench.environ),
        )
        environment = await bench.prepare("nosy", by=environments)
        return list(json.loads(await bench.python(environment, "import json, nosy; print(json.dumps(nosy.found))")))


@pytest.fixture
def scene(engine: Engine, tmp_path: Path, debian_image: str) -> Iterator[Scene]:
    bench = Bench(engine, tmp_path, debian_image)
    handler = functools.partial(_Quiet, directory=str(bench.wheels))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as index,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other,
    ):
        threads = [threading.Thread(target=each.serve_forever, args=(0.01,)) for each in (index, other)]
        for thread in threads:
            thread.start()
        yield Scene(bench, tmp_path, engine, index.server_address[1], other.server_address[1])
        for each in (index, other):
            each.shutdown()
        for thread in threads:
            thread.join()


async def test_a_package_that_is_built_finds_nothing_of_this_machine(scene: Scene) -> None:
    assert await scene.found("bridge") == []
    assert not scene.planted.exists()


async def test_what_the_owner_names_on_this_machine_is_reached_and_nothing_beside_it(scene: Scene) -> None:
    scene.bench.environ["PIP_FIND_LINKS"] = f"http://127.0.0.1:{scene.index}/"
    assert await scene.found("bridge") == [f"port {scene.index}"]
    assert list(scene.bench.cache.glob("tmp/*")) == [], "the way is closed again"


async def test_with_this_machine_s_own_network_it_would_reach_all(scene: Scene) -> None:
    assert await scene.found("host") == [f"port {scene.index}", f"port {scene.other}"]


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()
