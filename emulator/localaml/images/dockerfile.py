"""The form `dockerfile`: the image of `Dockerfile`, beside this file, for where an image registry can be reached."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.compute.docker.image_leftovers import BuildSteps, ids_of_all_images
from localaml.compute.docker.interruption import post
from localaml.errors import NotFound
from localaml.images.containers import build_container, remove_container, remove_leftovers, run_to_end
from localaml.images.importing import build_failed, find, find_current, move_tags
from localaml.images.labels import FORM_LABEL, INPUTS_LABEL, Form
from localaml.images.lock import build_lock
from localaml.images.wheels import IndexSettings

if TYPE_CHECKING:
    from docker import DockerClient

_FOLDER = Path(__file__).parent
_FILES = ("Dockerfile", "openmpi-mca-params.conf")
_LOOK = "import sys; print(sys.prefix)"


@dataclass(frozen=True, slots=True)
class DockerfileOptions:
    """What can be chosen.

    Attributes:
        base: the image to begin with: one that has Python and pip.
        index: where wheels come from; not part of what an image is known by.
    """

    base: str = "python:3.11-slim"
    index: IndexSettings = field(default_factory=IndexSettings)


def build_dockerfile(
    client: DockerClient,
    tags: Sequence[str],
    *,
    options: DockerfileOptions | None = None,
    force: bool = False,
    log: Callable[[str], None] = lambda _line: None,
) -> str:
    """Makes the image, unless the engine has it already; returns its id. What the engine downloads is the base image
    (when it lacks it) and, in a container with a network, the wheels.

    Args:
        force: whether to make it anew, also when nothing that goes into it has changed.

    Raises:
        LocalAmlError: ``IMAGE_NOT_FOUND``: the base image cannot be had; ``IMAGE_BUILD_FAILED`` with the reason.
    """
    options = options or DockerfileOptions()
    with build_lock():
        remove_leftovers(client)
        base_id = _have_base(client, options.base, log)
        files = {name: (_FOLDER / name).read_bytes() for name in _FILES}
        inputs = hashlib.sha256(repr([sorted(files.items()), base_id]).encode()).hexdigest()
        image_id = None if force else find_current(client, inputs)
        if image_id is not None:
            log(f"An image made of the same is there: {image_id[7:19]}.")
        else:
            with build_container(client, base_id, ["python3", "-c", _LOOK]) as container:
                prefix = run_to_end(container).strip()
            arguments = {"BASE": base_id, "PREFIX": prefix, "PIP_INDEX_URL": options.index.index_url}
            if options.index.ca_bundle is not None:
                files["ca-bundle.pem"] = options.index.ca_bundle.read_bytes()
            labels = {FORM_LABEL: Form.DOCKERFILE.value, INPUTS_LABEL: inputs}
            image_id = _build(client, files, arguments, labels, force, log)
        move_tags(client, image_id, tags)
    return image_id


def _have_base(client: DockerClient, name: str, log: Callable[[str], None]) -> str:
    """Id of the image to begin with: what the engine has, else what its registry gives."""
    from docker.errors import APIError

    found = find(client, name)
    if found is not None:
        return str(found.id)
    log(f"Pulling {name} ...")
    try:
        return str(client.images.pull(name, tag=None if ":" in name.rpartition("/")[2] else "latest").id)
    except APIError as error:
        raise NotFound(
            "IMAGE_NOT_FOUND",
            f"The image {name} cannot be had: {str(error.explanation or error).strip().rstrip('.')}. Where no image "
            "registry can be reached, `--form debian` makes a base image without one.",
            {"image": name},
        ) from None


def _build(
    client: DockerClient,
    files: Mapping[str, bytes],
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    force: bool,
    log: Callable[[str], None],
) -> str:
    parameters = {
        "buildargs": json.dumps({name: value for name, value in arguments.items() if value}),
        "labels": json.dumps(labels),
        "nocache": force,
        "rm": True,
        "forcerm": True,
    }
    steps, image_id = BuildSteps(ids_of_all_images(client)), ""
    try:
        answer = post(client, "/build", parameters, data=_context(files), headers={"Content-Type": "application/x-tar"})
        # Closed at the end, whatever that is: the engine gives up a build that nobody reads.
        with closing(answer):
            for message in map(json.loads, answer.iter_lines()):
                if "error" in message:
                    raise build_failed(str(message["error"]))
                image_id = str(message.get("aux", {}).get("ID", image_id))
                for line in str(message.get("stream", "")).splitlines():
                    steps.note(line)
                    if line.strip():
                        log(line)
        if not image_id:
            raise build_failed("the engine did not say which image it made")
    except BaseException:
        if steps.container:
            # An interrupted build: the engine would come to it later.
            remove_container(client, steps.container)
        steps.remove_images(client)
        raise
    return image_id


def _context(files: Mapping[str, bytes]) -> bytes:
    """What the build sees: a tar without times and owners, since the engine's cache goes by it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
