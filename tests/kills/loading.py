"""A state takes the place of another (see `tests.support.kill_points`): there is the one or the other then, whole."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from localaml.clock import RealClock
from localaml.domain.models import Datastore, Experiment, Run, Workspace
from localaml.domain.names import ChildName, RunName, WorkspaceName
from localaml.domain.states import RunState
from localaml.paths import ACCOUNT, StatePaths, artifact_key, content_key, datastore_prefix, default_container
from localaml.services.state import StateService
from localaml.storage.disk import DiskStore
from localaml.store import Store
from localaml_proto.admin.v1 import state_pb2

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
CALLER: Any = None


class _Orchestrator:
    async def cancel_all(self) -> int:
        return 0

    async def delete_workspace_runs(self, workspace_id: str) -> None:
        return None

    def restore(self) -> None:
        return None


def _service(paths: StatePaths) -> tuple[StateService, Store]:
    store = Store.open(paths.metadata)
    context: Any = SimpleNamespace(
        store=store,
        objects=DiskStore(paths.objects, paths.incoming),
        settings=SimpleNamespace(state_dir=paths.root),
        clock=RealClock(),
        faults=None,
        orchestrator=_Orchestrator(),
    )
    return StateService(context), store


def _fill(paths: StatePaths, which: str) -> None:
    service, store = _service(paths)
    # Both states have the workspace "w", as one that is loaded again has; each has one of its own.
    for name in ("w", which):
        workspace = WorkspaceName("s", "g", name)
        store.workspaces.insert(Workspace(workspace, name, NOW))
        store.datastores.put(
            Datastore(ChildName(workspace, "datastores", "b"), name, "AzureBlob", NOW, ACCOUNT, default_container(name))
        )
        store.experiments.insert(Experiment(ChildName(workspace, "experiments", "e"), name, f"{name}-guid", NOW))
        run = Run(RunName(workspace, "e", f"e_{which}"), name, 0, "azureml.scriptrun", RunState.COMPLETED, NOW, False)
        run = store.runs.insert(run)
        data = datastore_prefix(ACCOUNT, default_container(name))
        keys = {
            artifact_key(run.key, "outputs/model"): f"model of {which}",
            content_key(name, hashlib.sha256(which.encode()).hexdigest()): which,
            data + "in both": f"of {which}",
            # A file in the one, and a folder of this name in the other.
            data + ("place" if which == "new" else "place/below/deeper"): which,
        }
        for key, text in keys.items() if name == "w" else list(keys.items())[:1]:
            path = paths.objects / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    store.close()
    del service


def _look(paths: StatePaths) -> dict[str, str]:
    """All records and objects, by what they are called."""
    with closing(sqlite3.connect(paths.metadata)) as database:
        found = {
            f"{table} {row[0]} {row[1]}": repr(row)
            for table in ("workspaces", "runs", "datastores", "experiments")
            for row in database.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
        }
    for path in paths.objects.rglob("*"):
        if path.is_file():
            found[str(path.relative_to(paths.objects))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def prepare(folder: Path) -> None:
    for which in ("new", "old"):
        _fill(StatePaths(folder / which), which)
    service, store = _service(StatePaths(folder / "new"))
    asyncio.run(service.save_state(state_pb2.SaveStateRequest(path=str(folder / "archive")), CALLER))
    store.close()


def act(folder: Path) -> None:
    service, _ = _service(StatePaths(folder / "old"))
    asyncio.run(service.load_state(state_pb2.LoadStateRequest(path=str(folder / "archive")), CALLER))


def resume(folder: Path) -> None:
    from localaml.control.state_exchange import finish_exchange

    paths = StatePaths(folder / "old")
    store = Store.open(paths.metadata)
    asyncio.run(finish_exchange(paths, store, DiskStore(paths.objects, paths.incoming)))
    store.close()
    now, new = _look(paths), _look(StatePaths(folder / "new"))
    if now != new:
        # Nothing of the old one is touched before that of the new one is decided.
        _fill(StatePaths(folder / "again"), "old")
        old = _look(StatePaths(folder / "again"))
        assert now == old, {key for key in {*now, *old, *new} if now.get(key) != old.get(key)}
    assert not paths.loading.exists() and list(paths.incoming.iterdir()) == []
