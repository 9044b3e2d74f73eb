"""Versions of assets, secrets, and a state dir that was made before there were any."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.store.records import NOW, WORKSPACE, WORKSPACE_ID, make_workspace

from localaml.domain.models import Asset, Secret
from localaml.errors import NotFound
from localaml.store import AssetFilter, Store
from localaml.store.schema import MIGRATIONS


def _model(name: str = "m", asset_id: str = "", **changes: Any) -> Asset:
    _model.count += 1  # type: ignore[attr-defined]  # an id of its own for each
    return replace(Asset(WORKSPACE_ID, "model", name, asset_id or f"id-{_model.count}", NOW), **changes)  # type: ignore[attr-defined]


_model.count = 0  # type: ignore[attr-defined]


def test_a_state_dir_of_format_1_opens_with_all_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "metadata.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript(MIGRATIONS[0] + "PRAGMA user_version = 1;")
    connection.execute(
        "INSERT INTO workspaces VALUES (?, 'sub', 'group', 'ws', 0, '', '', 'local', 'Basic', '{}', 'x')",
        (WORKSPACE_ID,),
    )
    connection.commit()
    connection.close()
    store = Store.open(path)
    assert store.workspaces.get(WORKSPACE).workspace_id == WORKSPACE_ID
    assert store.assets.add(_model()).version == 1
    store.close()
    store = Store.open(path)
    assert store.assets.get(WORKSPACE_ID, "model", "m").version == 1
    store.close()


def test_what_is_stored_comes_back(workspace_store: Store) -> None:
    assets = workspace_store.assets
    stored = assets.add(
        _model(
            description="d",
            tags={"a": "ü"},
            properties={"p": "1"},
            labels=("best",),
            payload={"x": [1, None, {"y": 2.5}]},
        )
    )
    assert stored.version == 1
    assert assets.get(WORKSPACE_ID, "model", "m") == stored
    assert assets.get(WORKSPACE_ID, "model", "m", 1) == assets.get(WORKSPACE_ID, "model", "m", label="best") == stored
    assert assets.get_by_id(WORKSPACE_ID, "model", stored.asset_id) == stored
    assert assets.find(WORKSPACE_ID, "environment", "m") is None
    assert assets.find_by_id(WORKSPACE_ID, "environment", stored.asset_id) is None


def test_versions_count_from_one_per_name_and_are_never_given_again(workspace_store: Store) -> None:
    assets = workspace_store.assets
    assert [assets.add(_model()).version for _ in range(3)] == [1, 2, 3]
    assert assets.add(_model("other")).version == 1
    assert assets.add(replace(_model(), kind="dataset")).version == 1
    assets.delete(WORKSPACE_ID, "model", "m", 3)
    assert assets.versions(WORKSPACE_ID, "model", "m") == [2, 1]
    assert assets.get(WORKSPACE_ID, "model", "m").version == 2
    assert assets.add(_model()).version == 4
    assets.delete(WORKSPACE_ID, "model", "m")
    assert assets.versions(WORKSPACE_ID, "model", "m") == []
    assert assets.add(_model()).version == 5
    assert assets.find(WORKSPACE_ID, "model", "other") is not None


def test_a_repeated_request_stores_nothing_new(workspace_store: Store) -> None:
    assets = workspace_store.assets
    first = assets.add(_model(request_id="r"))
    assert assets.add(_model(request_id="r")) == first
    assert assets.add(_model()).version == 2
    assert assets.add(_model()).version == 3


def test_missing_ones_say_what_there_is(workspace_store: Store) -> None:
    assets = workspace_store.assets
    with pytest.raises(NotFound, match="There is none"):
        assets.get(WORKSPACE_ID, "model", "m")
    assets.add(_model())
    for call, text in (
        (lambda: assets.get(WORKSPACE_ID, "model", "x"), "There is: m"),
        (lambda: assets.get(WORKSPACE_ID, "model", "m", 7), "no version 7. Its versions: 1"),
        (lambda: assets.get(WORKSPACE_ID, "model", "m", 2**70), "no version"),
        (lambda: assets.get(WORKSPACE_ID, "model", "m", label="best"), "labelled 'best'"),
        (lambda: assets.get_by_id(WORKSPACE_ID, "model", "x"), "the id 'x'"),
        (lambda: assets.update(_model(version=9)), "no version 9"),
    ):
        with pytest.raises(NotFound, match=text) as caught:
            call()
        assert caught.value.reason == "MODEL_NOT_FOUND"
    with pytest.raises(NotFound) as caught:
        assets.add(replace(_model(), workspace_id="gone"))
    assert caught.value.reason == "PARENT_NOT_FOUND"


def test_listing(workspace_store: Store) -> None:
    assets = workspace_store.assets
    assets.add(_model("a", tags={"k": "1"}, payload={"run_id": "r1"}))
    assets.add(_model("b", tags={"k": "2"}, properties={"p": "x"}))
    assets.add(_model("a", tags={"k": "2", "best": ""}))

    def listed(**wanted: Any) -> list[tuple[str, int]]:
        found = assets.list(WORKSPACE_ID, "model", AssetFilter(**wanted))
        return [(asset.name, asset.version) for _, asset in found]

    assert listed() == [("a", 2), ("b", 1), ("a", 1)]
    assert listed(name="a") == [("a", 2), ("a", 1)]
    assert listed(latest_only=True) == [("a", 2), ("b", 1)]
    assert listed(tags={"k": "2"}) == [("a", 2), ("b", 1)]
    assert listed(tags={"k": "2", "best": ""}) == [("a", 2)]
    assert listed(tags={"k": "1"}, latest_only=True) == []
    assert listed(properties={"p": ""}) == [("b", 1)]
    assert listed(payload={"run_id": "r1"}) == [("a", 1)]
    assert assets.list(WORKSPACE_ID, "dataset") == []
    first = assets.list(WORKSPACE_ID, "model", limit=2)
    rest = assets.list(WORKSPACE_ID, "model", after=first[-1][0])
    assert [asset.name for _, asset in first + rest] == ["a", "b", "a"]


def test_a_label_is_on_one_version(workspace_store: Store) -> None:
    assets = workspace_store.assets
    one, two = assets.add(_model()), assets.add(_model())
    assets.update(replace(one, labels=("a", "b"), tags={"t": "1"}, description="new"))
    assets.update(replace(two, labels=("b",)))
    one = assets.get(WORKSPACE_ID, "model", "m", 1)
    assert (one.labels, one.tags, one.description) == (("a",), {"t": "1"}, "new")
    assert assets.get(WORKSPACE_ID, "model", "m", label="b").version == 2


def test_secrets(workspace_store: Store) -> None:
    secrets = workspace_store.secrets
    later = NOW.replace(year=2030)
    secrets.put(Secret(WORKSPACE_ID, "Name", NOW, NOW, "text", b"\x00sealed"))
    secrets.put(Secret(WORKSPACE_ID, "name", later, later, "", b"again"))
    found = secrets.get(WORKSPACE_ID, "NAME")
    assert (found.name, found.created_at, found.updated_at, found.sealed) == ("Name", NOW, later, b"again")
    assert "again" not in repr(found)
    secrets.put(Secret(WORKSPACE_ID, "other", NOW, NOW))
    assert [each.name for each in secrets.list(WORKSPACE_ID)] == ["Name", "other"]
    assert [each.name for each in secrets.list(WORKSPACE_ID, after="name")] == ["other"]
    secrets.delete(WORKSPACE_ID, "nAME")
    secrets.delete(WORKSPACE_ID, "nAME")
    with pytest.raises(NotFound) as caught:
        secrets.get(WORKSPACE_ID, "name")
    assert caught.value.reason == "SECRET_NOT_FOUND"


def test_all_go_with_their_workspace(workspace_store: Store) -> None:
    store = workspace_store
    store.assets.add(_model())
    store.secrets.put(Secret(WORKSPACE_ID, "s", NOW, NOW))
    store.workspaces.delete(WORKSPACE_ID)
    store.workspaces.insert(make_workspace())
    assert store.assets.add(_model()).version == 1
    assert store.secrets.find(WORKSPACE_ID, "s") is None
