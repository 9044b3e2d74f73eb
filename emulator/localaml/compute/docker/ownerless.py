"""What is left on the engine of state dirs that exist no more: nobody will start an emulator that knows of it.

An ephemeral state dir that is removed while the engine is down leaves such containers. They name their state dir by a
label. Whether that exists is the engine's to say: an emulator in a container, or of another user, does not see all of
the machine's folders, and must not take a live emulator's for gone.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaml.compute.docker.containers import STATE_DIR_LABEL, remove

if TYPE_CHECKING:
    from docker import DockerClient

_LOG = logging.getLogger(__name__)
_LABELLED = {"label": [STATE_DIR_LABEL]}
# What an engine says of a bind mount whose source is missing. Any other answer proves nothing.
_MISSING = "bind source path does not exist"


def end_ownerless(client: DockerClient, state_dir: Path) -> int:
    """Removes containers and networks of state dirs that exist no more; returns how many containers.

    Args:
        state_dir: our own, which exists.

    Raises docker-py's errors.
    """
    from docker.errors import APIError

    count = 0
    for owner, containers in _by_owner(client.api.containers(all=True, filters=_LABELLED)).items():
        if owner != str(state_dir) and not os.path.lexists(owner) and _is_gone(client, owner, containers[0]["ImageID"]):
            for container in containers:
                remove(client, container["Id"])
            count += len(containers)
            _LOG.info("removed %d containers of the state folder %s, which exists no more", len(containers), owner)
    images = client.api.images(quiet=True)
    for owner, networks in _by_owner(client.api.networks(filters=_LABELLED)).items():
        if owner != str(state_dir) and not os.path.lexists(owner) and images and _is_gone(client, owner, images[0]):
            for network in networks:
                with suppress(APIError):
                    client.api.remove_network(network["Id"])
    return count


def _by_owner(found: Iterable[Any]) -> dict[str, list[Any]]:
    by_owner: dict[str, list[Any]] = {}
    for each in found:
        by_owner.setdefault(each["Labels"][STATE_DIR_LABEL], []).append(each)
    return by_owner


def _is_gone(client: DockerClient, folder: str, image: str) -> bool:
    """Whether the engine, which sees the whole machine, finds no such folder. It looks when it makes a container."""
    from docker.errors import APIError
    from docker.types import Mount

    looking = client.api.create_host_config(mounts=[Mount("/looked-for", folder, type="bind", read_only=True)])
    try:
        made = client.api.create_container(
            image, ["-"], name=f"localaml-looks-{secrets.token_hex(8)}", host_config=looking, network_disabled=True
        )
    except APIError as error:
        return _MISSING in str(error.explanation or error)
    remove(client, made["Id"])
    return False
