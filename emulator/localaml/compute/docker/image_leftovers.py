"""What a build that came to no good has made by then, and its removal.

The engine takes a failed step's container away. The images of the steps before it stay: without a name, and nobody asks
for them again.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import DockerClient

_STEP_MADE = re.compile(r"^ ---> ([0-9a-f]{12})$")
_STEP_RUNS = re.compile(r"^ ---> Running in ([0-9a-f]{12})$")
_PATIENCE_SECONDS = 15


class BuildSteps:
    """What a build has made so far, by what it says.

    Args:
        there: ids of all images before the build. What is among them is not the build's, whatever its output says: a
            program that runs in a step can write such lines, too.

    Attributes:
        made: an image for each step that was not taken from the cache (the first twelve digits of its id).
        container: the one in which the last step ran, or runs.
    """

    def __init__(self, there: set[str]) -> None:
        self._there = {image_id.removeprefix("sha256:")[:12] for image_id in there}
        self.made: list[str] = []
        self.container = ""

    def note(self, line: str) -> None:
        """Takes in a line of the build."""
        if match := _STEP_RUNS.match(line):
            self.container = match[1]
        elif (match := _STEP_MADE.match(line)) and match[1] not in self._there and match[1] not in self.made:
            self.made.append(match[1])

    def remove_images(self, client: DockerClient) -> None:
        """Removes the images, the last first. The engine first ends a step that is still going on: it keeps the image
        before it from going."""
        from docker.errors import APIError
        from requests import RequestException

        if self.container and self.made:
            with suppress(APIError, RequestException):
                client.api.wait(self.container, timeout=_PATIENCE_SECONDS, condition="removed")
        for image_id in reversed(self.made):
            remove_if_nameless(client, image_id, keep_parents=True)


def ids_of_all_images(client: DockerClient) -> set[str]:
    """Also of those without a name."""
    return set(client.api.images(quiet=True, all=True))


def remove_if_nameless(client: DockerClient, image_id: str, *, keep_parents: bool = False) -> None:
    """Removes an image that has no tag, unless a container uses it or another image is built on it.

    Args:
        keep_parents: whether images without a tag that only this one was built on stay.
    """
    from docker.errors import APIError

    with suppress(APIError):
        if not client.images.get(image_id).tags:
            client.images.remove(image_id, noprune=keep_parents)
