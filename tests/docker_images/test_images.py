"""Images on a real engine: found, pulled from a registry that wants a password, built, and asked for their Python."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.docker_images.registry import PASSWORD, USERNAME, Registry
from tests.support.waiting import wait_until

from localaml.compute.docker.engine import Engine
from localaml.compute.docker.helpers import Helper
from localaml.compute.docker.images import HOST_FILESYSTEM_LABEL, Images
from localaml.compute.runtime import Bind
from localaml.domain.job import ContainerSpec, RegistryCredentials
from localaml.errors import FailedPrecondition
from localaml.settings import DockerSettings

if TYPE_CHECKING:
    from docker import DockerClient
    from tests.docker_images.conftest import MakeImages

pytestmark = pytest.mark.docker
PATIENCE = 30.0


@pytest.fixture
def registry(docker_engine: DockerClient) -> Iterator[Registry]:
    """With an image that nothing need be asked of."""
    with Registry({HOST_FILESYSTEM_LABEL: "true"}, uuid.uuid4().bytes) as running:
        yield running
        _remove(docker_engine, running.image)


def _remove(client: DockerClient, name: str) -> None:
    from docker.errors import ImageNotFound

    try:
        client.images.remove(name, force=True)
    except ImageNotFound:
        return


def _credentials(registry: Registry, password: str = PASSWORD) -> RegistryCredentials:
    return RegistryCredentials(f"http://{registry.address}/", USERNAME, password)


async def _fails(images: Images, container: ContainerSpec, reason: str) -> FailedPrecondition:
    with pytest.raises(FailedPrecondition) as caught:
        await images.resolve(container, _silent)
    assert caught.value.reason == reason, caught.value
    return caught.value


def _silent(line: str) -> None:
    pass


# -- what is there --------------------------------------------------------------------------------------------------


async def test_the_images_python_and_variables_are_found_out(debian_image: str, make_images: MakeImages) -> None:
    images = make_images(base_image=debian_image)
    plan = await images.default()
    assert plan.image.startswith("sha256:") and not plan.host_filesystem
    assert plan.python.startswith("/") and "PATH" in plan.environment
    assert plan.shm_size_bytes == 2 * 1024**3
    facts = await images.facts(plan.image)
    assert facts.glibc is not None and facts.glibc >= (2, 28)
    assert facts.interpreters[0].minor >= (3, 7)


def _looks(client: DockerClient, cache_dir: Path, since: float) -> int:
    """How many containers were made for this cache dir."""
    label = f"localaml.cache-dir={cache_dir}"
    filters = {"event": "create", "label": label}
    return len(list(client.events(since=f"{since:.9f}", until=f"{time.time():.9f}", filters=filters)))


async def test_the_image_is_asked_once(
    debian_image: str, make_images: MakeImages, docker_engine: DockerClient, tmp_path: Path
) -> None:
    began = time.time()
    images = make_images(base_image=debian_image)
    plans = await asyncio.gather(*(images.default() for _ in range(5)))
    assert _looks(docker_engine, tmp_path / "cache", began) == 1
    # What was found out stays known.
    plans.append(await make_images(base_image=debian_image).default())
    assert _looks(docker_engine, tmp_path / "cache", began) == 1
    assert all(plan == plans[0] for plan in plans)


async def test_what_a_run_says_of_its_containers_is_in_the_plan(debian_image: str, make_images: MakeImages) -> None:
    container = ContainerSpec(debian_image, shm_size_bytes=12345678, gpu=True, arguments=("--ulimit", "core=0"))
    plan = await make_images().resolve(container, _silent)
    assert (plan.shm_size_bytes, plan.gpu, plan.arguments) == (12345678, True, ("--ulimit", "core=0"))


async def test_a_skeleton_sees_this_machines_programs(host_filesystem_image: str, make_images: MakeImages) -> None:
    plan = await make_images(base_image=host_filesystem_image).default()
    assert plan.host_filesystem and plan.python == os.path.realpath(sys.executable)
    shown = [bind.path for bind in plan.binds if not bind.writable]
    for path in ("/usr/bin", sys.prefix, sys.base_prefix, plan.python):
        assert any(Path(path).is_relative_to(folder) for folder in shown), path
    # What others cover is not shown twice.
    assert not any(a != b and a.is_relative_to(b) for a in shown for b in shown)


async def test_public_names_stand_for_local_images(debian_image: str, make_images: MakeImages) -> None:
    images = make_images(base_image="localaml/nothing", image_map={"microsoft/mmlspark:*": debian_image})
    log: list[str] = []
    plan = await images.resolve(ContainerSpec("microsoft/mmlspark:plus-0.9"), log.append)
    assert plan == await images.resolve(ContainerSpec(debian_image), _silent)
    assert len(log) == 1 and debian_image in log[0] and "microsoft/mmlspark:*" in log[0]


async def test_an_id_is_a_name_too(debian_image: str, make_images: MakeImages) -> None:
    images = make_images()
    plan = await images.resolve(ContainerSpec(debian_image), _silent)
    assert (await images.resolve(ContainerSpec(plan.image), _silent)).image == plan.image
    await _fails(images, ContainerSpec(f"sha256:{'0' * 64}"), "IMAGE_NOT_FOUND")


async def test_a_base_image_that_was_never_built_says_how(make_images: MakeImages) -> None:
    images = make_images(base_image="localaml/never-built:1")
    for container in (ContainerSpec(), ContainerSpec("mcr.microsoft.com/azureml/base:1")):
        error = await _fails(images, container, "IMAGE_NOT_FOUND")
        assert "localaml image build" in error.message and "localaml/never-built:1" in error.message


async def test_an_image_without_python_is_named(image_without_python: str, make_images: MakeImages) -> None:
    error = await _fails(make_images(), ContainerSpec(image_without_python), "IMAGE_WITHOUT_PYTHON")
    assert image_without_python in error.message and "python3" in error.message


# -- pulling --------------------------------------------------------------------------------------------------------


async def test_credentials_reach_the_registry(registry: Registry, make_images: MakeImages) -> None:
    log: list[str] = []
    container = ContainerSpec("team/image:1", registry=_credentials(registry))
    plan = await make_images().resolve(container, log.append)
    assert plan.environment["FROM_THE_REGISTRY"] == "yes"
    assert registry.image in log[0] and "with the credentials" in log[0]
    assert any("Pull complete" in line for line in log)
    assert not any(PASSWORD in line for line in log)
    # It is there now: nobody has to be asked.
    asked = len(registry.requests)
    assert (await make_images().resolve(ContainerSpec(registry.image), _silent)).image == plan.image
    assert len(registry.requests) == asked


@pytest.mark.parametrize("password", ["wr0ng/of+mine ü", ""])
async def test_wrong_credentials_are_told_and_not_shown(
    password: str, registry: Registry, make_images: MakeImages, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    log: list[str] = []
    container = ContainerSpec("team/image:1", registry=_credentials(registry, password))
    with pytest.raises(FailedPrecondition) as caught:
        await make_images().resolve(container, log.append)
    error = caught.value
    assert error.reason == "IMAGE_PULL_FAILED" and "base_image_registry" in error.message
    told = [error.message, repr(error.metadata), caplog.text, *log]
    # Nobody who prints the chain of errors gets to see more.
    chain: BaseException | None = error
    while chain is not None:
        told.append(repr(chain))
        assert chain.__suppress_context__ or chain.__context__ is None
        chain = chain.__cause__
    coded = [value.removeprefix("Basic ") for value in registry.authorizations]
    assert bool(coded) == bool(password)
    for secret in [*coded, *([password] if password else [])]:
        assert not any(secret in text for text in told)


async def test_credentials_are_not_shown_to_another_registry(registry: Registry, make_images: MakeImages) -> None:
    log: list[str] = []
    elsewhere = RegistryCredentials("private.example.com", USERNAME, PASSWORD)
    with pytest.raises(FailedPrecondition) as caught:
        await make_images().resolve(ContainerSpec(registry.image, registry=elsewhere), log.append)
    assert caught.value.reason == "IMAGE_PULL_FAILED"
    assert not registry.authorizations
    assert "not used" in log[0] and "private.example.com" in log[0]


async def test_several_runs_pull_once_and_all_see_the_log(registry: Registry, make_images: MakeImages) -> None:
    images = make_images()
    logs: list[list[str]] = [[] for _ in range(4)]
    container = ContainerSpec("team/image:1", registry=_credentials(registry))
    plans = await asyncio.gather(*(images.resolve(container, log.append) for log in logs))
    assert len({plan.image for plan in plans}) == 1
    assert logs[0] and all(log == logs[0] for log in logs)
    assert len([line for line in registry.requests if f"GET /v2/team/image/blobs/{registry.layer}" in line]) == 1


async def test_an_image_that_does_not_exist_is_told_apart(registry: Registry, make_images: MakeImages) -> None:
    container = ContainerSpec("team/other:2", registry=_credentials(registry))
    error = await _fails(make_images(), container, "IMAGE_NOT_FOUND")
    assert f"{registry.address}/team/other:2" in error.message and "manifest unknown" in error.message


async def test_a_registry_that_is_not_there_is_told(make_images: MakeImages) -> None:
    error = await _fails(make_images(), ContainerSpec("127.0.0.1:1/team/image:1"), "IMAGE_PULL_FAILED")
    assert (
        "cannot be reached" in error.message and "connection refused" in error.message and "[images]" in error.message
    )


async def test_a_cancelled_run_ends_its_pull(docker_engine: DockerClient, make_images: MakeImages) -> None:
    with Registry({}, uuid.uuid4().bytes, hold=True) as registry:
        images = make_images()
        container = ContainerSpec("team/image:1", registry=_credentials(registry))
        one, two = (asyncio.ensure_future(images.resolve(container, _silent)) for _ in range(2))
        assert await asyncio.to_thread(registry.layer_begun.wait, PATIENCE)
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        # The other one still wants it.
        assert not await asyncio.to_thread(registry.client_gone.wait, 0.3)
        two.cancel()
        with pytest.raises(asyncio.CancelledError):
            await two
        assert await asyncio.to_thread(registry.client_gone.wait, PATIENCE), "the engine goes on pulling"
        assert not docker_engine.images.list(registry.image)


# -- building -------------------------------------------------------------------------------------------------------


@pytest.fixture
def built(docker_engine: DockerClient) -> Iterator[list[str]]:
    """Ids of images to remove at the end."""
    ids: list[str] = []
    yield ids
    for image_id in ids:
        _remove(docker_engine, image_id)


async def test_a_dockerfile_is_built_on_what_its_names_stand_for(
    debian_image: str, make_images: MakeImages, built: list[str]
) -> None:
    images = make_images(base_image=debian_image)
    mark = uuid.uuid4().hex
    text = f"FROM mcr.microsoft.com/azureml/base:intelmpi2018.3-ubuntu16.04\nENV MARK={mark}\nRUN echo said-$MARK\n"
    log: list[str] = []
    plan = await images.resolve(ContainerSpec(dockerfile=text), log.append)
    built.append(plan.image)
    assert plan.environment["MARK"] == mark
    assert f"said-{mark}" in log
    # Again: all of it is there.
    log.clear()
    assert (await images.resolve(ContainerSpec(dockerfile=text), log.append)).image == plan.image
    assert f"said-{mark}" not in log


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("RUN echo oh dear; exit 7", ["oh dear", "7"]),
        ("COPY requirements.txt /", ["no files beside it"]),
        ("NONSENSE", ["NONSENSE"]),
        ("RUN python3 -c \"import urllib.request as r; r.urlopen('http://127.0.0.1:1/')\"", ["network", "refused"]),
    ],
)
async def test_a_dockerfile_that_cannot_be_built_says_why(
    line: str, words: list[str], debian_image: str, make_images: MakeImages
) -> None:
    container = ContainerSpec(dockerfile=f"FROM {debian_image}\n{line}\n")
    error = await _fails(make_images(), container, "IMAGE_BUILD_FAILED")
    assert all(word.lower() in error.message.lower() for word in words), error.message


async def test_a_build_that_fails_leaves_nothing(
    debian_image: str, make_images: MakeImages, docker_engine: DockerClient, built: list[str]
) -> None:
    # An image of somebody else, without a name: a step's program that points at it does not take it away.
    container = docker_engine.containers.create(debian_image)
    built.append(str(container.commit().id))
    container.remove()
    mark = uuid.uuid4().hex
    pointing = f"echo ' ---> {built[0].removeprefix('sha256:')[:12]}'"
    text = f"FROM {debian_image}\nRUN echo {mark} > /one\nRUN echo {mark} > /two\nRUN {pointing}; exit 7\n"
    await _fails(make_images(), ContainerSpec(dockerfile=text), "IMAGE_BUILD_FAILED")
    assert not _images(docker_engine, mark)
    assert not _steps(docker_engine, mark)
    assert docker_engine.images.get(built[0])


def _images(client: DockerClient, mark: str) -> list[str]:
    """The images that steps with the mark have made, also those without a name."""
    from docker.errors import ImageNotFound

    found = []
    for image_id in client.api.images(quiet=True, all=True):
        with contextlib.suppress(ImageNotFound):
            if mark in client.api.history(image_id)[0]["CreatedBy"]:
                found.append(image_id)
    return found


async def test_an_image_under_a_dockerfile_that_cannot_be_had_is_named(make_images: MakeImages) -> None:
    container = ContainerSpec(dockerfile="FROM 127.0.0.1:1/team/image:1\nRUN true\n")
    error = await _fails(make_images(), container, "IMAGE_PULL_FAILED")
    assert "127.0.0.1:1/team/image:1" in error.message


async def test_a_cancelled_run_ends_its_build(
    debian_image: str, make_images: MakeImages, docker_engine: DockerClient
) -> None:
    mark = uuid.uuid4().hex
    text = f"FROM {debian_image}\nENV MARK={mark}\nRUN echo begun-{mark}; sleep 600\n"
    seen = asyncio.Event()

    def log(line: str) -> None:
        if line == f"begun-{mark}":
            seen.set()

    task = asyncio.ensure_future(make_images().resolve(ContainerSpec(dockerfile=text), log))
    await asyncio.wait_for(seen.wait(), PATIENCE)
    assert _steps(docker_engine, mark) and _images(docker_engine, mark)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(wait_until, lambda: not _steps(docker_engine, mark), PATIENCE, "the end of the build")
    await asyncio.to_thread(wait_until, lambda: not _images(docker_engine, mark), PATIENCE, "the removal of its images")


def _steps(client: DockerClient, mark: str) -> list[Any]:
    """The containers in which a build goes on."""
    return [found for found in client.api.containers(all=True) if mark in found["Command"]]


# -- leftovers ------------------------------------------------------------------------------------------------------


async def test_a_cancelled_look_leaves_no_container(
    debian_image: str, make_images: MakeImages, helpers_left: Callable[[], list[str]]
) -> None:
    images = make_images()
    image_id = (await images.resolve(ContainerSpec(debian_image), _silent)).image
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    command = ("/bin/sh", "-c", "echo here; sleep 600")
    helping = asyncio.ensure_future(
        images.helpers.run(Helper(image_id, command, "test"), lambda _: loop.call_soon_threadsafe(started.set))
    )
    await asyncio.wait_for(started.wait(), PATIENCE)
    assert helpers_left()
    helping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await helping
    assert not helpers_left()


_ABANDON = """
import asyncio, os, sys
from pathlib import Path
from localaml.compute.docker.engine import Engine
from localaml.compute.docker.helpers import Helper, Helpers
def output(part):
    os.write(1, part)
