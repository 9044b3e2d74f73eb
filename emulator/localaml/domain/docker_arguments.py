"""Further arguments of ``docker run`` that a run definition gives for its container. Pure.

What concerns only the run's own container is taken; what would lead out of it, or belongs to the node (its name, its
network), is refused by name. Forms and meanings are those of Docker's command line (docker/cli 20.10,
`container/opts.go`; docker/go-units for sizes and limits).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from localaml.domain.names import has_controls
from localaml.domain.sizes import parse_size
from localaml.errors import InvalidArgument, LocalAmlError

_SHORT = {"-e": "--env", "-m": "--memory"}
_ULIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice"),
    *("nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
)
_LIMIT = re.compile(r"-1|\d{1,18}", re.ASCII)
_CPUS = re.compile(r"\d{1,6}(\.\d{1,9})?|\.\d{1,9}", re.ASCII)
# The engine refuses less.
_LEAST_MEMORY = 6 * 1024**2


@dataclass(frozen=True, slots=True)
class Ulimit:
    """A limit of resources as `setrlimit` knows it; -1: none."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class DockerArguments:
    """What the arguments ask for.

    Attributes:
        shm_size_bytes: of /dev/shm; 0: not said.
        cpus: processors that the container may use; 0: not said.
        memory_bytes: that it may use; 0: not said.
    """

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    ulimits: tuple[Ulimit, ...] = ()
    shm_size_bytes: int = 0
    cpus: float = 0.0
    memory_bytes: int = 0


def parse_docker_arguments(words: Sequence[str]) -> DockerArguments:
    """What the words ask for; where one is said twice, the last counts.

    Raises:
        InvalidArgument: ``UNSUPPORTED_DOCKER_ARGUMENT``: one that is not taken, by name;
            ``DOCKER_ARGUMENT_INVALID``: one without a value, or with one that means nothing.
    """
    found = DockerArguments()
    rest = list(words)
    while rest:
        name, value = _split(rest.pop(0))
        if name not in _KNOWN:
            raise InvalidArgument(
                "UNSUPPORTED_DOCKER_ARGUMENT",
                f"The docker argument {_shown(name)} is not supported: jobs can use {', '.join(_KNOWN)} "
                "(-e and -m are --env and --memory). Image, mounts, network and name of a node are LocalAML's.",
                {"argument": name[:64]},
            )
        if value is None:
            if not rest:
                raise _invalid(f"{name} needs a value")
            value = rest.pop(0)
        found = _KNOWN[name](found, value)
    return found


def _split(word: str) -> tuple[str, str | None]:
    """Name and value of a word: ``--cpus=2``, ``-eA=1``, ``-e=A=1``; no value: it is the next word."""
    short = _SHORT.get(word[:2])
    if short is not None:
        value = word[2:].removeprefix("=")
        return short, value or None
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return word.partition("=")[0], None


def _environment(found: DockerArguments, value: str) -> DockerArguments:
    name, equals, text = value.partition("=")
    if not name or not equals or "\0" in value:
        # Docker would take the value from whoever calls it.
        raise _invalid(f"--env must be of the form NAME=value, not {_shown(name)} alone")
    if has_controls(name):
        raise _invalid(f"--env needs a name without control characters, not {_shown(name)}")
    return replace(found, environment={**found.environment, name: text})


def _ulimit(found: DockerArguments, value: str) -> DockerArguments:
    name, _, limits = value.partition("=")
    soft, colon, hard = limits.partition(":")
    if name not in _ULIMITS or not _LIMIT.fullmatch(soft) or (colon and not _LIMIT.fullmatch(hard)):
        raise _invalid(
            f"--ulimit must be of the form name=soft[:hard] with whole numbers and one of these names: "
            f"{', '.join(_ULIMITS)}; it is {_shown(value)}"
        )
    made = Ulimit(name, int(soft), int(hard) if colon else int(soft))
    if made.hard != -1 and (made.soft == -1 or made.soft > made.hard):
        raise _invalid(f"--ulimit {_shown(value)}: the soft limit must not be above the hard one")
    return replace(found, ulimits=(*(each for each in found.ulimits if each.name != name), made))


def _shm_size(found: DockerArguments, value: str) -> DockerArguments:
    return replace(found, shm_size_bytes=_size("--shm-size", value))


def _memory(found: DockerArguments, value: str) -> DockerArguments:
    size = _size("--memory", value)
    if size < _LEAST_MEMORY:
        raise _invalid(f"--memory must be at least 6m; it is {_shown(value)}")
    return replace(found, memory_bytes=size)


def _cpus(found: DockerArguments, value: str) -> DockerArguments:
    if not _CPUS.fullmatch(value) or not Decimal(value):
        raise _invalid(f"--cpus must be a number above 0 with at most nine decimals; it is {_shown(value)}")
    return replace(found, cpus=float(value))


def _size(name: str, value: str) -> int:
    size = parse_size(value)
    if not size:
        raise _invalid(f"{name} must be a size such as 512m or 2g; it is {_shown(value)}")
    return size


def _invalid(why: str) -> LocalAmlError:
    return InvalidArgument("DOCKER_ARGUMENT_INVALID", f"The docker arguments cannot be used: {why}.")


def _shown(text: str) -> str:
    return repr(text[:64])


_KNOWN: Mapping[str, Callable[[DockerArguments, str], DockerArguments]] = {
    "--shm-size": _shm_size,
    "--env": _environment,
    "--ulimit": _ulimit,
    "--cpus": _cpus,
    "--memory": _memory,
}
