"""An image from a tar; images found by their names; tags that move from an old image to a new one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import IO, TYPE_CHECKING

from localaml.compute.docker.image_leftovers import remove_if_nameless
from localaml.compute.docker.interruption import post
from localaml.errors import FailedPrecondition, Internal, LocalAmlError
from localaml.images.labels import FORM_LABEL, INPUTS_LABEL

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

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
    parameters = {"fromSrc": "-", "message": maker_mark(labels), "changes": changes}
    last: dict[str, str] = {}
    with closing(post(client, "/images/create", parameters, data=tar)) as answer:
        for line in answer.iter_lines():
            last = json.loads(line)
            if "error" in last:
                raise build_failed(str(last["error"]))
    image_id = last.get("status", "")
    if not image_id.startswith("sha256:"):
        raise Internal("IMAGE_BUILD_FAILED", f"The engine did not say which image it made, but {last!r}.")
    return image_id


def build_failed(why: str) -> LocalAmlError:
    """The error for a build that did not work out."""
    return FailedPrecondition("IMAGE_BUILD_FAILED", f"The image could not be made: {why.strip()}")


def maker_mark(labels: Mapping[str, str]) -> str:
    """What the history of an image ends with that was made with these labels."""
    return f"{INPUTS_LABEL}={labels.get(INPUTS_LABEL, '')}"


def is_made_here(image: Image) -> bool:
    """Whether an image is one of ours. An image that somebody built on one of ours has its labels, too, and a history
    of its own."""
    if FORM_LABEL not in image.labels:
        return False
    newest = image.history()[0]
    return maker_mark(image.labels) in f"{newest.get('CreatedBy', '')} {newest.get('Comment', '')}"


def find(client: DockerClient, name: str) -> Image | None:
    """An image by its tag or id, or None where the engine has none of this name."""
    from docker.errors import ImageNotFound

    try:
        return client.images.get(name)
    except ImageNotFound:
        return None


def find_current(client: DockerClient, inputs: str) -> str | None:
    """Id of an image that was made here of these inputs, whatever its name, else None. One that has a name goes first:
    another, of an earlier build, may only wait for its containers to end."""
    images = client.images.list(filters={"label": f"{INPUTS_LABEL}={inputs}"})
    for image in sorted(images, key=lambda image: not image.tags):
        if is_made_here(image):
            return str(image.id)
    return None


def move_tags(client: DockerClient, image_id: str, tags: Sequence[str]) -> None:
    """Gives tags to an image. Images made here that have no name (any more) go, unless containers use them: then the
    next build takes them away."""
    for tag in tags:
        repository, _, version = tag.rpartition(":")
        client.api.tag(image_id, repository, version)
    for image in client.images.list(filters={"dangling": True, "label": FORM_LABEL}):
        if is_made_here(image):
            remove_if_nameless(client, str(image.id))
