"""The emulator's records on SQLite: one repository per kind of record, one connection, one change feed.

Everything is synchronous and short, and belongs to the thread that opened the store: the event loop's. A call that has
returned is committed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from localaml.store.artifacts import Artifacts
from localaml.store.assets import AssetFilter, Assets
from localaml.store.changes import ChangeFeed, Subscription
from localaml.store.clusters import Clusters, Nodes
from localaml.store.database import Database
from localaml.store.datastores import Datastores
from localaml.store.events import EVENTS_TOPIC, EventFilter, Events
from localaml.store.experiments import Experiments
from localaml.store.faults import Faults
from localaml.store.metrics import Metrics
from localaml.store.portable import Rewrite, check_copy
from localaml.store.quotas import Counters, Quotas
from localaml.store.run_filter import RunFilter
from localaml.store.runs import RunPage, Runs
from localaml.store.schema import FORMAT_VERSION
from localaml.store.secrets import Secrets
from localaml.store.snapshots import Snapshots
from localaml.store.unfinished import Unfinished
from localaml.store.workspaces import Workspaces

__all__ = [
    "EVENTS_TOPIC",
    "FORMAT_VERSION",
    "AssetFilter",
    "ChangeFeed",
    "EventFilter",
    "Rewrite",
    "RunFilter",
    "RunPage",
    "Store",
    "Subscription",
]


class Store:
    """All records of one state dir. Made by `Store.open`."""

    def __init__(self, database: Database, changes: ChangeFeed) -> None:
        self._database = database
        self.changes = changes
        self.workspaces = Workspaces(database)
        self.clusters = Clusters(database)
        self.nodes = Nodes(database)
        self.datastores = Datastores(database)
        self.experiments = Experiments(database)
        self.runs = Runs(database)
        self.metrics = Metrics(database, self.runs.row_number)
        self.artifacts = Artifacts(database)
        self.snapshots = Snapshots(database)
        self.assets = Assets(database)
        self.secrets = Secrets(database)
        self.events = Events(database)
        self.quotas = Quotas(database)
        self.counters = Counters(database)
        self.faults = Faults(database)
        self.unfinished = Unfinished(database)

    @classmethod
    def open(cls, path: Path) -> Store:
        """Opens the metadata file, making it or bringing it to the current format as needed.

        Raises:
            FailedPrecondition: ``STATE_DIR_TOO_NEW``: a newer LocalAML wrote it; ``STATE_DIR_DAMAGED``;
                ``STATE_DIR_UNUSABLE``.
            ResourceExhausted: ``DISK_FULL``.
        """
        changes = ChangeFeed()
        return cls(Database.open(path, changes), changes)

    def close(self) -> None:
        """Closes the file. Idempotent."""
        self._database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """What is done inside happens as a whole or not at all; may be nested. Do not `await` inside."""
        return self._database.transaction()

    def save_to(self, path: Path, rewrite: Rewrite) -> None:
        """Writes a copy of all records to a new file, without credentials: `rewrite` knows those inside of records."""
        self._database.save_to(path, rewrite)

    def load_from(self, path: Path) -> None:
        """Replaces all records by those of a file that `check_file` has found good; as a whole or not at all."""
        self._database.load_from(path)

    @staticmethod
    def check_file(path: Path) -> None:
        """Raises as `portable.check_copy` does when a file cannot take the place of the records."""
        check_copy(path)

    def wipe(self) -> None:
        """Removes all records."""
        self._database.execute("DELETE FROM workspaces")
        self.events.forget()
        self._database.publish_all()
