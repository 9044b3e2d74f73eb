"""Environments for images, by a real engine and the real uv: each is tried in a container that sees what the plan says
and has no network."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.test_environments import make_slow_sdist, make_wheel
from tests.support.old_pythons import find_python
from tests.support.waiting import wait_until

from localaml.clock import RealClock
from localaml.compute.docker.engine import Engine
from localaml.compute.docker.helpers import Helper, Helpers
from localaml.compute.docker.images import Images
from localaml.domain.job import ContainerSpec, PythonEnvironmentSpec
from localaml.errors import FailedPrecondition, InvalidArgument, LocalAmlError
from localaml.jobs.environments.builder import UvEnvironmentBuilder
from localaml.jobs.environments.container_builder import ContainerEnvironments
from localaml.jobs.environments.contract import PreparedEnvironment
from localaml.jobs.environments.folder_lock import FolderLock
from localaml.jobs.environments.routed import RoutedEnvironments
from localaml.settings import DockerSettings, EnvironmentSettings

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker
PATIENCE = 60.0


class Bench:
    """A cache folder, and a folder of wheels that is the only index."""

    def __init__(self, engine: Engine, folder: Path, image: str) -> None:
        self.engine, self.image = engine, image
        self.cache, self.wheels = folder / "cache", folder / "wheels"
        self.log: list[str] = []
        make_wheel(self.wheels, "tiny", "1.0")
        make_wheel(self.wheels, "tiny", "2.0")
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
        self.environ |= {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}

    def environments(self, **settings: Any) -> RoutedEnvironments:
        images = Images(self.engine, DockerSettings(base_image=self.image), self.cache, environ=self.environ)
        told = EnvironmentSettings(**settings)
        return RoutedEnvironments(
            lambda: UvEnvironmentBuilder(self.cache, told, RealClock(), environ=self.environ),
            lambda host: ContainerEnvironments(images, host, told, environ=self.environ),
        )

    async def prepare(
        self, *dependencies: Any, mpi: bool = False, image: str = "", by: RoutedEnvironments | None = None
    ) -> PreparedEnvironment:
        spec = PythonEnvironmentSpec(conda_dependencies={"dependencies": list(dependencies)})
        return await self.prepare_spec(spec, mpi=mpi, image=image, by=by)

    async def prepare_spec(
        self, spec: PythonEnvironmentSpec, *, mpi: bool = False, image: str = "", by: RoutedEnvironments | None = None
    ) -> PreparedEnvironment:
        builder = by or self.environments()
        return await builder.prepare(spec, mpi=mpi, log=self.log.append, container=ContainerSpec(image))

    async def run(self, environment: PreparedEnvironment, *command: str) -> str:
        """What a command prints in a container of the plan."""
        plan = environment.container
        assert plan is not None
        parts: list[bytes] = []
        variables = {**plan.environment, **environment.variables}
        helper = Helper(plan.image, command, "test", plan.binds, variables)
        code = await Helpers(self.engine, self.cache).run(helper, parts.append)
        output = b"".join(parts).decode().strip()
        assert code == 0, output
        return output

    async def python(self, environment: PreparedEnvironment, code: str) -> str:
        return await self.run(environment, str(environment.python), "-c", code)

    def has_begun(self) -> bool:
        """Whether `slow` is being built."""
        return any((self.cache / "uv-images").glob("*/trace"))

    def made(self) -> list[Path]:
        return sorted((self.cache / "environments").glob("*"))


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


@pytest.fixture
def bench(engine: Engine, tmp_path: Path, debian_image: str) -> Bench:
    return Bench(engine, tmp_path, debian_image)


# -- mounted environments -------------------------------------------------------------------------------------------


async def test_packages_are_there_for_the_images_python(bench: Bench) -> None:
    environment = await bench.prepare("tiny=1")
    code = "import sys, tiny; print(tiny.version, sys.version_info[:2], sys.prefix, 'grpc' in sys.modules)"
    version, *rest = (await bench.python(environment, code)).split(" ", 1)
    assert version == "1.0" and environment.built
    assert rest == [f"{environment.python_version} {environment.bin_dir.parent} False"]
    assert any("tiny==1.0" in line for line in bench.log)
    # It can be read and not be changed from there.
    with pytest.raises(AssertionError, match="Read-only"):
        await bench.python(environment, f"open({str(environment.bin_dir / 'x')!r}, 'w')")


async def test_what_is_in_the_cache_needs_no_container(bench: Bench, docker_engine: DockerClient) -> None:
    first = await bench.prepare("tiny")
    bench.log.clear()
    ids = _created(docker_engine, bench.cache)
    second = await bench.prepare("tiny")
    assert (second.python, second.container, second.built) == (first.python, first.container, False)
    assert bench.log == [] and _created(docker_engine, bench.cache) == ids


async def test_environments_of_different_images_are_different_ones(
    bench: Bench, docker_engine: DockerClient, tag: str
) -> None:
    docker_engine.api.tag(bench.image, tag, "same")
    made = _derived(docker_engine, bench.image, f"{tag}:other")
    try:
        here = await bench.prepare("tiny")
        assert (await bench.prepare("tiny", image=f"{tag}:same")).python == here.python
        other = await bench.prepare("tiny", image=made)
        assert other.python != here.python
        assert await bench.python(other, "import tiny; print(tiny.version)") == "2.0"
    finally:
        for name in (f"{tag}:same", made):
            docker_engine.images.remove(name)


async def test_several_runs_build_one_environment_once(bench: Bench) -> None:
    builders = [bench.environments() for _ in range(2)]
    answers = await asyncio.gather(*(bench.prepare("tiny", by=builder) for builder in [*builders, *builders]))
    assert len({answer.python for answer in answers}) == 1 and len(bench.made()) == 1
    assert bench.log.count("Installing the packages:") == 1


async def test_a_package_that_does_not_exist_fails_with_the_resolvers_words(bench: Bench) -> None:
    with pytest.raises(FailedPrecondition, match=r"missing-package.*not found") as caught:
        await bench.prepare("missing-package")
    assert caught.value.reason == "ENVIRONMENT_BUILD_FAILED" and not bench.made()


async def test_offline_what_was_installed_once_can_be_had(bench: Bench) -> None:
    environment = await bench.prepare("tiny")
    _remove_tree(environment.bin_dir.parent)
    again = await bench.prepare("tiny", by=bench.environments(offline=True))
    assert again.built and again.python == environment.python
    with pytest.raises(FailedPrecondition, match="LOCALAML_OFFLINE"):
        bench.environ["PIP_NO_INDEX"] = ""
        await bench.prepare("unheard-of", by=bench.environments(offline=True))


async def test_addresses_with_passwords_are_in_no_log_and_no_error(bench: Bench) -> None:
    # Nothing listens there.
    del bench.environ["PIP_NO_INDEX"]
    bench.environ["PIP_INDEX_URL"] = "http://me:s3cret@127.0.0.1:1/simple"
    with pytest.raises(FailedPrecondition) as caught:
        await bench.prepare("unheard-of")
    assert "127.0.0.1:1" in caught.value.message
    assert not any("s3cret" in text for text in [caught.value.message, *bench.log])


async def test_a_cancelled_build_leaves_nothing(bench: Bench, helpers_left: Callable[[], list[str]]) -> None:
    make_slow_sdist(bench.wheels)
    task = asyncio.ensure_future(_with_trace(bench))
    await asyncio.to_thread(wait_until, bench.has_begun, PATIENCE, "the build's begin")
    assert helpers_left()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(wait_until, lambda: not helpers_left(), PATIENCE, "the helper's end")
    assert not bench.made() and not list((bench.cache / "tmp").iterdir())


async def _with_trace(bench: Bench) -> PreparedEnvironment:
    """Builds what takes for ever, with a file that tells when it has begun."""
    bench.environ["UV_SLOW_BUILD_TRACE"] = "x"
    python = "import os; os.environ['SLOW_BUILD'] = os.environ['UV_CACHE_DIR'] + '/trace'\n"
    sdist = bench.wheels / "slow-1.0.tar.gz"
    _edit_backend(sdist, python)
    return await bench.prepare("slow")


_ABANDON = """
import asyncio, sys
from pathlib import Path
from tests.docker_images.test_container_environments import Bench, _with_trace
from localaml.compute.docker.engine import Engine
asyncio.run(_with_trace(Bench(Engine(), Path(sys.argv[1]), sys.argv[2])))
"""


async def test_a_build_that_outlives_a_killed_emulator_does_not_disturb_the_next(
    bench: Bench, tmp_path: Path, helpers_left: Callable[[], list[str]]
) -> None:
    make_slow_sdist(bench.wheels)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _ABANDON, str(tmp_path), bench.image]
    with subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}) as process:
        try:
            await asyncio.to_thread(wait_until, bench.has_begun, PATIENCE, "the build's begin")
        finally:
            process.send_signal(signal.SIGKILL)
    left = helpers_left()
    assert left
    # The same environment again, of a package that can be built now.
    (bench.wheels / "slow-1.0.tar.gz").unlink()
    make_wheel(bench.wheels, "slow", "1.0")
    environment = await bench.prepare("slow")
    assert await bench.python(environment, "import slow; print(slow.version)") == "1.0"
    assert not set(left) & set(helpers_left())


async def test_only_the_builder_that_has_the_lock_ends_others_of_the_same_work(bench: Bench) -> None:
    image = (await bench.prepare("tiny")).container
    assert image is not None
    helpers = Helpers(bench.engine, bench.cache)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    command = ("/bin/sh", "-c", "echo here; sleep 600")
    helper = Helper(image.image, command, "test", key=str(bench.cache / "locks" / "other"))
    task = asyncio.ensure_future(helpers.run(helper, lambda _: loop.call_soon_threadsafe(started.set)))
    await asyncio.wait_for(started.wait(), PATIENCE)
    async with FolderLock(bench.cache / "locks" / "mine"):
        await helpers.remove(str(bench.cache / "locks" / "mine"))
        assert not task.done()
        await helpers.remove(str(bench.cache / "locks" / "other"))
    assert await asyncio.wait_for(task, PATIENCE) == 137


# -- which Python ---------------------------------------------------------------------------------------------------


async def test_a_python_that_the_image_lacks_is_lent_to_it(bench: Bench) -> None:
    own = (await bench.prepare("tiny")).python_version
    lent = next(
        (f"3.{minor}" for minor in (8, 9, 10, 12, 13) if (3, minor) != own and _is_loose(find_python(f"3.{minor}"))),
        None,
    )
    if lent is None:
        pytest.skip("no other Python in a folder of its own on this machine")
    try:
        environment = await bench.prepare(f"python={lent}", "tiny")
    except FailedPrecondition as error:
        # It is made for libraries that the image does not have.
        assert "do not start in it" in error.message
        pytest.skip(error.message)
    assert f"3.{environment.python_version[1]}" == lent
    found = await bench.python(environment, "import sys, ssl, tiny; print('%d.%d' % sys.version_info[:2])")
    assert found == lent


def _is_loose(python: Path | None) -> bool:
    return python is not None and Path(os.path.realpath(python)).parents[1] not in (Path("/usr"), Path("/usr/local"))


async def test_a_python_that_nobody_has_is_named(bench: Bench) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await bench.prepare("python=3.99", "tiny")
    assert caught.value.reason == "PYTHON_NOT_FOUND" and bench.image in caught.value.message


async def test_a_user_managed_environment_is_the_images_own_python(bench: Bench) -> None:
    environment = await bench.prepare_spec(PythonEnvironmentSpec(user_managed=True))
    found = (await bench.python(environment, "import sys; print(sys.prefix, sys.version_info[:2])")).split(" ", 1)
    assert found[1] == str(environment.python_version) and not bench.made()
    # By the same path in the image, whatever this machine has there.
    same = await bench.prepare_spec(PythonEnvironmentSpec(user_managed=True, interpreter=str(environment.python)))
    assert same.python == environment.python


@pytest.mark.parametrize(
    ("interpreter", "reason"),
    [
        ("/nowhere/python", "PYTHON_NOT_FOUND"),
        ("perl", "PYTHON_NOT_FOUND"),
        ("/bin/cat", "PYTHON_NOT_FOUND"),
        ("bin/python", "ENVIRONMENT_INVALID"),
    ],
)
async def test_an_interpreter_that_the_image_does_not_have_is_named(
    interpreter: str, reason: str, bench: Bench
) -> None:
    with pytest.raises((FailedPrecondition, InvalidArgument)) as caught:
        await bench.prepare_spec(PythonEnvironmentSpec(user_managed=True, interpreter=interpreter))
    error = caught.value
    assert isinstance(error, LocalAmlError) and error.reason == reason and interpreter in error.message


# -- MPI, and skeletons ---------------------------------------------------------------------------------------------


async def test_open_mpi_is_shown_to_the_image_without_the_rest_of_the_emulator(bench: Bench) -> None:
    environment = await bench.prepare_spec(PythonEnvironmentSpec(user_managed=True), mpi=True)
    prefix = environment.open_mpi_prefix
    assert prefix is not None and prefix.is_relative_to(bench.cache)
    assert sorted(path.name for path in (prefix / "bin").iterdir() if "python" in path.name or path.name == "uv") == []
    assert environment.container is not None
    assert not any(Path(sys.prefix).is_relative_to(bind.path) for bind in environment.container.binds)
    said = await bench.run(environment, str(prefix / "bin" / "mpirun"), "--version")
    assert "Open MPI) 4.1" in said
    options = ["--allow-run-as-root", "--bind-to", "none", "--host", "localhost:2", "-np", "2"]
    # No other node is wanted: whatever can be found will do for starting one.
    options += ["--mca", "plm_rsh_agent", "/bin/true"]
    code = "from mpi4py import MPI; print(MPI.COMM_WORLD.Get_size(), MPI.Get_library_version()[:13])"
    said = await bench.run(environment, str(prefix / "bin" / "mpirun"), *options, str(environment.python), "-c", code)
    assert said.split("\n") == ["2 Open MPI v4.1"] * 2


async def test_a_skeleton_has_this_machines_environments(bench: Bench, host_filesystem_image: str) -> None:
    environment = await bench.prepare("tiny", image=host_filesystem_image)
    here = await (await bench.environments().load()).prepare(
        PythonEnvironmentSpec(conda_dependencies={"dependencies": ["tiny"]}), mpi=False, log=str
    )
    assert environment.python == here.python
    assert await bench.python(environment, "import tiny; print(tiny.version)") == "2.0"


async def test_an_image_without_python_stops_before_anything_is_built(bench: Bench, image_without_python: str) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await bench.prepare("tiny", image=image_without_python)
    assert caught.value.reason == "IMAGE_WITHOUT_PYTHON" and not bench.made()


def _created(client: DockerClient, cache: Path) -> int:
    import time

    filters = {"event": "create", "label": f"localaml.cache-dir={cache}"}
    return len(list(client.events(since="1", until=f"{time.time():.9f}", filters=filters)))


def _derived(client: DockerClient, image: str, name: str) -> str:
    import io

    text = f"FROM {image}\nENV MARK={uuid.uuid4().hex}\n"
    client.images.build(fileobj=io.BytesIO(text.encode()), tag=name, rm=True)
    return name


def _remove_tree(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)


def _edit_backend(sdist: Path, first: str) -> None:
    """The same source distribution with a line before its build backend."""
    import io
    import tarfile

    with tarfile.open(sdist) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    with tarfile.open(sdist, "w:gz") as archive:
        for name, content in files.items():
            data = (
                first.encode() + content
                if name.endswith("/backend.py") and not content.startswith(b"import os; ")
                else content
            )
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
