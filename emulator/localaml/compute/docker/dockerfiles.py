"""What a Dockerfile is built on: its FROM lines, read and rewritten. Pure.

As Docker's reference describes them: ``FROM [--platform=...] <image> [AS <stage>]``; variables in it are those of ARG
lines before the first FROM. A name of an earlier stage is no image, neither is ``scratch``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_FROM = re.compile(
    r"^(?P<head>[ \t]*FROM(?:[ \t]+--\S+)*[ \t]+)(?P<image>[^\s#\\]\S*)"
    r"(?:[ \t]+AS[ \t]+(?P<stage>\S+))?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_ARG = re.compile(r"^[ \t]*ARG[ \t]+([A-Za-z_]\w*)=(\"[^\"\n]*\"|'[^'\n]*'|\S*)", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::-([^${}]*))?\}|([A-Za-z_]\w*))")


def base_images(text: str) -> list[str]:
    """The images that a Dockerfile is built on, as it writes them (variables filled in), each once."""
    return list(dict.fromkeys(image for _, image in _found(text)))


def on_other_images(text: str, substitutes: Mapping[str, str]) -> str:
    """The same Dockerfile with other images under it, by the names that `base_images` gave."""
    parts: list[str] = []
    end = 0
    for match, image in _found(text):
        if image in substitutes:
            parts += [text[end : match.start("image")], substitutes[image]]
            end = match.end("image")
    return "".join([*parts, text[end:]])


def _found(text: str) -> list[tuple[re.Match[str], str]]:
    first = _FROM.search(text)
    head = text[: first.start()] if first else text
    values = {match[1]: match[2].strip("\"'") for match in _ARG.finditer(head)}
    stages: set[str] = set()
    found: list[tuple[re.Match[str], str]] = []
    for match in _FROM.finditer(text):
        image = _VARIABLE.sub(lambda part: values.get(part[1] or part[3], "") or part[2] or "", match["image"])
        if image and image.lower() != "scratch" and image.lower() not in stages:
            found.append((match, image))
        if match["stage"]:
            stages.add(match["stage"].lower())
    return found
