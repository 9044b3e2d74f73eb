"""Fixtures of the SDK's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.sdk.fake_server import FakeServer

from azureml._localaml.client import Client


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server to script."""
    with FakeServer() as running:
        yield running


@pytest.fixture
def client(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of it, over HTTP."""
    monkeypatch.setenv("LOCALAML_TRANSPORT", "http")
    made = server.client()
    yield made
    made.close()
