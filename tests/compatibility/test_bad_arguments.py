"""The same mistakes raise the same classes as with Microsoft's client, as it was observed (`bad_arguments.json`)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.compatibility import bad_arguments

_CASES = bad_arguments.cases()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The files that cases name, in the current folder."""
    before = Path.cwd()
    bad_arguments.prepare(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in _CASES.items()])
def test_a_bad_argument(case: dict[str, str], folder: Path, request: pytest.FixtureRequest) -> None:
    code = case["code"]
    more: dict[str, Any] = {"auth": None}
    if re.search(r"\b(ws|ds|Workspace)\b", code):
        more["ws"] = request.getfixturevalue("workspace")
        more["ds"] = more["ws"].get_default_datastore()
    assert bad_arguments.outcome(code, bad_arguments.names(**more)) == case.get("ours", case["raises"])


def test_enough_cases_raise_the_same_class() -> None:
    same = [name for name, case in _CASES.items() if "ours" not in case]
    assert len(same) >= 60
    assert all(_CASES[name]["raises"] for name in same)


def test_what_differs_says_why() -> None:
    different = [case for case in _CASES.values() if "ours" in case]
    assert all(case["why"] and case["ours"] != case["raises"] for case in different)
