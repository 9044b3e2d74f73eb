"""One submitted run with its folders, on a real metadata file and a real disk store."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest
from tests.jobs.world import World

from localaml.domain.models import Datastore, Experiment, Run, RunKey, Snapshot, SnapshotEntry, Workspace
from localaml.domain.names import ChildName, RunName, WorkspaceName
from localaml.domain.states import RunState
from localaml.paths import ACCOUNT, RunPaths, StatePaths, artifact_key, content_key, datastore_prefix
from localaml.storage.disk import DiskStore
from localaml.store import Store

NAME = WorkspaceName("s", "g", "w")
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
CONTAINER = "container"


@dataclass
class RunFiles:
    """What the parts of the job layer that deal with files need."""

    store: Store
    objects: DiskStore
    key: RunKey
    paths: RunPaths
    incoming: Path

    async def snapshot(self, files: dict[str, bytes], executable: tuple[str, ...] = ()) -> str:
        """Stores a snapshot with these files; returns its id."""
        entries = []
        for path, data in files.items():
            digest = hashlib.sha256(data).hexdigest()
            writer = await self.objects.open_writer(content_key("wid", digest))
            await writer.write(data)
            await writer.commit()
            entries.append(SnapshotEntry(path, digest, len(data), path in executable))
        # As in life, the id follows from the content.
        snapshot_id = hashlib.sha256(repr(entries).encode()).hexdigest()[:32]
        self.store.snapshots.put(Snapshot("wid", snapshot_id, NOW, tuple(entries)))
        return snapshot_id

    @property
    def datastore(self) -> Path:
        """The real folder behind the datastore `data`."""
        folder = self.objects.local_folder(datastore_prefix(ACCOUNT, CONTAINER))
        assert folder is not None
        return folder

    async def artifact(self, path: str) -> bytes:
        """Content of an artifact, by its row."""
        row = self.store.artifacts.find(self.key, path)
        assert row is not None, f"no artifact {path}"
        assert row.object_key == artifact_key(self.key, path)
        data = b"".join([chunk async for chunk in self.objects.read(row.object_key)])
        assert len(data) == row.size_bytes
        return data

    def artifacts(self) -> list[str]:
        return [row.path for row in self.store.artifacts.list(self.key)]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[RunFiles]:
    state = StatePaths(tmp_path / "state")
    store = Store.open(state.metadata)
    store.workspaces.insert(Workspace(NAME, "wid", NOW))
    store.experiments.insert(Experiment(ChildName(NAME, "experiments", "e"), "wid", "experiment-guid", NOW))
    store.datastores.put(
        Datastore(
            ChildName(NAME, "datastores", "data"),
            "wid",
            "AzureBlob",
            NOW,
            account_name=ACCOUNT,
            container_name=CONTAINER,
        )
    )
    run = store.runs.insert(Run(RunName(NAME, "e", "e_1"), "wid", 0, "azureml.scriptrun", RunState.RUNNING, NOW, True))
    paths = state.run(run.key)
    for folder in (paths.work / "outputs", paths.work / "logs", paths.logs, paths.control, paths.tmp, paths.mounts):
        folder.mkdir(parents=True)
    yield RunFiles(store, DiskStore(state.objects, state.incoming), run.key, paths, state.incoming)
    store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.orchestrator.start()
    yield made
    await made.orchestrator.close()
    made.store.close()
