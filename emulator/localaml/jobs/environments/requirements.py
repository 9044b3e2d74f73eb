"""Lines of a pip requirements list: checked, options taken apart, LocalAML's own packages taken out. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from localaml.domain.redaction import redact
from localaml.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """Where packages come from. Credentials may be in URLs: never print them."""

    index_url: str | None = field(default=None, repr=False)
    extra_index_urls: tuple[str, ...] = field(default=(), repr=False)
    find_links: tuple[str, ...] = field(default=(), repr=False)
    no_index: bool = False
    pre: bool = False
    no_binary: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PipList:
    """A requirements list that has been read.

    Attributes:
        requirements: in the order given.
        served: packages that were taken out because LocalAML's SDK serves them.
    """

    requirements: tuple[str, ...] = ()
    served: tuple[str, ...] = ()
    options: IndexOptions = IndexOptions()


def invalid(message: str) -> InvalidArgument:
    """The error of a spec that can never work."""
    return InvalidArgument("ENVIRONMENT_INVALID", message)


def is_served(name: str) -> bool:
    """Whether LocalAML's SDK stands in for a package: all of Azure ML's own."""
    canonical = canonicalize_name(name)
    return canonical == "azureml" or canonical.startswith("azureml-")


_OPTIONS = {"-i": "--index-url", "-f": "--find-links", "--pypi-url": "--index-url"}
_IGNORED = {"--prefer-binary", "--no-cache-dir", "--upgrade", "-U", "--quiet", "-q", "--user"}
_VCS = re.compile(r"(git|hg|svn|bzr)\+[a-z]+://", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def read_pip_list(lines: Sequence[str]) -> PipList:
    """Reads the lines of a pip list.

    Raises:
        InvalidArgument: ``ENVIRONMENT_INVALID``; the message quotes the line.
    """
    requirements: list[str] = []
    served: list[str] = []
    brought: list[str] = []
    options = IndexOptions()
    for raw in lines:
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        if not line:
            continue
        if line.startswith("-"):
            options = _option(line, options)
            continue
        kept, own = _requirement(line)
        if kept is not None:
            requirements.append(kept)
        else:
            served.append(own)
            brought += _brought_along(line)
    # Named twice, also with a version, they are one to the resolver.
    requirements += dict.fromkeys(brought)
    return PipList(tuple(requirements), tuple(served), options)


def _requirement(line: str) -> tuple[str | None, str]:
    shown = redact(line)
    if "--hash" in line:
        raise invalid(f"{shown!r}: hashes are not supported; LocalAML freezes the versions itself. Leave --hash out.")
    if _VCS.match(line) or (_URL.match(line) and " @ " not in line):
        return _address(line, line), ""
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        if line.startswith((".", "/", "~")) or line.endswith((".whl", ".tar.gz", ".zip")) or "/" in line.split("[")[0]:
            raise invalid(_local(shown)) from None
        raise invalid(f"{shown!r} is not a requirement that pip could read: {str(error).splitlines()[0]}.") from None
    if is_served(requirement.name):
        return None, str(requirement.name)
    if requirement.url:
        _address(requirement.url, line)
    return str(requirement), ""


def _brought_along(line: str) -> list[str]:
    """What a package that is served brings for reading datasets as tables, when it is asked to."""
    extras = {extra.lower() for extra in Requirement(line).extras}
    if "pandas" in extras:
        return ["pandas", "pyarrow"]
    return ["pyarrow"] if extras & {"pyarrow", "parquet"} else []


def _address(url: str, line: str) -> str:
    scheme = url.split("://")[0].lower()
    if scheme.startswith(("hg+", "svn+", "bzr+")):
        raise invalid(f"{redact(line)!r}: of version control systems only git is supported.")
    if scheme == "file" or scheme == "git+file":
        raise invalid(_local(redact(line)))
    return line


def _local(shown: str) -> str:
    return (
        f"{shown!r} is a file or folder of one machine: put it into the source folder and import it from there, or "
        "give "
        "the folder of its wheel by --find-links and name the package."
    )


def _option(line: str, options: IndexOptions) -> IndexOptions:
    shown = redact(line)
    name, _, value = line.replace("=", " ", 1).partition(" ") if line.startswith("--") else _short(line)
    name, value = _OPTIONS.get(name, name), value.strip().strip("'\"")
    if name in ("-r", "--requirement", "-c", "--constraint"):
        raise invalid(f"{shown!r}: other files cannot be named in a pip list; write its lines into the list itself.")
    if name in ("-e", "--editable"):
        raise invalid(_local(shown))
    if name in _IGNORED:
        return options
    if name == "--pre":
        return replace(options, pre=True)
    if name == "--no-index":
        return replace(options, no_index=True)
    if not value:
        raise invalid(f"{shown!r} is no option of a pip list that LocalAML knows.")
    if name == "--index-url":
        return replace(options, index_url=value)
    if name == "--extra-index-url":
        return replace(options, extra_index_urls=(*options.extra_index_urls, value))
    if name == "--find-links":
        if not _URL.match(value) and not PurePosixPath(value).is_absolute():
            raise invalid(f"{shown!r}: give the folder by its absolute path, or an address.")
        return replace(options, find_links=(*options.find_links, value))
    if name == "--no-binary":
        return replace(options, no_binary=(*options.no_binary, *_names(value)))
    if name == "--only-binary":
        return replace(options, only_binary=(*options.only_binary, *_names(value)))
    if name == "--trusted-host":
        return replace(options, trusted_hosts=(*options.trusted_hosts, value))
    raise invalid(f"{shown!r} is no option of a pip list that LocalAML knows.")


def _short(line: str) -> tuple[str, str, str]:
    return line[:2], " ", line[2:]


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]
