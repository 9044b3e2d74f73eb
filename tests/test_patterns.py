"""Patterns that see text of callers, jobs or servers take time in proportion to it, and no more.

Every regular expression in the packages is found in their source and tried, in the way in which it is used, on texts
that are made to be bad for it. One that is put together while the program runs cannot be found so: it has a line in
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
from typing import Any

import pytest

from localaml.domain.datasets import pattern_of
from localaml.errors import InvalidArgument
from localaml.jobs.environments.conda import read_conda_dependencies

try:  # Python 3.11 and newer
    from re import _constants as c
    from re import _parser as parser
except ImportError:
    import sre_constants as c  # type: ignore[no-redef]
    import sre_parse as parser  # type: ignore[no-redef]

ROOT = Path(__file__).parent.parent
METHODS = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
# File and function: why no pattern of the source is there to be tried.
MADE_LATER = {
    "emulator/localaml/compute/launch/results.py:": "bytes; a fixed number of digits",
    "emulator/localaml/domain/datasets.py:_class": "one character only",
    "emulator/localaml/domain/datasets.py:pattern_of": "test_wildcards_of_datasets",
    "emulator/localaml/testing/assertions.py:assert_log_contains": "the test's own text",
    "sdk/azureml/_localaml/ignore.py:_parse": "the user's own ignore files for the user's own folders",
    "sdk/azureml/data/_partition_format.py:parse": "the user's own form for the user's own paths",
    "sdk/azureml/data/dataset_factory.py:_pattern": "the user's own wildcards for the user's own files",
}
# Where a pattern of linear time takes a few milliseconds, one of quadratic time takes seconds.
LENGTH = 20_000
# First short ones: with some patterns the time doubles with each character.
LENGTHS = (16, 20, 24, 28, 300, 3_000, LENGTH)
MOST_SECONDS = 0.4


@dataclass(frozen=True)
class Use:
    """One pattern in one way of using it."""

    place: str
    pattern: str
    flags: int
    method: str

    def __str__(self) -> str:
        return f"{self.place} {self.method}"


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
            used = {method}
            if method == "compile":
                names = [key for key, value in known.items() if value == pattern]
                used = set().union(*(methods.get(each, set()) for each in names)) or set(METHODS)
            for each in sorted(used):
                uses.append(Use(f"{name}:{call.lineno}", pattern, _flags(call), each))
    return uses, later


USES, LATER = _found()


# -- texts that are bad for a pattern -------------------------------------------------------------------------------


def _characters(node: Any) -> list[str]:
    """A few characters that a part of a pattern for one character takes."""
    kind, value = node
    if kind is c.LITERAL:
        return [chr(value)]
    candidates = [*" a0=-_.,/:;\"'\\[](){}<>#@%&?*+|~^$!\n\t\r│Z", "é"]
    if kind is c.ANY:
        return [" ", "a", "=", "[", "/"]
    if kind is c.NOT_LITERAL:
        return [each for each in candidates if ord(each) != value][:4]
    if kind is c.IN:
        found = [each for each in candidates if _is_in(value, each)]
        return found[:1] + found[len(found) // 2 :][:2] or [chr(v) for k, v in value if k is c.LITERAL][:1]
    return []


def _is_in(items: Any, character: str) -> bool:
    negated, inside = False, False
    for kind, value in items:
        if kind is c.NEGATE:
            negated = True
        elif kind is c.LITERAL:
            inside |= ord(character) == value
        elif kind is c.RANGE:
            inside |= value[0] <= ord(character) <= value[1]
        elif kind is c.CATEGORY:
            name = str(value).rpartition("_")[2].lower()
            does = {"digit": character.isdigit(), "space": character.isspace()}.get(
                name, character.isalnum() or character == "_"
            )
            inside |= does is not ("NOT_" in str(value))
    return inside is not negated


def _samples(tree: Any) -> list[str]:
    """A few short texts that a pattern takes."""
    texts = [""]
    for kind, value in tree:
        if kind in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
            parts = _characters((kind, value))
        elif kind in (c.MAX_REPEAT, c.MIN_REPEAT) or str(kind) == "POSSESSIVE_REPEAT":
            least, _, inner = value
            parts = [each * max(least, 0) for each in _samples(inner)]
        elif kind is c.SUBPATTERN:
            parts = _samples(value[3])
        elif kind is c.BRANCH:
            parts = [each for branch in value[1] for each in _samples(branch)[:2]]
        else:
            parts = [""]
        texts = [text + part for text in texts for part in dict.fromkeys(parts or [""])][:6]
    return texts


def _bad_texts(tree: Any, length: int, before: tuple[str, ...] = ("",)) -> Iterator[str]:
    """For each repetition in a pattern: what comes before it, then it again and again, then what fits nothing."""
    for kind, value in tree:
        if kind in (c.MAX_REPEAT, c.MIN_REPEAT) or str(kind) == "POSSESSIVE_REPEAT":
            _, most, inner = value
            if most is c.MAXREPEAT or most > 100:
                units = _samples(inner)
                units += [one + other for one in units[:3] for other in units[:3] if one != other]
                for unit in filter(None, units):
                    for start in before[:3]:
                        yield start + unit * (length // len(unit))
            yield from _bad_texts(inner, length, before)
            part = _samples(inner)
        elif kind is c.SUBPATTERN:
            yield from _bad_texts(value[3], length, before)
            part = _samples(value[3])
        elif kind is c.BRANCH:
            for branch in value[1]:
                yield from _bad_texts(branch, length, before)
            part = [each for branch in value[1] for each in _samples(branch)[:1]]
        else:
            part = _samples([(kind, value)])
        before = tuple(dict.fromkeys(text + each for text in before[:3] for each in part[:2] or [""]))


def seconds(pattern: re.Pattern[str], method: str, text: str) -> float:
    """Processor time that a pattern takes for a text."""
    begin = time.thread_time()
    if method in ("sub", "subn"):
        pattern.sub("", text)
    elif method == "finditer":
        for _ in pattern.finditer(text):
            pass
    else:
        getattr(pattern, method)(text)
    return time.thread_time() - begin


def slowest(pattern: re.Pattern[str], method: str) -> tuple[float, str]:
    """The most time that a text took, and its beginning. Stops at the first that took too long."""
    worst = (0.0, "")
    for length in LENGTHS:
        # So that also a pattern that begins with its repetition meets texts in which that can begin anywhere.
        bad = [*_bad_texts(parser.parse(pattern.pattern, pattern.flags), length), " " * length, "a" * length]
        for text in dict.fromkeys(text + end for text in bad for end in ("\0", "\n\0 x")):
            took = seconds(pattern, method, text)
            worst = max(worst, (took, repr(text[:40])))
            if took > MOST_SECONDS:
                return worst
    return worst


def test_this_finds_what_is_bad() -> None:
    """The check itself: it fails for patterns of which this is known."""
    for bad, method in (
        (r"\s*(,|\||[=<>!~]+)\s*", "sub"),
        (r"\[(.*)\]\s*$", "search"),
        (r"(\w+)\s*=\s*x", "findall"),
        (r"x(\d+)*y", "search"),
        (r"\s+$", "sub"),
    ):
        took, _ = slowest(re.compile(bad, re.DOTALL), method)
        assert took > MOST_SECONDS, bad


def test_there_are_patterns() -> None:
    assert len(USES) > 80
    assert any("environments/conda.py" in use.place for use in USES)


def test_patterns_that_are_made_later_are_known() -> None:
    assert sorted(set(LATER)) == sorted(MADE_LATER)


@pytest.mark.parametrize("use", USES, ids=str)
def test_patterns_take_time_in_proportion(use: Use) -> None:
    took, text = slowest(re.compile(use.pattern, use.flags), use.method)
    assert took < MOST_SECONDS, f"{use.pattern!r} took {took:.2f} s for {LENGTH} characters or fewer like {text}"


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
        assert seconds(pattern_of(bad), "fullmatch", text) < MOST_SECONDS, bad


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
