"""A conda environment file becomes requirements for PyPI and a wish for a Python. Pure.

Conda's match specifications as its documentation describes them: `name`, `name=1.2` (any 1.2.x), `name==1.2`,
`name>=1,<2`, `name 1.2.*`, `name=1.2=build`, `channel::name`, `name[version='>=1']`. Builds and channels mean nothing
to PyPI and are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from localaml.domain.names import check_variable_name
from localaml.domain.redaction import redact
from localaml.jobs.environments.conda_names import RENAMED, reason_left_out, reason_refused
from localaml.jobs.environments.requirements import IndexOptions, PathOf, check_line, invalid, is_served, read_pip_list

_NAME = re.compile(r"(?:[^\s:\[]+::)?(_?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(.*)", re.DOTALL)
_OPERATORS = re.compile(r"([,|=<>!~]+)")
_PART = re.compile(r"(~=|==|!=|>=|<=|>|<|=)?(.+)")


@dataclass(frozen=True, slots=True)
class PythonWish:
    """Which Python is wanted.

    Attributes:
        text: as the spec had it, for messages.
        minor: ``(3, 6)`` when one minor version is named, with or without a patch.
        patch: ``"3.6.2"`` when a patch is named; it is a preference, not a condition.
    """

    text: str = ""
    minor: tuple[int, int] | None = None
    patch: str = ""
    specifiers: SpecifierSet = field(default_factory=SpecifierSet)

    def fits(self, version: str) -> bool:
        """Whether an interpreter of this full version will do."""
        if self.minor is not None:
            return tuple(int(part) for part in version.split(".")[:2]) == self.minor
        return self.specifiers.contains(version, prereleases=True)


@dataclass(frozen=True, slots=True)
class EnvironmentRequest:
    """What to install, for which Python.

    Attributes:
        variables: the `variables` of the environment file.
        notes: what was changed on the way, for the log.
        local_files: files of this machine that requirements name, by their real paths.
    """

    python: PythonWish = PythonWish()
    requirements: tuple[str, ...] = ()
    options: IndexOptions = field(default_factory=IndexOptions)
    variables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    local_files: tuple[str, ...] = ()


def read_conda_dependencies(
    content: Mapping[str, Any], extra: Sequence[str] = (), path_of: PathOf = lambda _: None
) -> EnvironmentRequest:
    """Reads the content of a conda environment file.

    Args:
        extra: requirements to add unless the file names the package already.
        path_of: where a path, or ``file:`` address, of this machine leads; None where packages may not come from there.

    Raises:
        InvalidArgument: ``ENVIRONMENT_INVALID``: it cannot be read, or asks by name for what cannot be had.
            ``CONTROL_CHARACTER``, ``ENVIRONMENT_VARIABLE_INVALID``.
    """
    dependencies = content.get("dependencies") or []
    if isinstance(dependencies, str) or not isinstance(dependencies, Sequence):
        raise invalid("'dependencies' of the conda environment has to be a list of packages.")
    python = PythonWish()
    requirements: list[str] = []
    pip_lines: list[str] = []
    notes: list[str] = []
    for item in dependencies:
        if isinstance(item, Mapping):
            pip_lines += _pip_section(item)
            continue
        if not isinstance(item, str):
            raise invalid(f"{item!r} in 'dependencies' is not a package.")
        if not item.strip():
            continue
        name, version = _match_spec(item)
        if name == "python":
            python = _python_wish(item, version)
            continue
        requirement = _translate(item, name, version, notes)
        if requirement is not None:
            requirements.append(requirement)
    pip_list = read_pip_list(pip_lines, path_of)
    for served in pip_list.served:
        notes.append(f"{served}: served by LocalAML's own SDK, not installed")
    requirements += pip_list.requirements
    named = {_name_of(requirement) for requirement in requirements}
    requirements += [requirement for requirement in extra if _name_of(requirement) not in named]
    if content.get("channels"):
        notes.append("channels: not used; packages come from the Python package index")
    return EnvironmentRequest(
        python,
        tuple(requirements),
        pip_list.options,
        _variables(content.get("variables")),
        tuple(notes),
        pip_list.local_files,
    )


def _pip_section(item: Mapping[str, Any]) -> list[str]:
    for key in item:
        if key != "pip":
            raise invalid(f"'dependencies' has a section {key!r}; only 'pip' is known.")
    lines = item["pip"] or []
    if isinstance(lines, str):
        lines = lines.splitlines()
    if not isinstance(lines, Sequence) or not all(isinstance(line, str) for line in lines):
        raise invalid("The 'pip' section of the conda environment has to be a list of requirements.")
    return list(lines)


def _variables(value: Any) -> dict[str, str]:
    if not value:
        return {}
    if not isinstance(value, Mapping):
        raise invalid("'variables' of the conda environment has to be a table of names and values.")
    variables = {check_variable_name(str(name)): str(text) for name, text in value.items()}
    for name, text in variables.items():
        if "\0" in text:
            raise invalid(f"The variable {name[:64]!r} of the conda environment has a NUL character in its value.")
    return variables


def _name_of(requirement: str) -> str:
    return canonicalize_name(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def _translate(item: str, name: str, version: str, notes: list[str]) -> str | None:
    if is_served(name):
        notes.append(f"{name}: served by LocalAML's own SDK, not installed")
        return None
    if (why := reason_refused(name)) is not None:
        raise invalid(f"The conda package {name!r} cannot be had: {why}.")
    if (why := reason_left_out(name)) is not None:
        notes.append(f"{name}: left out, {why}")
        return None
    specifier = _specifier(item, version)
    target, why = RENAMED.get(name, (name, ""))
    if target != name:
        notes.append(f"{name}: installed as {target}" + (f" ({why})" if why else ""))
    return f"{target}{specifier}"


def _match_spec(item: str) -> tuple[str, str]:
    """Canonical name and conda version of a match specification."""
    text = check_line(item).split("#", 1)[0].strip()
    match = _NAME.fullmatch(text)
    if match is None:
        raise invalid(f"{redact(item)!r} in 'dependencies' is not a conda package specification.")
    rest = match[2]
    name = canonicalize_name(match[1])
    if "[" in rest and rest.endswith("]"):
        rest, _, inside = rest[:-1].partition("[")
        version = _bracket_keys(inside).get("version", "")
        if version and not rest.strip():
            rest = f" {version}"
    # "numpy >= 1.15, <2" and "numpy>=1.15,<2" are the same.
    parts = _OPERATORS.split(rest)
    parts = [part.lstrip() if number else part for number, part in enumerate(parts)]
    rest = "".join([*(part.rstrip() for part in parts[:-1]), parts[-1]])
    words = rest.split()
    if rest[:1] not in ("", " ", "\t", "=", "<", ">", "!", "~") or len(words) > 2:
        raise invalid(f"{redact(item)!r} in 'dependencies' is not a conda package specification.")
    version = words[0] if words else ""
    # "=1.2=build" and "1.2=build": with a build, the version is exact.
    if build := re.fullmatch(r"(=?=?)([^=<>!~]+)=([^=]*)", version):
        version = f"=={build[2]}" if "*" not in build[2] else f"={build[2]}"
    elif version and version[0] not in "=<>!~" and "*" not in version and "," not in version:
        version = f"=={version}"
    return name, "" if version.strip("=*") == "" else version


def _bracket_keys(text: str) -> dict[str, str]:
    """``version='>=1,<2', build=x`` as a table; commas inside quotes part nothing."""
    keys: dict[str, str] = {}
    while text:
        name, equals, text = text.partition("=")
        if not equals:
            break
        text = text.lstrip()
        quote = text[:1]
        if quote in ("'", '"'):
            value, _, text = text[1:].partition(quote)
            _, _, text = text.partition(",")
        else:
            value, _, text = text.partition(",")
        keys[name.strip()] = value.strip()
    return keys


def _specifier(item: str, version: str) -> SpecifierSet:
    """A conda version as pip writes it."""
    if "|" in version:
        raise invalid(f"{item!r}: '|' (one version or another) cannot be said to pip; name one range.")
    parts = []
    for part in filter(None, version.split(",")):
        match = _PART.fullmatch(part)
        operator, number = (match[1] or "=", match[2]) if match else ("=", part)
        number = re.sub(r"\.?\*$", "", number)
        fuzzy = part.endswith("*") or operator == "="
        if not number:
            continue
        if operator in ("=", "==", "!="):
            operator = "!=" if operator == "!=" else "=="
            number = f"{number}.*" if fuzzy else number
        parts.append(f"{operator}{number}")
    try:
        return SpecifierSet(",".join(parts))
    except InvalidSpecifier:
        raise invalid(f"{item!r}: pip has no version like {version!r}.") from None


def _python_wish(item: str, version: str) -> PythonWish:
    if not version:
        return PythonWish()
    specifiers = _specifier(item, version)
    exact = re.fullmatch(r"==?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:\.?\*)?", version)
    if exact is None:
        return PythonWish(version, None, "", specifiers)
    major, minor, patch = exact.groups()
    if major != "3":
        raise invalid(f"{item!r}: LocalAML runs jobs on Python 3.6 and later.")
    if minor is None:
        return PythonWish(version, None, "", SpecifierSet("==3.*"))
    return PythonWish(version, (3, int(minor)), f"3.{minor}.{patch}" if patch else "", specifiers)
