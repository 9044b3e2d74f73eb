"""Resource names: the one place where names that come from callers are checked and taken apart.

Rules per kind: Azure ML documentation for workspaces (3–33 letters, digits, `-`, `_`) and compute (2–16 for
AmlCompute in the cloud; up to 32 here); experiment names and run ids as observed on azureml-core 1.61.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from localaml.errors import InvalidArgument

_RULES: dict[str, tuple[re.Pattern[str], str]] = {
    "subscription": (
        re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"),
        "1 to 64 letters, digits, '-' or '_', beginning with a letter or digit",
    ),
    "resource group": (
        re.compile(r"[A-Za-z0-9_(][A-Za-z0-9_.()-]{0,88}[A-Za-z0-9_()-]|[A-Za-z0-9_]"),
        "1 to 90 letters, digits, '-', '_', '.', '(' or ')', not ending in '.'",
    ),
    "workspace": (
        re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,32}"),
        "2 to 33 letters, digits, '-' or '_', beginning with a letter or digit",
    ),
    "compute target": (
        re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}[A-Za-z0-9]"),
        "2 to 32 letters, digits or '-', beginning with a letter and not ending in '-'",
    ),
    "datastore": (re.compile(r"[A-Za-z0-9_]{1,255}"), "1 to 255 letters, digits or '_'"),
    "experiment": (
        re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}"),
        "1 to 256 letters, digits, '-' or '_', beginning with a letter or digit",
    ),
    "run id": (
        re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}"),
        "1 to 255 letters, digits, '-' or '_', beginning with a letter or digit",
    ),
    "model": (
        re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"),
        "1 to 255 letters, digits, '-', '_' or '.', beginning with a letter or digit",
    ),
    "environment": (
        # Azure's own names of environments that a run brings along have spaces: "Experiment x Environment".
        re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,253}[A-Za-z0-9._-])?"),
        "1 to 255 letters, digits, '-', '_', '.' or spaces inside, beginning with a letter or digit",
    ),
    "secret": (re.compile(r"[A-Za-z0-9-]{1,127}"), "1 to 127 letters, digits or '-'"),
    "data reference": (re.compile(r"[A-Za-z0-9_]{1,255}"), "1 to 255 letters, digits or '_'"),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# These, those of Latin-1, and what Unicode calls line and paragraph separators: programs end lines at most of them.
_ALL_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# XML cannot say them: one such name, and no listing nor removal works any more in stores that speak XML.
_NO_CHARACTERS = re.compile("[\ufffe\uffff]")
_MAX_PATH = 1024


def check_name(kind: str, value: str) -> str:
    """Returns `value` when it is a good name of this kind.

    Raises:
        InvalidArgument: reason ``INVALID_NAME``; the message quotes the start of the value and states the rule.
    """
    pattern, rule = _RULES[kind]
    if not pattern.fullmatch(value):
        shown = value if len(value) <= 64 else value[:61] + "..."
        raise InvalidArgument("INVALID_NAME", f"{shown!r} is not a good {kind} name: use {rule}.", {"kind": kind})
    return value


def has_controls(value: str) -> bool:
    """Whether there is a control character in `value`, or another end of a line."""
    return _ALL_CONTROLS.search(value) is not None


def check_no_controls(value: str, what: str) -> str:
    """Returns `value` when it is one line without control characters: the rule for whatever becomes an argument, a
    name, or a line of a file that a program reads. Paths, and values that no program takes apart, have their own rules.

    Raises:
        InvalidArgument: reason ``CONTROL_CHARACTER``; the message quotes the start of the value.
    """
    found = _ALL_CONTROLS.search(value)
    if found is not None:
        shown = value if len(value) <= 64 else value[:61] + "..."
        raise InvalidArgument(
            "CONTROL_CHARACTER",
            f"{shown!r} cannot be used as {what}: it has the control character U+{ord(found[0]):04X}. Leave it out; "
            "what belongs on a line of its own is an entry of its own.",
        )
    return value


def check_variable_name(value: str) -> str:
    """Returns the name of an environment variable when it is one.

    Raises:
        InvalidArgument: reason ``ENVIRONMENT_VARIABLE_INVALID``: empty, with ``=`` or with control characters.
    """
    if not value or "=" in value or has_controls(value):
        raise InvalidArgument(
            "ENVIRONMENT_VARIABLE_INVALID",
            f"The environment variable {value[:64]!r} cannot be set: its name is empty, or has '=' or a control "
            "character.",
        )
    return value


def check_relative_path(value: str, what: str = "path") -> str:
    """Returns a normalised relative path with `/` (a leading `./` and doubled slashes are taken away).

    Raises:
        InvalidArgument: reason ``INVALID_PATH``: empty, absolute, `..`, a backslash, control characters, a part over
        255 bytes, or
            over 1024 characters in all.
    """
    shown = value if len(value) <= 64 else value[:61] + "..."

    def bad(why: str) -> InvalidArgument:
        return InvalidArgument("INVALID_PATH", f"{shown!r} cannot be used as a {what}: {why}.")

    if _CONTROL.search(value):
        raise bad("it has control characters")
    if _NO_CHARACTERS.search(value):
        raise bad("U+FFFE and U+FFFF are no characters")
    if "\\" in value:
        raise bad("it has a backslash; use '/'")
    if value.startswith("/"):
        raise bad("it must be relative")
    if len(value) > _MAX_PATH:
        raise bad(f"it is longer than {_MAX_PATH} characters")
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if not parts:
        raise bad("it is empty")
    if ".." in parts:
        raise bad("'..' is not allowed")
    try:
        if any(len(part.encode()) > 255 for part in parts):
            raise bad("a part of it is longer than 255 bytes")
    except UnicodeEncodeError:
        raise bad("it is not valid Unicode") from None
    return "/".join(parts)


@dataclass(frozen=True, slots=True)
class ResourceGroupName:
    """`subscriptions/{subscription}/resourceGroups/{resource_group}`."""

    subscription: str
    resource_group: str

    def __str__(self) -> str:
        return f"subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"


@dataclass(frozen=True, slots=True)
class WorkspaceName:
    """`subscriptions/{subscription}/resourceGroups/{resource_group}/workspaces/{workspace}`."""

    subscription: str
    resource_group: str
    workspace: str

    def __str__(self) -> str:
        return f"subscriptions/{self.subscription}/resourceGroups/{self.resource_group}/workspaces/{self.workspace}"


@dataclass(frozen=True, slots=True)
class ChildName:
    """A resource right below a workspace: `{workspace}/{collection}/{name}`."""

    workspace: WorkspaceName
    collection: str
    name: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.collection}/{self.name}"


@dataclass(frozen=True, slots=True)
class RunName:
    """`{workspace}/experiments/{experiment}/runs/{run}`; the experiment is `-` where it does not matter."""

    workspace: WorkspaceName
    experiment: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.workspace}/experiments/{self.experiment}/runs/{self.run_id}"


_COLLECTIONS = {
    "computes": "compute target",
    "datastores": "datastore",
    "environments": "environment",
    "experiments": "experiment",
    "models": "model",
    "secrets": "secret",
}


def _split(name: str, shape: str) -> dict[str, str]:
    parts, wanted = name.split("/"), shape.split("/")
    found: dict[str, str] = {}
    if len(parts) == len(wanted):
        for part, want in zip(parts, wanted, strict=True):
            if want.startswith("{"):
                found[want[1:-1]] = part
            elif part.lower() != want.lower():
                break
        else:
            return found
    shown = name if len(name) <= 200 else name[:197] + "..."
    raise InvalidArgument("INVALID_RESOURCE_NAME", f"{shown!r} is not a resource name of the form {shape}.")


_GROUP = "subscriptions/{subscription}/resourceGroups/{resource group}"
_WORKSPACE = _GROUP + "/workspaces/{workspace}"


def _workspace(found: dict[str, str]) -> WorkspaceName:
    return WorkspaceName(
        check_name("subscription", found["subscription"]),
        check_name("resource group", found["resource group"]),
        check_name("workspace", found["workspace"]),
    )


def parse_resource_group(name: str) -> ResourceGroupName:
    """Takes a resource group's name apart. Raises InvalidArgument."""
    found = _split(name, _GROUP)
    return ResourceGroupName(
        check_name("subscription", found["subscription"]), check_name("resource group", found["resource group"])
    )


def parse_workspace(name: str) -> WorkspaceName:
    """Takes a workspace's name apart. Raises InvalidArgument."""
    return _workspace(_split(name, _WORKSPACE))


def parse_child(name: str, collection: str) -> ChildName:
    """Takes the name of a resource of a collection (`computes`, `models`, ...) apart. Raises InvalidArgument."""
    kind = _COLLECTIONS[collection]
    found = _split(name, f"{_WORKSPACE}/{collection}/{{{kind}}}")
    child = found[kind]
    if not (collection == "experiments" and child == "-"):
        check_name(kind, child)
    return ChildName(_workspace(found), collection, child)


def parse_run(name: str) -> RunName:
    """Takes a run's name apart. Raises InvalidArgument."""
    found = _split(name, _WORKSPACE + "/experiments/{experiment}/runs/{run id}")
    if found["experiment"] != "-":
        check_name("experiment", found["experiment"])
    return RunName(_workspace(found), found["experiment"], check_name("run id", found["run id"]))
