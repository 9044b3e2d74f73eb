"""Finding the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from azureml._localaml import endpoint as module
from azureml._localaml.client import get_client
from azureml._localaml.endpoint import EmulatorNotFound, find_endpoint
from azureml.exceptions import UserErrorException


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "LOCALAML_ENDPOINT", "LOCALAML_GRPC_ENDPOINT", "LOCALAML_TOKEN", "LOCALAML_TOKEN_FILE", "LOCALAML_STATE_DIR",
        "LOCALAML_ENDPOINT_FILE", "AZUREML_RUN_TOKEN", "LOCALAML_TRANSPORT",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def state_dir(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text("owner\n")
    content = {
        "http_address": "http://127.0.0.1:1", "grpc_address": "127.0.0.1:2", "token_file": str(folder / "token"),
    }  # fmt: skip
    content.update(changes)
    (folder / "endpoint.json").write_text(json.dumps(content))
    return folder


def test_nothing_anywhere_tells_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(EmulatorNotFound, match="localaml start -d"):
        find_endpoint()
    with pytest.raises(UserErrorException, match="localaml start -d") as caught:
        get_client()
    assert str(tmp_path / "data" / "localaml" / "endpoint.json") in caught.value.message


def test_the_default_state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state_dir(tmp_path / "data" / "localaml")
    assert find_endpoint()[:3] == ("http://127.0.0.1:1", "127.0.0.1:2", "owner")
    monkeypatch.delenv("XDG_DATA_HOME")
    state_dir(tmp_path / "home" / ".local" / "share" / "localaml", http_address="http://127.0.0.1:3")
    assert find_endpoint().http_address == "http://127.0.0.1:3"
    monkeypatch.setattr(module.sys, "platform", "darwin")
    assert module.default_state_dir() == str(tmp_path / "home" / "Library" / "Application Support" / "localaml")


def test_variables_go_before_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state_dir(tmp_path / "data" / "localaml")
    monkeypatch.setenv("LOCALAML_STATE_DIR", str(state_dir(tmp_path / "other", http_address="http://127.0.0.1:5")))
    assert find_endpoint().http_address == "http://127.0.0.1:5"
    monkeypatch.setenv("LOCALAML_ENDPOINT", "http://localhost:9/")
    assert find_endpoint()[:3] == ("http://localhost:9", "", "")
    monkeypatch.setenv("LOCALAML_TOKEN_FILE", str(tmp_path / "other" / "token"))
    monkeypatch.setenv("LOCALAML_GRPC_ENDPOINT", "localhost:8")
    assert find_endpoint()[:3] == ("http://localhost:9", "localhost:8", "owner")
    monkeypatch.setenv("LOCALAML_TOKEN", "from variable")
    assert find_endpoint().token == "from variable"


def test_in_a_job_the_file_is_read_when_the_address_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = state_dir(tmp_path / "state", http_address="http://127.0.0.1:7")
    monkeypatch.setenv("LOCALAML_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("LOCALAML_ENDPOINT_FILE", str(state / "endpoint.json"))
    monkeypatch.setenv("AZUREML_RUN_TOKEN", "run")
    monkeypatch.setenv("LOCALAML_TOKEN", "owner")
    first, again = find_endpoint(), find_endpoint(use_file=True)
    assert first[:3] == ("http://127.0.0.1:1", "", "run")
    assert again[:3] == ("http://127.0.0.1:7", "127.0.0.1:2", "run")
    assert first.source == again.source


def test_a_broken_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = state_dir(tmp_path / "s")
    monkeypatch.setenv("LOCALAML_STATE_DIR", str(folder))
    (folder / "token").unlink()
    with pytest.raises(EmulatorNotFound, match="token"):
        find_endpoint()
    for content in ("{", "[]", "{}"):
        (folder / "endpoint.json").write_text(content)
        with pytest.raises(EmulatorNotFound, match=r"endpoint\.json"):
            find_endpoint()


def test_one_client_per_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAML_STATE_DIR", str(state_dir(tmp_path / "one")))
    one = get_client()
    assert get_client() is one
    monkeypatch.setenv("LOCALAML_STATE_DIR", str(state_dir(tmp_path / "two")))
    assert get_client() is not one
    monkeypatch.setenv("LOCALAML_STATE_DIR", str(state_dir(tmp_path / "one", http_address="http://127.0.0.1:77")))
    assert get_client() is one
    assert one.endpoint.http_address == "http://127.0.0.1:77"
