"""Opening, migrating, transactions, a full disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.store.records import WORKSPACE, WORKSPACE_ID, make_run, make_workspace

from localaml.domain.models import MetricRecord, RunKey
from localaml.errors import AlreadyExists, FailedPrecondition, NotFound, ResourceExhausted
from localaml.store import FORMAT_VERSION, Store


def test_open_makes_the_folder_and_the_format_version(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "metadata.sqlite3"
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT_VERSION,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_state_dir_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "metadata.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(FailedPrecondition, match="newer LocalAML") as caught:
        Store.open(path)
    assert caught.value.reason == "STATE_DIR_TOO_NEW"
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "metadata.sqlite3"
    path.write_bytes(b"something else " * 1000)
    with pytest.raises(FailedPrecondition) as caught:
        Store.open(path)
    assert caught.value.reason == "STATE_DIR_DAMAGED"
    assert path.read_bytes() == b"something else " * 1000


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metadata.sqlite3"
    monkeypatch.setattr("localaml.store.database.MIGRATIONS", ("CREATE TABLE a (b);\nCREATE TABLE a (b);\n",))
    with pytest.raises(FailedPrecondition, match="already exists") as caught:
        Store.open(path)
    assert caught.value.reason == "STATE_DIR_UNUSABLE"
    monkeypatch.undo()
    store = Store.open(path)
    store.workspaces.insert(make_workspace())
    store.close()


def test_a_path_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "metadata.sqlite3", tmp_path / "folder"):
        with pytest.raises(FailedPrecondition) as caught:
            Store.open(path)
        assert caught.value.reason == "STATE_DIR_UNUSABLE"


def test_transaction_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction():
        store.workspaces.insert(make_workspace())
        store.runs.insert(make_run())
        raise RuntimeError
    assert store.workspaces.list() == []
    with store.transaction():
        store.workspaces.insert(make_workspace())
        store.runs.insert(make_run())
    assert store.runs.get(RunKey(WORKSPACE_ID, "r")).number == 1


def test_an_inner_transaction_can_be_given_up_alone(workspace_store: Store) -> None:
    store = workspace_store
    with store.transaction():
        store.runs.insert(make_run("kept"))
        with pytest.raises(RuntimeError), store.transaction():
            store.runs.insert(make_run("dropped"))
            raise RuntimeError
        with pytest.raises(AlreadyExists):
            store.runs.insert(make_run("kept"))
        store.runs.insert(make_run("later"))
    assert [run.run_id for run in store.runs.list_active()] == ["kept", "later"]
    assert store.runs.get(RunKey(WORKSPACE_ID, "later")).number == 2


async def test_changes_are_told_after_the_commit_and_only_then(workspace_store: Store) -> None:
    store = workspace_store
    run = store.runs.insert(make_run())
    told: list[int] = []
    with store.changes.subscribe(run.key) as subscription:
        subscription._notify = lambda: told.append(1)  # type: ignore[method-assign]  # to see when, not only whether
        with store.transaction():
            store.runs.update(run)
            assert told == []
        assert told == [1]
        with pytest.raises(RuntimeError), store.transaction():
            store.runs.update(run)
            raise RuntimeError
        assert told == [1]


def test_a_full_disk_is_told_and_nothing_is_half_stored(workspace_store: Store) -> None:
    store = workspace_store
    run = store.runs.insert(make_run())
    pages = store._database.one("PRAGMA page_count")
    assert pages is not None
    # SQLite answers exactly as on a full disk.
    store._database.execute(f"PRAGMA max_page_count = {pages[0] + 5}")
    batch = [MetricRecord("m", 1, "x" * 500, i) for i in range(1000)]
    with pytest.raises(ResourceExhausted) as caught:
        store.metrics.append(run.key, batch, "w", 1)
    assert caught.value.reason == "DISK_FULL"
    assert store.metrics.list(run.key) == []
    with pytest.raises(ResourceExhausted), store.transaction():
        store.runs.insert(make_run("big", definition=b"x" * 1_000_000))
    assert store.runs.find(RunKey(WORKSPACE_ID, "big")) is None

    store._database.execute("PRAGMA max_page_count = 1000000")
    assert store.metrics.append(run.key, batch, "w", 1) == 1000, "the batch that failed was not remembered as taken"
    assert store.runs.insert(make_run("big")).number == 2


def test_rows_below_a_missing_parent_are_refused(store: Store) -> None:
    with pytest.raises(NotFound) as caught:
        store.runs.insert(make_run())
    assert caught.value.reason == "PARENT_NOT_FOUND"


def test_wipe_and_workspace_delete_leave_no_row(workspace_store: Store) -> None:
    store = workspace_store
    other = make_workspace(name=type(WORKSPACE)("sub", "group", "other"), workspace_id="other-id")
    store.workspaces.insert(other)
    run = store.runs.insert(make_run(tags={"a": "b"}))
    store.metrics.append(run.key, [MetricRecord("m", 1, "1", 1)], "w", 1)

    def counts() -> dict[str, int]:
        tables = [row[0] for row in store._database.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {table: store._database.one(f"SELECT count(*) FROM {table}") for table in tables}
        return {table: row[0] for table, row in rows.items() if row is not None and row[0] and "sqlite" not in table}

    assert counts() == {"workspaces": 2, "runs": 1, "run_labels": 1, "metrics": 1, "metric_batches": 1}
    store.workspaces.delete(WORKSPACE_ID)
    assert counts() == {"workspaces": 1}
    store.wipe()
    assert counts() == {}
