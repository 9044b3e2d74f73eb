"""What a caller's Dockerfile may not ask of the engine. Pure.

Commands of a Dockerfile (RUN) run in containers, on the network that the settings name. `ADD` is done by the engine
itself, from this machine's own network: an address on the loopback address would be a service of this machine. There is
nothing else that it could add, since images are built without a source folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from localaml.errors import InvalidArgument

_ADD = re.compile(r"^[^\S\n]*(?:ONBUILD[^\S\n]+)?ADD\b", re.IGNORECASE | re.MULTILINE)
_COMMENT = re.compile(r"^[^\S\n]*(?:#[^\n]*)?\n", re.MULTILINE)
_BACKSLASH = re.compile(r"\\[ \t]*\n")
_BACKQUOTE = re.compile(r"`[ \t]*\n")
# A Dockerfile that chooses the sign with which its lines go on is read in both ways: in one of them rightly.
_CHOOSES = re.compile(r"^[^\S\n]*#[^\S\n]*escape[^\S\n]*=", re.IGNORECASE | re.MULTILINE)


def check_dockerfile(text: str) -> None:
    """Raises InvalidArgument ``DOCKERFILE_INVALID`` when the engine would fetch something itself."""
    for end in ("\r\n", "\r"):
        text = text.replace(end, "\n")
    signs = (_BACKSLASH, _BACKQUOTE) if _CHOOSES.search(text) else (_BACKSLASH,)
    text = _COMMENT.sub("", text)
    if any(_ADD.search(sign.sub("", text)) for sign in signs):
        raise _refused("The Dockerfile")


def check_triggers(triggers: Iterable[str], image: str) -> None:
    """The same for what an image wants to be done in each Dockerfile that begins with it (ONBUILD).

    Raises InvalidArgument ``DOCKERFILE_INVALID``.
    """
    for trigger in triggers:
        if _ADD.search(trigger):
            raise _refused(f"The image {image[:200]!r}, by ONBUILD,")


def _refused(what: str) -> InvalidArgument:
    return InvalidArgument(
        "DOCKERFILE_INVALID",
        f"{what} has an instruction ADD. Images are built without files of this machine, and an address would be "
        "fetched by the engine itself, from this machine's own network: fetch it in a RUN instruction (curl, wget, "
        "pip), which runs in a container.",
    )
