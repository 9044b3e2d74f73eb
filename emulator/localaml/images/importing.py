"""An image from a tar, and a tag that moves from an old image to a new one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from localaml.errors import Internal, LocalAmlError
from localaml.images.labels import INPUTS_LABEL

if TYPE_CHECKING:
    from docker import DockerClient

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def import_tar(
    client: DockerClient, tar: IO[bytes], *, labels: Mapping[str, str], environment: Mapping[str, str]
) -> str:
    """Makes an image without a tag of a whole file system; returns its id.

    Raises:
        LocalAmlError: ``IMAGE_BUILD_FAILED`` with the engine's reason.
    """
    changes = [f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()]
    changes += [f"ENV {name}={json.dumps(value)}" for name, value in environment.items()]
    changes.append('CMD ["/bin/sh"]')
    answer = client.api.import_image_from_data(tar, changes=changes)
    last: dict[str, str] = {}
    for line in str(answer).splitlines():
        if line.strip():
            last = json.loads(line)
            if "error" in last:
                raise build_failed(str(last["error"]))
    image_id = last.get("status", "")
    if not image_id.startswith("sha256:"):
        raise Internal("IMAGE_BUILD_FAILED", f"The engine did not say which image it made, but {answer!r}.")
    return image_id


def build_failed(why: str) -> LocalAmlError:
    """The error for a build that did not work out."""
    return LocalAmlError("IMAGE_BUILD_FAILED", f"The image could not be made: {why.strip()}")


def find_current(client: DockerClient, tag: str, inputs: str) -> str | None:
    """Id of the image with this tag if it was made of these inputs, else None."""
    found = find(client, tag)
    if found is None or found[1].get(INPUTS_LABEL) != inputs:
        return None
    return found[0]


def find(client: DockerClient, name: str) -> tuple[str, Mapping[str, str]] | None:
    """Id and labels of an image, or None where the engine has none of this name."""
    from docker.errors import ImageNotFound

    try:
        image = client.images.get(name)
    except ImageNotFound:
        return None
    return str(image.id), image.labels


def move_tags(client: DockerClient, image_id: str, tags: Sequence[str]) -> None:
    """Gives tags to an image; an image that loses its last name by that goes, unless containers use it."""
    earlier = {found[0] for tag in tags if (found := find(client, tag)) is not None}
    for tag in tags:
        repository, _, version = tag.rpartition(":")
        client.api.tag(image_id, repository, version)
    for old in earlier - {image_id}:
        remove_if_nameless(client, old)


def remove_if_nameless(client: DockerClient, image_id: str) -> None:
    """Removes an image that has no tag, unless a container uses it or another image is built on it."""
    from docker.errors import APIError

    with suppress(APIError):
        if not client.images.get(image_id).tags:
            client.images.remove(image_id)
