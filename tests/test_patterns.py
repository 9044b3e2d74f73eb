"""Patterns that see text of callers, jobs or servers take time in proportion to it, and no more.

Every regular expression in the packages is found in their source, and looked at in the way in which it is used
(`tests.support.pattern_analysis`). One that is put together while the program runs cannot be found so: it has a line in
`MADE_LATER` that says which test looks at it.
"""

from __future__ import annotations

import ast
import random
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.pattern_analysis import trouble

from localaml.domain.datasets import pattern_of
from localaml.errors import InvalidArgument
from localaml.jobs.environments.conda import read_conda_dependencies

ROOT = Path(__file__).parent.parent
METHODS = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
# File and function: why no pattern of the source is there to be tried.
MADE_LATER = {
    "emulator/localaml/compute/launch/results.py:": "bytes; a fixed number of digits",
    "emulator/localaml/domain/datasets.py:_class": "one character only",
    "emulator/localaml/domain/datasets.py:pattern_of": "test_wildcards_of_datasets",
    "emulator/localaml/testing/assertions.py:assert_log_contains": "the test's own text",
    "sdk/azureml/_localaml/ignore.py:_parse": "the user's own ignore files for the user's own folders",
    "sdk/azureml/_run_impl/yaml_scalars.py:quoted": "one class of characters, whose run ends a match",
    "sdk/azureml/data/_partition_format.py:parse": "the user's own form for the user's own paths",
    "sdk/azureml/data/dataset_factory.py:_pattern": "the user's own wildcards for the user's own files",
}
# Uses of patterns that the check finds and that are no harm: why.
HARMLESS = {
    "emulator/localaml/jobs/environments/uv_tool.py _CREDENTIALS fullmatch": "names of the emulator's own variables",
}
# Of the processor, for long texts: with a pattern of quadratic time these take a hundred times as long.
MOST_SECONDS = 1.0


