from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.records import make_workspace

from localaml.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store.open(tmp_path / "metadata.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def workspace_store(store: Store) -> Store:
    """A store with the workspace of `records.make_workspace`."""
    store.workspaces.insert(make_workspace())
    return store
