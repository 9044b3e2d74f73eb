"""The public surface of azureml-core / azureml-train-core 1.0.8 and 1.61, and how ours compares with it.

`surface.json` holds facts read off the published packages: module -> class ("" for functions) -> name -> what it is in
1.0.8 and in 1.61 (null: not there): the arguments of a call, ``property``, ``attribute``, ``class`` or
``constant <value>``. `declared.json` holds what we decided about it:

- `not_supported`: names (or whole classes and modules) that raise, with the reason;
- `without_effect`: parameters that are taken and change nothing ("": the attribute itself);
- `refused`: parameters that raise when they are given, with a call that shows it;
- `different`: defaults and forms that differ on purpose, or that Python cannot express twice.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ERAS = ("1.0.8", "1.61")
_MISSING = object()


@dataclass(frozen=True)
class Name:
    """One public name of Azure's SDK."""

    module: str
    cls: str
    member: str
    eras: tuple[str | None, str | None]

    @property
    def path(self) -> str:
        """The name as it is written in `declared.json`."""
        return ".".join(part for part in (self.module, self.cls, self.member) if part)

    @property
    def is_call(self) -> bool:
        return any(era is not None and era.startswith("(") for era in self.eras)


@dataclass
class Finding:
    """What is wrong with ours against one name."""

    problems: list[str] = field(default_factory=list)


def read(name: str) -> Any:
    """A data file of this folder."""
    return json.loads((HERE / name).read_text("utf-8"))


def names() -> Iterator[Name]:
    """Everything in `surface.json`."""
    for module, classes in read("surface.json").items():
        for cls, members in classes.items():
            for member, (old, new) in members.items():
                yield Name(module, cls, member, (old, new))


def holder(name: Name) -> Any:
    """Our class or module that should have the name. Raises ImportError or AttributeError."""
    module = importlib.import_module(name.module)
    return getattr(module, name.cls) if name.cls else module


def parameters(call: Any) -> dict[str, inspect.Parameter]:
    """The parameters of a function, a method or a class, without the object itself."""
    found = dict(inspect.signature(call).parameters)
    found.pop("self", None)
    return found


def wanted(arguments: str) -> dict[str, inspect.Parameter]:
    """The parameters of a text such as ``(name, value=None)``; a default that is no literal is kept as its text."""
    node = ast.parse(f"def f{arguments}: pass").body[0]
    assert isinstance(node, ast.FunctionDef)
    kinds = inspect.Parameter
    found = {}
    positional = node.args.args
    first_default = len(positional) - len(node.args.defaults)
    for index, argument in enumerate(positional):
        default = node.args.defaults[index - first_default] if index >= first_default else None
        found[argument.arg] = kinds(argument.arg, kinds.POSITIONAL_OR_KEYWORD, default=_value(default))
    if node.args.vararg:
        found[node.args.vararg.arg] = kinds(node.args.vararg.arg, kinds.VAR_POSITIONAL)
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        found[argument.arg] = kinds(argument.arg, kinds.KEYWORD_ONLY, default=_value(default))
    if node.args.kwarg:
        found[node.args.kwarg.arg] = kinds(node.args.kwarg.arg, kinds.VAR_KEYWORD)
    return found


def _value(node: ast.expr | None) -> Any:
    if node is None:
        return inspect.Parameter.empty
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _same_default(ours: Any, theirs: Any) -> bool:
    # An enumeration's member is written as ``Class.member``.
    return ours == theirs or (type(ours).__name__ + "." + str(getattr(ours, "name", "")) == theirs)


def compare(name: Name) -> Finding:
    """What is missing or different. Parameters that begin with ``_`` are not public, but count for the positions."""
    finding = Finding()
    try:
        where = holder(name)
    except ModuleNotFoundError as error:
        finding.problems.append(f"no module {error.name}")
        return finding
    except (ImportError, AttributeError) as error:
        finding.problems.append(f"no class: {error}")
        return finding
    if name.member == "__class__":
        return finding
    if not name.is_call:
        if not has(where, name.member):
            finding.problems.append("is not there")
        elif any(era == "property, settable" for era in name.eras):
            found = inspect.getattr_static(where, name.member, None)
            if isinstance(found, property) and found.fset is None:
                finding.problems.append("cannot be set")
        _compare_constant(name, where, finding)
        return finding
    if not has(where, name.member):
        finding.problems.append("is not there")
        return finding
    call = where if name.member == "__init__" else getattr(where, name.member)
    if isinstance(inspect.getattr_static(where, name.member, None), property):
        finding.problems.append("is a property, and not a method")
        return finding
    if not callable(call):
        finding.problems.append("cannot be called")
        return finding
    ours = parameters(call)
    old, new = (wanted(era) if era is not None and era.startswith("(") else None for era in name.eras)
    for era, theirs in (("1.0.8", old), ("1.61", new)):
        if theirs is not None:
            _compare_call(ours, theirs, era, finding, newer=new if era == "1.0.8" else None)
    return finding


def _compare_constant(name: Name, where: Any, finding: Finding) -> None:
    for era in name.eras:
        if era is not None and era.startswith("constant ") and not finding.problems:
            value = getattr(where, name.member, _MISSING)
            # Of an enumeration's member either the value is noted, or its own name.
            forms = (repr(getattr(value, "value", value)), str(value))
            if era.partition(" ")[2] not in forms:
                finding.problems.append(f"is {forms[0]}, not {era.partition(' ')[2]}")


def _compare_call(
    ours: dict[str, inspect.Parameter],
    theirs: dict[str, inspect.Parameter],
    era: str,
    finding: Finding,
    newer: dict[str, inspect.Parameter] | None,
) -> None:
    catches_all = any(item.kind is item.VAR_KEYWORD for item in ours.values())
    for key, item in theirs.items():
        if item.kind in (item.VAR_KEYWORD, item.VAR_POSITIONAL):
            if not any(one.kind is item.kind for one in ours.values()):
                finding.problems.append(f"{era}: takes no {item}")
        elif key not in ours:
            if not key.startswith("_") and not catches_all:
                finding.problems.append(f"{era}: takes no {key}")
        elif not key.startswith("_") and not _same_default(ours[key].default, item.default):
            as_later = newer is not None and key in newer and _same_default(ours[key].default, newer[key].default)
            may_be_left_out = item.default is item.empty and ours[key].default is not item.empty
            if not as_later and not may_be_left_out:
                finding.problems.append(f"the default of {key} is {ours[key].default!r}, not {item.default!r}")
    if newer is None:
        in_order = [key for key, item in theirs.items() if item.kind is item.POSITIONAL_OR_KEYWORD]
        mine = [key for key, item in ours.items() if item.kind is item.POSITIONAL_OR_KEYWORD]
        for index, key in enumerate(in_order):
            if key in mine and mine.index(key) != index:
                finding.problems.append(f"{era}: {key} is argument {mine.index(key) + 1}, not {index + 1}")


def has(where: Any, member: str) -> bool:
    if not inspect.isclass(where):
        return hasattr(where, member)
    return inspect.getattr_static(where, member, _MISSING) is not _MISSING or member in _assigned(where)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


@cache
def _assigned(cls: type) -> frozenset[str]:
    """The attributes that a class of ours declares or assigns to ``self``, also through its bases."""
    found: set[str] = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("azureml"):
            continue
        found |= set(vars(base).get("__annotations__", {}))
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(base)))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
                found.add(node.attr)
    return frozenset(found)
