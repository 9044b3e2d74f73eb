"""The config.json of a workspace: where it is found, what it may say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azureml._localaml.config_file import WorkspaceConfig, find_config, read_config, write_config
from azureml.exceptions import UserErrorException

CONFIG = WorkspaceConfig("s", "g", "w")


def put(path: Path, content: object = CONFIG._asdict()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_the_order_of_places_is_azures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Observed on azureml-core 1.61: the folder name decides before the file name, and that before nearness."""
    start = tmp_path / "a" / "b"
    start.mkdir(parents=True)
    monkeypatch.chdir(start)
    for place in (
        "a/project.json", "config.json", "a/b/config.json", "aml_config/project.json", "a/aml_config/project.json",
        "aml_config/config.json", "a/.azureml/project.json", ".azureml/config.json", "a/.azureml/config.json",
    ):  # fmt: skip
        put(tmp_path / place)
        assert find_config() == str(tmp_path / place), place
    assert find_config(str(tmp_path)) == str(tmp_path / ".azureml/config.json")


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    put(tmp_path / ".azureml" / "config.json")
    other = put(tmp_path / "other.json")
    assert find_config(str(other)) == str(other)
    named = put(tmp_path / ".azureml" / "named.json")
    assert find_config(str(tmp_path), "named.json") == str(named)


def test_none_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserErrorException, match="localaml init"):
        find_config(str(tmp_path), "no-such-name.json")


def test_both_forms_are_read(tmp_path: Path) -> None:
    scope = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
    assert read_config(str(put(tmp_path / "a.json"))) == CONFIG
    assert read_config(str(put(tmp_path / "b.json", {"Id": None, "Scope": scope}))) == CONFIG


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"subscription_id": "s"}', '{"Scope": "x"}'])
def test_a_useless_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserErrorException, match=r"config\.json"):
        read_config(str(tmp_path / "config.json"))


def test_written_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_config(CONFIG) == str(tmp_path / ".azureml" / "config.json")
    assert read_config(find_config()) == CONFIG
    (tmp_path / "sub").mkdir()
    assert write_config(CONFIG, "sub", "x.json") == str(tmp_path / "sub" / ".azureml" / "x.json")
    with pytest.raises(UserErrorException, match="Could not write"):
        write_config(CONFIG, "missing/folder")
