"""The images that were made here, and their removal. No other image is ever touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localaml.compute.docker.image_leftovers import remove_if_nameless
from localaml.errors import FailedPrecondition, NotFound
from localaml.images.containers import remove_leftovers
from localaml.images.importing import find, is_made_here
from localaml.images.labels import FORM_LABEL, ROOT_INPUTS_LABEL
from localaml.images.lock import build_lock

if TYPE_CHECKING:
    from docker import DockerClient


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image made here, under one of its tags.

    Attributes:
        size_bytes: what it takes on the disk; images may share parts.
        created: ISO time, as the engine tells it.
    """

    tag: str
    form: str
    image_id: str
    size_bytes: int
    created: str


def list_images(client: DockerClient) -> list[ImageRecord]:
    """All of them, a record for each tag, by tag."""
    records = [
        ImageRecord(tag, image.labels[FORM_LABEL], str(image.id), int(image.attrs["Size"]), str(image.attrs["Created"]))
        for image in client.images.list(filters={"label": FORM_LABEL})
        if is_made_here(image)
        for tag in image.tags
    ]
    return sorted(records, key=lambda record: record.tag)


def remove_image(client: DockerClient, tag: str) -> None:
    """Takes a tag away, and removes the image when it was its last one.

    Raises:
        LocalAmlError: ``IMAGE_NOT_FOUND``; ``IMAGE_NOT_OURS``; ``IMAGE_IN_USE``.
    """
    from docker.errors import APIError

    with build_lock():
        image = find(client, tag)
        if image is None:
            raise NotFound("IMAGE_NOT_FOUND", f"There is no image {tag}: 'localaml image list' shows what there is.")
        if not is_made_here(image):
            raise FailedPrecondition(
                "IMAGE_NOT_OURS", f"{tag} was not made by LocalAML. 'docker image rm {tag}' removes it all the same."
            )
        users = _containers_of(client, str(image.id))
        if users and len(image.tags) == 1:
            raise FailedPrecondition(
                "IMAGE_IN_USE",
                f"Containers use {tag}: {', '.join(users)}. Stop the emulator that they are nodes of, or remove them.",
            )
        try:
            client.images.remove(tag)
        except APIError as error:
            raise FailedPrecondition(
                "IMAGE_IN_USE", f"The engine does not remove {tag}: {str(error.explanation or error).strip()}."
            ) from None
        _remove_roots(client)
        remove_leftovers(client)


def _containers_of(client: DockerClient, image_id: str) -> Sequence[str]:
    found = client.api.containers(all=True, filters={"ancestor": image_id})
    return sorted(str(container["Names"][0]).lstrip("/") for container in found)


def _remove_roots(client: DockerClient) -> None:
    """Removes Debians without Python packages that no image is built on. Most engines have done so by themselves."""
    for image in client.images.list(all=True, filters={"label": ROOT_INPUTS_LABEL}):
        if FORM_LABEL not in image.labels:
            remove_if_nameless(client, str(image.id))
