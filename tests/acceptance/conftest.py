"""Fixtures of the acceptance tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments, made once per session."""
    return tmp_path_factory.mktemp("cache")