@dataclass(frozen=True)
class Use:
    """One pattern in one way of using it."""

    place: str
    name: str
    pattern: str
    flags: int
    method: str

    def __str__(self) -> str:
        return f"{self.place} {self.name} {self.method}"


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("emulator", "sdk"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ".venv" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def _is_re(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "re"


def _text(node: ast.expr, known: dict[str, str]) -> str | None:
    """The value of an expression of plain texts and of constants and patterns of the same module."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and node.attr == "pattern" and isinstance(node.value, ast.Name):
        return known.get(node.value.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left, known), _text(node.right, known)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.JoinedStr):
        parts = [_text(part.value if isinstance(part, ast.FormattedValue) else part, known) for part in node.values]
        return None if None in parts else "".join(map(str, parts))
    return None


def _flags(call: ast.Call) -> int:
    names = [
        node.attr
        for argument in [*call.args[1:], *(k.value for k in call.keywords)]
        for node in ast.walk(argument)
        if isinstance(node, ast.Attribute) and _is_re(node)
    ]
    return sum(int(getattr(re, name)) for name in set(names))


def _found() -> tuple[list[Use], list[str]]:
    """All uses of patterns, and the places of those that are made while the program runs."""
    uses: list[Use] = []
    later: list[str] = []
    for name, module in _modules():
        known: dict[str, str] = {}
        for statement in module.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                value = statement.value
                if isinstance(value, ast.Call) and _is_re(value.func) and value.args:
                    value = value.args[0]
                text = _text(value, known)
                if text is not None:
                    known[statement.targets[0].id] = text
        methods: dict[str, set[str]] = {}
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in METHODS:
                methods.setdefault(node.value.id, set()).add(node.attr)
        targets = {
            node.value: [each.id for each in node.targets if isinstance(each, ast.Name)]
            for node in ast.walk(module)
            if isinstance(node, ast.Assign)
        }
        functions = [node for node in ast.walk(module) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        for call in (node for node in ast.walk(module) if isinstance(node, ast.Call) and _is_re(node.func)):
            method = call.func.attr  # type: ignore[attr-defined]
            if method not in (*METHODS, "compile") or not call.args:
                continue
            inside = [each.name for each in functions if each.lineno <= call.lineno <= (each.end_lineno or 0)]
            pattern = _text(call.args[0], known)
            if pattern is None:
                later.append(f"{name}:{inside[-1] if inside else ''}")
                continue
            used, names = {method}, targets.get(call, [])
            if method == "compile":
                used = set().union(*(methods.get(each, set()) for each in names)) or set(METHODS)
            owner = "".join([*names, *inside][:1])
            uses += [Use(name, owner, pattern, _flags(call), each) for each in sorted(used)]
    return uses, later


USES, LATER = _found()


BAD = [
    (r"\s*(,|\||[=<>!~]+)\s*", "sub"),
    (r"\[(.*)\]\s*$", "search"),
    (r"\s*(.*)\s*", "fullmatch"),
    (r"(\w+)\s*=\s*x", "findall"),
    (r"x(\d+)*y", "match"),
    (r"(\w\d|\d\w)*!", "match"),
    (r"(\w*a?)+!", "match"),
    (r"(a{2,}){2,}b", "match"),
    (r"\s+$", "sub"),
    (r"(?<!x)a+b", "search"),
    (r"(['\"]).*\1", "search"),
    (r"(\d+(\.\d+)?[a-z]?)+", "fullmatch"),
]
GOOD = [
    (r"\s+", "sub"),
    (r"^\s+x", "search"),
    (r"\s+$", "match"),
    (r"[a-z]+:[a-z]+:", "fullmatch"),
    (r"(?<![a-z])[a-z]+://", "search"),
    (r"\b[a-z]+\d", "search"),
    (r"([a-z]+,)*x", "fullmatch"),
    (r"[^:]*:(.*)", "fullmatch"),
    (r"x*y?", "search"),
    (r"(?<=://)[^/@]+@", "sub"),
]


@pytest.mark.parametrize(("pattern", "method"), BAD)
def test_the_check_finds_what_is_bad(pattern: str, method: str) -> None:
    assert trouble(pattern, re.DOTALL, method)


@pytest.mark.parametrize(("pattern", "method"), GOOD)
def test_and_nothing_else(pattern: str, method: str) -> None:
    assert trouble(pattern, re.DOTALL, method) == ""


def test_there_are_patterns() -> None:
    assert len(USES) > 80
    assert any("environments/conda.py" in use.place for use in USES)


def test_patterns_that_are_made_later_are_known() -> None:
    assert sorted(set(LATER)) == sorted(MADE_LATER)


def test_patterns_take_time_in_proportion() -> None:
    found = {}
    for use in USES:
        bad = trouble(use.pattern, use.flags, use.method)
        if bad:
            found[str(use)] = f"{use.pattern!r}: {bad}"
    unknown = {place: bad for place, bad in found.items() if place not in HARMLESS}
    assert not unknown, "\n".join(f"{place}: {bad}" for place, bad in unknown.items())
    assert sorted(HARMLESS) == sorted(found), "no longer there"


def _naive(pattern: list[str], path: list[str]) -> bool:
    """What wildcards of datasets mean, by trying everything."""
    if not pattern:
        return not path
    head, *rest = pattern
    if head == "**":
        if not rest:
            return bool(path)
        return any(_naive(rest, path[count:]) for count in range(len(path) + 1))
    return bool(path) and _fits(head, path[0]) and _naive(rest, path[1:])


def _fits(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(_fits(pattern[1:], name[count:]) for count in range(len(name) + 1))
    return bool(name) and (pattern[0] in ("?", name[0])) and _fits(pattern[1:], name[1:])


def test_wildcards_of_datasets() -> None:
    chance = random.Random(1)
    for _ in range(1000):
        names = ["**", "*", "?", "a", "b", "a*", "*a", "*a*b", "a*b*", "a?*b", "*ab*a*"]
        pattern = [chance.choice(names) for _ in range(chance.randint(1, 5))]
        path = ["".join(chance.choice("ab") for _ in range(chance.randint(1, 5))) for _ in range(chance.randint(1, 6))]
        found = pattern_of("/".join(pattern)).fullmatch("/".join(path)) is not None
        assert found is _naive(pattern, path), ("/".join(pattern), "/".join(path))
    for bad, text in (
        ("*a" * 120 + "b", "a" * 250),
        ("**/a/" * 60 + "b", "a/" * 500 + "c"),
        ("**/*a*a*b/" * 20 + "b", ("a" * 60 + "/") * 15 + "c"),
        ("**/**/" * 60 + "b", "a/" * 500),
        ("?*" * 120 + "b", "a" * 250),
    ):
        wildcards = pattern_of(bad)
        begin = time.thread_time()
        wildcards.fullmatch(text)
        assert time.thread_time() - begin < MOST_SECONDS, bad


def test_a_dependency_with_many_blanks_is_refused_at_once() -> None:
    for bad in (
        "numpy" + " " * 40_000 + "x y z",
        "numpy[" + "[" * 40_000 + "x",
        "numpy[" + "a" * 40_000 + "]",
        "numpy" + "]" * 40_000,
        "a" * 40_000 + "!",
        "=" * 40_000,
    ):
        for lines in ([bad], [{"pip": [bad]}], [bad[:4000]], [{"pip": [bad[:4000]]}]):
            begin = time.thread_time()
            # Cut off, one of them is a name.
            with suppress(InvalidArgument):
                read_conda_dependencies({"dependencies": lines})
            assert time.thread_time() - begin < MOST_SECONDS, bad[:20]
        with pytest.raises(InvalidArgument) as caught:
            read_conda_dependencies({"dependencies": [bad]})
        assert caught.value.reason == "ENVIRONMENT_INVALID"
        assert len(caught.value.message) < 1000