command = ("/bin/sh", "-c", "echo here; sleep 600")
asyncio.run(Helpers(Engine(), Path(sys.argv[1])).run(Helper(sys.argv[2], command, "test"), output))
"""


async def test_what_a_killed_emulator_left_is_removed_by_the_next(
    debian_image: str, engine: Engine, tmp_path: Path, helpers_left: Callable[[], list[str]]
) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", _ABANDON, str(cache), debian_image]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"here\n"
        # While the owner lives, it is nobody else's.
        images = Images(engine, DockerSettings(base_image=debian_image), cache)
        try:
            await images.default()
            await asyncio.to_thread(wait_until, lambda: len(helpers_left()) == 1, PATIENCE, "the other's alone")
        finally:
            process.kill()
    await Images(engine, DockerSettings(base_image=debian_image), cache).default()
    await asyncio.to_thread(wait_until, lambda: not helpers_left(), PATIENCE, "its end")


async def test_helpers_have_no_rights_and_no_network(
    debian_image: str, make_images: MakeImages, tmp_path: Path
) -> None:
    images = make_images()
    (tmp_path / "shown").write_text("seen")
    parts: list[bytes] = []
    script = (
        f"cat {tmp_path}/shown; echo; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status;"
        f"cat /proc/net/dev | grep -c eth; touch {tmp_path}/shown 2>&1"
    )
    helper = Helper(debian_image, ("/bin/sh", "-c", script), "test", [Bind(tmp_path / "shown")])
    assert await images.helpers.run(helper, parts.append) != 0
    lines = b"".join(parts).decode().splitlines()
    assert lines[0] == "seen"
    assert lines[1].split() == ["CapEff:", "0" * 16] and lines[2].split() == ["NoNewPrivs:", "1"]
    assert lines[3] == "0"
    assert "Read-only file system" in lines[4]
