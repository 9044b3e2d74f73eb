"""An engine of the emulator's own kind, and images for it that a test can spoil."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localaml.compute.docker.engine import Engine
from localaml.compute.docker.images import Images
from localaml.settings import DockerSettings

if TYPE_CHECKING:
    from docker import DockerClient

    MakeImages = Callable[..., Images]


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


@pytest.fixture
def make_images(engine: Engine, tmp_path: Path) -> MakeImages:
    """`Images` with the given settings, on a cache dir of the test's own."""

    def make(**settings: object) -> Images:
        return Images(engine, DockerSettings(**settings), tmp_path / "cache")  # type: ignore[arg-type]

    return make


@pytest.fixture
def tag() -> str:
    """The beginning of names of images that are the test's own."""
    return f"localaml-tests/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def image_without_python(docker_engine: DockerClient, tag: str) -> Iterator[str]:
    """An image with one file in it, which is no program."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("bin/python3.txt")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    name = f"{tag}:empty"
    docker_engine.api.import_image_from_data(buffer.getvalue(), repository=tag, tag="empty")
    yield name
    docker_engine.images.remove(name, force=True)


@pytest.fixture
def helpers_left(docker_engine: DockerClient, tmp_path: Path) -> Callable[[], list[str]]:
    """Tells which helper containers of this test there are."""

    def look() -> list[str]:
        filters = {"label": ["localaml.helper", f"localaml.cache-dir={tmp_path / 'cache'}"]}
        return [container.id or "" for container in docker_engine.containers.list(all=True, filters=filters)]

    return look
