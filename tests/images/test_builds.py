"""Images made by a real engine, and what is left when that is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.command_line import CommandLine

from localaml.errors import LocalAmlError
from localaml.images.debian import build_debian
from localaml.images.dockerfile import DockerfileOptions, build_dockerfile
from localaml.images.importing import find
from localaml.images.inventory import list_images, remove_image
from localaml.images.labels import BUILD_CONTAINER_PREFIX, DEBIAN_TAG, HOST_FILESYSTEM_LABEL
from localaml.images.skeleton import build_skeleton

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker


@pytest.fixture
def tag(docker_engine: DockerClient) -> Iterator[str]:
    """A tag of this test's own; what has it goes at the end."""
    name = f"localaml/test-{uuid.uuid4().hex[:12]}:latest"
    yield name
    if find(docker_engine, name) is not None:
        docker_engine.images.remove(name)


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    home = tmp_path / "home"
    home.mkdir()
    return CommandLine(home)


def _run(client: DockerClient, image: str, *command: str, **arguments: Any) -> str:
    output: bytes = client.containers.run(image, list(command), remove=True, network_mode="none", **arguments)
    return output.decode()


def _build_containers(client: DockerClient) -> list[Any]:
    return client.containers.list(all=True, filters={"name": BUILD_CONTAINER_PREFIX})


def test_a_skeleton_shows_the_programs_of_this_machine(docker_engine: DockerClient, host_filesystem_image: str) -> None:
    program = "import json, socket, sys; print(json.dumps([sys.version, socket.gethostbyname('localhost')]))"
    said = _run(docker_engine, host_filesystem_image, "/usr/bin/python3", "-c", program, volumes=["/usr:/usr:ro"])
    here = subprocess.run(["/usr/bin/python3", "-c", "import sys; print(sys.version)"], capture_output=True, text=True)
    assert json.loads(said) == [here.stdout.rstrip("\n"), "127.0.0.1"]
    image = docker_engine.images.get(host_filesystem_image)
    assert image.labels[HOST_FILESYSTEM_LABEL] == "true"
    assert image.attrs["Size"] < 1024**2


def test_the_same_skeleton_is_made_once(docker_engine: DockerClient, tag: str) -> None:
    lines: list[str] = []
    first = build_skeleton(docker_engine, [tag], log=lines.append)
    assert build_skeleton(docker_engine, [tag], log=lines.append) == first
    assert "is there" in lines[-1]
    assert find(docker_engine, tag) is not None


def test_a_forced_build_leaves_nothing_of_the_one_before(docker_engine: DockerClient, tag: str) -> None:
    first = build_skeleton(docker_engine, [tag], force=True)
    second = build_skeleton(docker_engine, [tag], force=True)
    assert second != first
    assert find(docker_engine, first) is None
    assert docker_engine.images.get(tag).id == second


def test_one_that_a_container_uses_goes_with_the_next_build(docker_engine: DockerClient, tag: str) -> None:
    first = build_skeleton(docker_engine, [tag], force=True)
    container = docker_engine.containers.create(first, ["/bin/true"])
    try:
        build_skeleton(docker_engine, [tag], force=True)
        assert find(docker_engine, first) is not None
    finally:
        container.remove()
    build_skeleton(docker_engine, [tag])
    assert find(docker_engine, first) is None


