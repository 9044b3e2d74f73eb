"""Lines of a pip requirements list: checked, options taken apart, LocalAML's own packages taken out. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from localaml.domain.names import check_no_controls
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
        local_files: files of this machine that requirements name, by their real paths.
    """

    requirements: tuple[str, ...] = ()
    served: tuple[str, ...] = ()
    options: IndexOptions = IndexOptions()
    local_files: tuple[str, ...] = ()


def invalid(message: str) -> InvalidArgument:
    """The error of a spec that can never work."""
    return InvalidArgument("ENVIRONMENT_INVALID", message)


def is_served(name: str) -> bool:
    """Whether LocalAML's SDK stands in for a package: all of Azure ML's own."""
    canonical = canonicalize_name(name)
    return canonical == "azureml" or canonical.startswith("azureml-")


_OPTIONS = {"-i": "--index-url", "-f": "--find-links", "--pypi-url": "--index-url"}
_IGNORED = {"--prefer-binary", "--no-cache-dir", "--upgrade", "-U", "--quiet", "-q", "--user"}
_REMOTE = ("http", "https")
_REMOTE_GIT = ("git+http", "git+https", "git+ssh", "git+git")
_OTHER_VERSION_CONTROL = ("hg+", "svn+", "bzr+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
_PACKAGE = re.compile(r":?[A-Za-z0-9][A-Za-z0-9._-]*:?")
_HOST = re.compile(r"[A-Za-z0-9.\[\]:*_-]+")
PathOf = Callable[[str], Path | None]
# A signed address is long; nothing else is.
LONGEST_LINE = 4096


def read_pip_list(lines: Sequence[str], path_of: PathOf = lambda _: None) -> PipList:
    """Reads the lines of a pip list.

    Args:
        path_of: where a path, or ``file:`` address, of this machine leads; None where packages may not come from there.

    Raises:
        InvalidArgument: ``ENVIRONMENT_INVALID``; the message quotes the line. ``CONTROL_CHARACTER``.
    """
    requirements: list[str] = []
    served: list[str] = []
    brought: list[str] = []
    local_files: list[str] = []
    options = IndexOptions()
    for raw in lines:
        line = _without_comment(check_line(raw))
        if not line:
            continue
        if line.startswith("-"):
            options = _option(line, options)
            continue
        found = _Reader(line, path_of).read()
        if found.local_file:
            local_files.append(found.local_file)
        if found.text:
            requirements.append(found.text)
        else:
            served.append(found.served)
            brought += _brought_along(line)
    # Named twice, also with a version, they are one to the resolver.
    requirements += dict.fromkeys(brought)
    return PipList(tuple(requirements), tuple(served), options, tuple(local_files))


def check_line(raw: str) -> str:
    """One entry of a list of packages, without blanks around it.

    Raises:
        InvalidArgument: ``CONTROL_CHARACTER``; ``ENVIRONMENT_INVALID``: it is too long, or has what the tools that read
            it take for something else than text.
    """
    if len(raw) > LONGEST_LINE:
        raise invalid(f"{redact(raw[:64])!r}... has {len(raw)} characters; a package is named with {LONGEST_LINE}.")
    line = check_no_controls(raw.strip(), "a package")
    if "${" in line:
        # uv would fill in the emulator's own variables.
        raise invalid(f"{redact(line)!r}: variables are not filled in; write what they stand for.")
    if "\\" in line:
        # At the end of a line it joins the next one to it.
        raise invalid(f"{redact(line)!r} has a backslash: use '/'.")
    return line


def is_remote(location: str) -> bool:
    """Whether packages come over the network from there; else it is a path or an address of this machine, or nothing
    that is known."""
    scheme = _scheme(location)
    return scheme in (*_REMOTE, *_REMOTE_GIT) and location[len(scheme) : len(scheme) + 3] == "://"


def _scheme(location: str) -> str:
    found = _SCHEME.match(location)
    return found[0].lower() if found else ""


def _without_comment(line: str) -> str:
    start = line.find("#")
    while start > 0 and not line[start - 1].isspace():
        start = line.find("#", start + 1)
    return (line if start < 0 else line[:start]).strip()


@dataclass(frozen=True, slots=True)
class _Found:
    text: str = ""
    served: str = ""
    local_file: str = ""


@dataclass(frozen=True, slots=True)
class _Reader:
    """One line that is no option."""

    line: str
    path_of: PathOf

    def read(self) -> _Found:
        line, shown = self.line, redact(self.line)
        if "--hash" in line:
            raise invalid(
                f"{shown!r}: hashes are not supported; LocalAML freezes the versions itself. Leave --hash out."
            )
        if _scheme(line) and " @ " not in line:
            return self._bare_address()
        try:
            requirement = Requirement(line)
        except InvalidRequirement as error:
            if self._is_like_a_path():
                raise invalid(self.not_here()) from None
            raise invalid(
                f"{shown!r} is not a requirement that pip could read: {str(error).splitlines()[0]}."
            ) from None
        if is_served(requirement.name):
            return _Found(served=str(requirement.name))
        if not requirement.url:
            return _Found(str(requirement))
        local = self._local_path(requirement.url)
        if local is None:
            return _Found(str(requirement))
        requirement.url = local.as_uri()
        return _Found(str(requirement), local_file=str(local))

    def _bare_address(self) -> _Found:
        """An address without the package's name; after a blank there may be a condition, and nothing else."""
        address, _, rest = self.line.partition(" ")
        local = self._local_path(address)
        if rest.strip():
            begin, _, condition = rest.partition(";")
            try:
                if begin.strip():
                    raise InvalidMarker(begin)
                Marker(condition.strip())
            except InvalidMarker:
                raise invalid(f"{redact(self.line)!r} is not a requirement that pip could read.") from None
        if local is None:
            return _Found(self.line)
        return _Found(f"{local.as_uri()} {rest}".strip(), local_file=str(local))

    def _local_path(self, address: str) -> Path | None:
        """What of this machine an address names; None when it is a good one elsewhere."""
        if is_remote(address):
            return None
        scheme = _scheme(address)
        if scheme.startswith(_OTHER_VERSION_CONTROL):
            raise invalid(f"{redact(self.line)!r}: of version control systems only git is supported.")
        if scheme not in ("", "file") and scheme != "git+file":
            raise invalid(f"{redact(self.line)!r}: packages cannot be had by {scheme!r}; use https.")
        path = self.path_of(address) if scheme != "git+file" else None
        if path is None:
            raise invalid(self.not_here())
        return path

    def _is_like_a_path(self) -> bool:
        line = self.line
        return (
            line.startswith((".", "/", "~"))
            or line.endswith((".whl", ".tar.gz", ".zip"))
            or "/" in line.split("[", 1)[0]
        )

    def not_here(self) -> str:
        return (
            f"{redact(self.line)!r} is a file or folder of one machine: put it into the source folder and import it "
            "from there, or give an address from which it can be had. From folders that the emulator's owner has "
            "allowed (LOCALAML_ALLOWED_PACKAGE_FOLDERS) packages can be had by --find-links, or as "
            "'name @ file:///path'. Wheels inside the source folder cannot be named yet."
        )


def _brought_along(line: str) -> list[str]:
    """What a package that is served brings for reading datasets as tables, when it is asked to."""
    extras = {extra.lower() for extra in Requirement(line).extras}
    if "pandas" in extras:
        return ["pandas", "pyarrow"]
    return ["pyarrow"] if extras & {"pyarrow", "parquet"} else []


def _option(line: str, options: IndexOptions) -> IndexOptions:
    shown = redact(line)
    name, _, value = line.replace("=", " ", 1).partition(" ") if line.startswith("--") else _short(line)
    name, value = _OPTIONS.get(name, name), value.strip().strip("'\"")
    if name in ("-r", "--requirement", "-c", "--constraint"):
        raise invalid(f"{shown!r}: other files cannot be named in a pip list; write its lines into the list itself.")
    if name in ("-e", "--editable"):
        raise invalid(_Reader(line, lambda _: None).not_here())
    if name in _IGNORED:
        return options
    if name == "--pre":
        return replace(options, pre=True)
    if name == "--no-index":
        return replace(options, no_index=True)
    if not value:
        raise invalid(f"{shown!r} is no option of a pip list that LocalAML knows.")
    if name == "--index-url":
        return replace(options, index_url=_source(value, shown))
    if name == "--extra-index-url":
        return replace(options, extra_index_urls=(*options.extra_index_urls, _source(value, shown)))
    if name == "--find-links":
        return replace(options, find_links=(*options.find_links, _source(value, shown)))
    if name == "--no-binary":
        return replace(options, no_binary=(*options.no_binary, *_names(value, shown)))
    if name == "--only-binary":
        return replace(options, only_binary=(*options.only_binary, *_names(value, shown)))
    if name == "--trusted-host":
        if not _HOST.fullmatch(value):
            raise invalid(f"{shown!r} names no host.")
        return replace(options, trusted_hosts=(*options.trusted_hosts, value))
    raise invalid(f"{shown!r} is no option of a pip list that LocalAML knows.")


def _short(line: str) -> tuple[str, str, str]:
    return line[:2], " ", line[2:]


def _source(value: str, shown: str) -> str:
    """An address of an index or a folder: one word. Whether a folder is allowed is decided elsewhere."""
    if any(character.isspace() for character in value):
        raise invalid(f"{shown!r}: one address or folder is wanted, without blanks (%20 stands for one).")
    if not is_remote(value) and _scheme(value) != "file" and not value.startswith("/"):
        raise invalid(f"{shown!r}: give the folder by its absolute path, or an address (https).")
    return value


def _names(value: str, shown: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if not _PACKAGE.fullmatch(name):
            raise invalid(f"{shown!r}: {name[:64]!r} is not the name of a package.")
    return names
