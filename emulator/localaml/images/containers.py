"""Containers in which images are made: without a network, and none outlives its build."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from localaml.images.importing import build_failed
from localaml.images.labels import BUILD_CONTAINER_PREFIX

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container


@contextmanager
def build_container(
    client: DockerClient, image_id: str, command: list[str], environment: Mapping[str, str] | None = None
) -> Iterator[Container]:
    """A container that is not yet started, and goes at the end."""
    name = f"{BUILD_CONTAINER_PREFIX}{uuid.uuid4().hex[:12]}"
    try:
        yield client.containers.create(
            image_id, command, entrypoint=[], name=name, network_mode="none", environment=dict(environment or {})
        )
    finally:
        # By its name: an interrupted call may have made it all the same.
        remove_container(client, name)


def run_to_end(container: Container, log: Callable[[str], None] = lambda _line: None) -> str:
    """Starts a container and waits for its end; returns its last line. Raises ``IMAGE_BUILD_FAILED``."""
    container.start()
    lines = [""]
    for chunk in container.logs(stream=True, follow=True):
        for line in chunk.decode(errors="replace").splitlines():
            lines.append(line)
            log(line)
    code = container.wait()["StatusCode"]
    if code != 0:
        raise build_failed(f"a step in the image ended with {code}:\n" + "\n".join(lines[-12:]))
    return lines[-1]


def remove_leftovers(client: DockerClient) -> None:
    """Removes containers of a build that was killed. Under the lock of builds: there is no other build."""
    for container in client.containers.list(all=True, filters={"name": f"^/{BUILD_CONTAINER_PREFIX}"}):
        remove_container(client, str(container.name))


def remove_container(client: DockerClient, name: str) -> None:
    """Ends and removes a container; one that is gone, or going, is fine."""
    from docker.errors import APIError

    with suppress(APIError):
        client.api.remove_container(name, force=True, v=True)