def test_builds_take_turns(docker_engine: DockerClient, tag: str) -> None:
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(build_skeleton(docker_engine, [tag], force=True))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    last = docker_engine.images.get(tag).id
    assert last in ids and len(ids) == 4
    assert [image_id for image_id in ids if find(docker_engine, image_id) is not None] == [last]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_base_image_has_what_azures_has(docker_engine: DockerClient, debian_image: str) -> None:
    """Python, pip, Open MPI, mpi4py; and it works by itself, alone and as two ranks."""
    alone = "from mpi4py import MPI; print(MPI.COMM_WORLD.size, MPI.Get_library_version().split(',')[0])"
    assert _run(docker_engine, debian_image, "python", "-c", alone).strip() == "1 Open MPI v4.1.8"
    ranks = "from mpi4py import MPI; print(MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank + 1))"
    together = _run(docker_engine, debian_image, "mpirun", "--oversubscribe", "-np", "2", "python", "-c", ranks)
    assert together.split() == ["3", "3"]
    assert "/opt/python" in _run(docker_engine, debian_image, "pip", "--version")
    # Nothing of this machine's, and nothing of how it was made.
    assert _run(docker_engine, debian_image, "sh", "-c", "ls / /tmp; cat /etc/apt/apt.conf.d/*").find("wheels") < 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_second_build_does_nothing(
    docker_engine: DockerClient, debian_image: str, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = docker_engine.images.get(debian_image).id
    # Without mmdebstrap, and without pip: nothing but the tag is new.
    monkeypatch.setenv("PATH", "/nonexistent")
    assert build_debian(docker_engine, [tag]) == before
    assert not _build_containers(docker_engine)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_dockerfile_is_built_on_another_base(
    docker_engine: DockerClient, debian_image: str, tag: str, command_line: CommandLine
) -> None:
    words = ("image", "build", "--form", "dockerfile", "--base", debian_image, "--tag", tag)
    said = command_line.run(*words)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"{tag}: ")
    assert "Open MPI v4.1.8" in said.stderr
    assert "is there" in command_line.run(*words).stderr
    assert _run(docker_engine, tag, "python", "-c", "from mpi4py import MPI; print(MPI.COMM_WORLD.size)").strip() == "1"
    assert docker_engine.images.get(tag).labels["localaml.image"] == "dockerfile"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_interrupted_dockerfile_leaves_nothing(docker_engine: DockerClient, debian_image: str, tag: str) -> None:
    before = {image.id for image in docker_engine.images.list(all=True)}
    seen: list[str] = []

    def interrupt(line: str) -> None:
        seen.append(line)
        # In the middle of a step that runs a container.
        if line.startswith(" ---> Running in") and "RUN python3 -c" in seen[-2]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_dockerfile(docker_engine, [tag], options=DockerfileOptions(debian_image), force=True, log=interrupt)
    assert find(docker_engine, tag) is None
    made = {line.split()[-1] for line in seen if line.startswith(" ---> ") and "Running" not in line}
    left = {image.id for image in docker_engine.images.list(all=True)} - before
    # Others may build images at the same time.
    assert not [image_id for image_id in left if str(image_id)[7:19] in made]
    container = seen[-1].split()[-1]
    assert container not in {str(each.id)[:12] for each in docker_engine.containers.list(all=True)}


