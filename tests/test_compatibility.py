"""docs/compatibility.md claims only what a test proves."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "compatibility.md"
_STATES = {"yes", "partly", "no"}
_PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:::(\w+))?`")


class Row(NamedTuple):
    line: int
    feature: str
    supported: str
    remarks: str
    proof: str


def _rows() -> list[Row]:
    rows = []
    for number, line in enumerate(DOCUMENT.read_text("utf-8").splitlines(), 1):
        if not line.startswith("|") or line.startswith(("|---", "| Feature |")):
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert len(cells) == 4, f"line {number}: four columns are expected"
        rows.append(Row(number, *cells))
    return rows


def _tests_of(path: Path) -> set[tuple[str, str | None]]:
    found: set[tuple[str, str | None]] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add((node.name, None))
        elif isinstance(node, ast.ClassDef):
            functions = (one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
            found.update((node.name, function.name) for function in functions)
    return found


def test_every_row_says_whether_it_is_supported() -> None:
    rows = _rows()
    assert len(rows) > 30
    assert not [row for row in rows if row.supported not in _STATES]
    assert not [row for row in rows if row.supported != "yes" and not row.remarks], "say what is missing"


def test_what_is_supported_names_a_test_that_exists() -> None:
    wrong = []
    for row in _rows():
        proofs = _PROOF.findall(row.proof)
        if row.supported != "no" and not proofs:
            wrong.append(f"line {row.line}: {row.feature}: names no test")
        for file, name, method in proofs:
            path = ROOT / file
            if not path.is_file() or (name, method or None) not in _tests_of(path):
                wrong.append(
                    f"line {row.line}: {row.feature}: there is no {file}::{name}{'::' + method if method else ''}"
                )
    assert not wrong, "\n".join(wrong)
