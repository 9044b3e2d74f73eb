"""Which Python an environment in an image gets: one of the image's, else one of this machine that works in it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.compute.docker.image_facts import ImageInterpreter
from localaml.compute.runtime import Bind
from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.jobs.environments.conda import PythonWish
from localaml.jobs.environments.interpreters import Interpreter

if TYPE_CHECKING:
    from localaml.compute.docker.images import Images

# As on this machine: what jobs can run on.
_OLDEST = (3, 6)
# Interpreters in these folders use the machine's own libraries beside them, and showing these would hide the image's.
_SYSTEM = (Path("/"), Path("/usr"), Path("/usr/local"))


async def find_python(
    images: Images, image_id: str, shown: str, wish: PythonWish, here: Callable[[], Awaitable[Sequence[Interpreter]]]
) -> tuple[Interpreter, tuple[Bind, ...]]:
    """The interpreter for a wish, and what the image has to be shown for it.

    Args:
        shown: the image's name, for messages.
        here: tells the interpreters of this machine, which are tried where the image has none that fits.

    Raises:
        FailedPrecondition: ``PYTHON_NOT_FOUND``, ``IMAGE_WITHOUT_PYTHON``.
    """
    facts = await images.facts(image_id, shown)
    own = [python for python in facts.interpreters if python.minor >= _OLDEST]
    fitting = [python for python in own if not wish.text or wish.fits(python.version)]
    if fitting:
        exact = [python for python in fitting if wish.patch == python.version]
        return as_interpreter((exact or fitting)[0]), ()
    machine = list(await here())
    # Newest first, the wished patch before all.
    candidates = [python for python in reversed(machine) if wish.fits(python.version)]
    candidates.sort(key=lambda python: python.version != wish.patch)
    tried: list[str] = []
    for python in candidates:
        real = Path(os.path.realpath(python.path))
        prefix = real.parent.parent
        if prefix in _SYSTEM:
            continue
        found = await images.interpreter(image_id, str(real), prefix=prefix)
        if found is not None and found.version == python.version:
            return as_interpreter(found), (Bind(prefix),)
        tried.append(f"{python.version} ({python.path})")
    existing = ", ".join(dict.fromkeys(python.version for python in own)) or "none"
    also = f"; of this machine's, these do not start in it: {', '.join(tried)}" if tried else ""
    raise FailedPrecondition(
        "PYTHON_NOT_FOUND",
        f"There is no Python {wish.text.lstrip('=')} in the image {shown} (found: {existing}), and none on this "
        f"machine that works in it{also}. Use an image that has one, install one here (those of `uv "
        "python install` work in most images), or ask for another version.",
        {"wanted": wish.text, "found": existing},
    )


async def find_command(images: Images, image_id: str, shown: str, command: str) -> Interpreter:
    """A `user_managed` interpreter of an image: an absolute path, or a name on its PATH (`python` may be called
    `python3` there).

    Raises:
        InvalidArgument: ``ENVIRONMENT_INVALID``: a relative path.
        FailedPrecondition: ``PYTHON_NOT_FOUND``, ``IMAGE_WITHOUT_PYTHON``.
    """
    if "/" in command and not command.startswith("/"):
        raise InvalidArgument(
            "ENVIRONMENT_INVALID",
            f"The interpreter {command!r} of the user-managed environment has to be an absolute path or a name on the "
            "PATH of its image.",
        )
    names = (await images.facts(image_id, shown)).names
    wanted = "python3" if command == "python" and "python" not in names else command
    found = await images.interpreter(image_id, wanted)
    if found is None or found.minor < _OLDEST:
        raise FailedPrecondition(
            "PYTHON_NOT_FOUND",
            f"The interpreter {command!r} of the user-managed environment is not in the image {shown}, does not start "
            "in it, or is older than Python 3.6. Name one that it has by its absolute path (`interpreter_path`), or "
            "leave user_managed out and name the packages.",
            {"interpreter": command},
        )
    return as_interpreter(found)


def as_interpreter(found: ImageInterpreter) -> Interpreter:
    return Interpreter(Path(found.path), found.version, found.implementation, found.platform)
