"""Tests of Azure are skipped where Azurite cannot be had, but not where it is required."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import azurite


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without npm, on which no test run has been before."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(azurite, "_FOLDER", tmp_path / "cache")
    monkeypatch.delenv("LOCALAML_TEST_AZURITE", raising=False)


def test_without_azurite_tests_are_skipped() -> None:
    with pytest.raises(pytest.skip.Exception, match="no npm"):
        azurite.azurite_program()


def test_without_azurite_tests_fail_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAML_TEST_AZURITE", "required")
    with pytest.raises(pytest.fail.Exception, match="no npm to get Azurite with, and LOCALAML_TEST_AZURITE=required"):
        azurite.azurite_program()


def test_a_program_that_is_named_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "azurite-blob"
    program.touch()
    monkeypatch.setenv("LOCALAML_TEST_AZURITE", str(program))
    assert azurite.azurite_program() == program
