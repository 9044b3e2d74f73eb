"""Names of images, and which stand for which. Pure.

The form is that of the Docker distribution project: ``[registry/]path[:tag][@digest]``. The first part is a registry
when it has a dot or a colon in it, or is ``localhost``; without one it is Docker Hub.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from localaml.errors import InvalidArgument

DOCKER_HUB = "docker.io"
_HUB_NAMES = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
_REGISTRY = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    rf"(?:(?P<registry>{_REGISTRY})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>[a-z0-9+._-]+:[0-9a-f]{32,}))?"
)
_ID = re.compile(r"sha256:[0-9a-f]{64}")
# Where Azure's own images are; without a registry they were written in the service's first year.
_AZURE_REGISTRIES = ("", "mcr.microsoft.com")
_AZURE_FOLDER = "azureml/"
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class ImageName:
    """A name that was read.

    Attributes:
        registry: host with port; empty for Docker Hub.
        tag: empty where none was written.
        digest: ``sha256:...``; empty where none was written.
    """

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.path}" if self.registry else self.path

    @property
    def version(self) -> str:
        """What names one image of the repository to an engine: the digest, else the tag, else ``latest``."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def is_image_id(text: str) -> bool:
    """Whether an engine's own id is meant, not a name."""
    return _ID.fullmatch(text) is not None


def read_image_name(text: str) -> ImageName:
    """Raises InvalidArgument ``IMAGE_NAME_INVALID``."""
    shown = text.strip()
    match = _NAME.fullmatch(shown) if len(shown) <= _LONGEST else None
    if match is None:
        raise InvalidArgument(
            "IMAGE_NAME_INVALID",
            f"{shown[:200]!r} is no name of an image. Names are `[registry/]path[:tag]` in lower-case letters, as in "
            "`mcr.microsoft.com/azureml/base:latest`.",
        )
    registry, path = match["registry"] or "", match["path"]
    if registry and not (set(registry) & {".", ":"} or registry == "localhost"):
        # `microsoft/mmlspark`: the first part is a user's name at Docker Hub.
        if not re.fullmatch(_COMPONENT, registry):
            raise InvalidArgument("IMAGE_NAME_INVALID", f"{shown!r}: the names of images are in lower case.")
        registry, path = "", f"{registry}/{path}"
    if registry.lower() in _HUB_NAMES:
        registry = ""
    if not registry:
        path = path.removeprefix("library/")
    return ImageName(registry, path, match["tag"] or "", match["digest"] or "")


def registry_host(address: str) -> str:
    """The registry of an address as definitions have it (``https://index.docker.io/v1/``); empty for Docker Hub."""
    host = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://", "", address.strip()).split("/")[0].rpartition("@")[2]
    return "" if host.lower() in _HUB_NAMES else host


def at_registry(name: ImageName, address: str) -> ImageName:
    """An image whose registry is named apart from it, as run definitions do; a registry in the name itself wins."""
    return name if name.registry else replace(name, registry=registry_host(address))


@dataclass(frozen=True, slots=True)
class Substitute:
    """An image that is taken for another, and the rule that says so (empty: LocalAML's own for Azure's images)."""

    image: str
    rule: str = ""


class ImageMap:
    """Which local images old public names stand for.

    Args:
        entries: patterns (``*``, ``?``, ``[...]``) of names, with or without registry and tag -> image. The first that
            fits counts. An empty image: the one of that name itself, also where it is one of Azure's.
        base_image: what Azure's own base images (``mcr.microsoft.com/azureml/...``, ``azureml/...``) stand for where no
            entry fits.
    """

    def __init__(self, entries: Mapping[str, str], base_image: str) -> None:
        self._entries = tuple((pattern.strip(), image.strip()) for pattern, image in entries.items())
        self._base_image = base_image

    def find(self, name: ImageName) -> Substitute | None:
        """What stands for an image; None when it is taken itself."""
        spellings = list(_spellings(name))
        for pattern, image in self._entries:
            if any(fnmatchcase(spelling, pattern) for spelling in spellings):
                return Substitute(image, pattern) if image else None
        if name.registry in _AZURE_REGISTRIES and name.path.startswith(_AZURE_FOLDER):
            return Substitute(self._base_image)
        return None


def _spellings(name: ImageName) -> Iterator[str]:
    """All ways to write it, so that a pattern need not know which one a script uses."""
    paths = [name.path]
    if name.registry:
        paths.insert(0, name.repository)
    else:
        paths.append(f"{DOCKER_HUB}/{name.path}")
        if "/" not in name.path:
            paths += [f"library/{name.path}", f"{DOCKER_HUB}/library/{name.path}"]
    for path in paths:
        yield path
        if name.digest:
            yield f"{path}@{name.digest}"
        if name.tag or not name.digest:
            yield f"{path}:{name.tag or 'latest'}"