def test_a_base_image_that_cannot_be_had_is_named(docker_engine: DockerClient, tag: str) -> None:
    options = DockerfileOptions("127.0.0.1:9/no/such-image:1")
    with pytest.raises(LocalAmlError) as caught:
        build_dockerfile(docker_engine, [tag], options=options)
    assert caught.value.reason == "IMAGE_NOT_FOUND"
    assert "127.0.0.1:9/no/such-image:1" in caught.value.message and "refused" in caught.value.message


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_debian_leaves_nothing_and_the_old_one(
    docker_engine: DockerClient, debian_image: str, tmp_path: Path, command_line: CommandLine, number: int
) -> None:
    if os.getuid() != 0:
        pytest.skip("mmdebstrap needs more than this user's rights on some machines")
    before = docker_engine.images.get(debian_image).id
    (tmp_path / "tmp").mkdir()
    words = command_line.words("image", "build", "--form", "debian", "--tag", DEBIAN_TAG, "--force")
    process = subprocess.Popen(
        words,
        env={**command_line.environment, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        # Its chroot is there by then.
        assert any("extracting archives" in line for line in process.stdout)
        process.send_signal(number)
        process.stdout.read()
        assert process.wait(60) == 128 + number
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    # The lock stays; it is no more than a name.
    assert [path.name for path in (tmp_path / "tmp").iterdir() if not path.name.startswith("localaml-images-")] == []
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert not [line for line in _command_lines() if "mmdebstrap" in line and str(tmp_path) in line]
    assert docker_engine.images.get(debian_image).id == before
    assert not _build_containers(docker_engine)


def _command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def test_a_missing_mmdebstrap_is_named(command_line: CommandLine) -> None:
    """With the way to get it, and the way without it."""
    bin_of_python = str(Path(sys.executable).parent)
    words = ("image", "build", "--form", "debian", "--force", "--tag", "localaml/never:made")
    said = command_line.run(*words, PATH=bin_of_python).stderr
    assert "mmdebstrap" in said and "apt-get install" in said and "--form dockerfile" in said
    assert "Traceback" not in said


def test_a_user_whom_mmdebstrap_cannot_help_is_told_what_to_install(
    docker_engine: DockerClient, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As mmdebstrap says it without newuidmap(1); and nothing is left."""
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\necho 'E: unable to pick chroot mode automatically' >&2; exit 25\n")
    program.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    for is_root in (False, True):
        monkeypatch.setattr("localaml.images.debian._is_root", lambda is_root=is_root: is_root)
        with pytest.raises(LocalAmlError) as caught:
            build_debian(docker_engine, [tag], force=True)
        assert "unable to pick chroot mode" in caught.value.message
        assert ("uidmap" in caught.value.message) is not is_root
    assert not [path for path in (tmp_path / "tmp").iterdir() if path.name != f"localaml-images-{os.getuid()}"]
    assert find(docker_engine, tag) is None


def test_images_are_listed_and_removed(docker_engine: DockerClient, tag: str, command_line: CommandLine) -> None:
    build_skeleton(docker_engine, [tag], force=True)
    record = next(record for record in command_line.json("image", "list") if record["tag"] == tag)
    assert record["form"] == "host-filesystem"
    assert record["image_id"] == docker_engine.images.get(tag).id
    assert tag in command_line.succeed("image", "list")
    assert command_line.succeed("image", "remove", tag) == f"Removed {tag}.\n"
    assert find(docker_engine, tag) is None
    assert "There is no image" in command_line.fail("image", "remove", tag)


def test_an_image_that_a_container_uses_stays(docker_engine: DockerClient, tag: str) -> None:
    build_skeleton(docker_engine, [tag], force=True)
    container = docker_engine.containers.create(tag, ["/bin/true"])
    try:
        with pytest.raises(LocalAmlError) as caught:
            remove_image(docker_engine, tag)
        assert caught.value.reason == "IMAGE_IN_USE"
        assert str(container.name) in caught.value.message
    finally:
        container.remove()
    remove_image(docker_engine, tag)


def test_images_of_others_are_left_alone(docker_engine: DockerClient, tag: str) -> None:
    """Also those that are built on ours, and have our labels from there; also when they take our tag."""
    build_skeleton(docker_engine, [tag], force=True)
    container = docker_engine.containers.create(tag, ["/bin/true"])
    try:
        repository = tag.rpartition(":")[0]
        derived = container.commit(repository, "derived")
    finally:
        container.remove()
    try:
        assert f"{repository}:derived" not in [record.tag for record in list_images(docker_engine)]
        with pytest.raises(LocalAmlError) as caught:
            remove_image(docker_engine, f"{repository}:derived")
        assert caught.value.reason == "IMAGE_NOT_OURS"
        build_skeleton(docker_engine, [f"{repository}:derived"])
        assert find(docker_engine, str(derived.id)) is not None
    finally:
        docker_engine.images.remove(f"{repository}:derived")
        docker_engine.images.remove(str(derived.id))


@pytest.mark.parametrize("name", ["../x", "UPPER", "a b", "x:y:z", "--all=1", "a" * 300, "x@sha256:12"])
def test_a_name_that_is_none_is_refused(command_line: CommandLine, name: str) -> None:
    assert "no name of an image" in command_line.fail("image", "build", f"--tag={name}", code=2)
