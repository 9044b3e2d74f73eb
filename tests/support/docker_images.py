"""Base images for tests with containers: fixtures of the session, and the functions behind them.

Both are made when they are missing or were made of other inputs, and stay: the next session finds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localaml.images.debian import build_debian
from localaml.images.labels import DEBIAN_TAG, HOST_FILESYSTEM_TAG
from localaml.images.skeleton import build_skeleton

if TYPE_CHECKING:
    from docker import DockerClient


@pytest.fixture(scope="session")
def host_filesystem_image(docker_engine: DockerClient) -> str:
    """Tag of an image whose containers show this machine's programs (half a second, once)."""
    build_skeleton(docker_engine, [HOST_FILESYSTEM_TAG])
    return HOST_FILESYSTEM_TAG


@pytest.fixture(scope="session")
def debian_image(docker_engine: DockerClient) -> str:
    """Tag of the default base image, made of Debian packages: Python, pip, Open MPI, mpi4py (a minute, once)."""
    build_debian(docker_engine, [DEBIAN_TAG], log=print)
    return DEBIAN_TAG
