"""Where things lie in a state dir. The only place that knows.

<state dir>/
    metadata.sqlite3          records (with -wal and -shm beside it)
    endpoint.json             addresses and pid of the running emulator
    token                     bearer token of the owner, mode 0600
    signing.key               key of signed URLs and run tokens, mode 0600
    lock                      held by the running emulator
    format                    version of this layout
    ports.json                the ports that the last emulator had: the next one takes them again
    cloud.json                which cloud the objects are in; missing: files in `objects`
    ephemeral                 only in a state dir that goes with its emulator
    had-containers            nodes have been containers: whoever cleans up looks for them
    clock.json                the time of a virtual or scaled clock
    emulator.log              log of `localaml start -d`
    objects/                  the disk object store, one folder per container (keys below)
    incoming/                 objects being written
    disk-reserve              room for records when a job has filled the disk
    runs/<workspace id>/<run id>/{work,logs,control,tmp,mounts,datasets}
    preparing/<workspace id>/<run id>/          the same, until the run's processes start: no job sees it
    temporary/                notes on the short folders that are TMPDIR of runs' processes, elsewhere
    removing/                                   what was in `runs` and is being removed
    loading/                                    a state that is to take this one's place, while it is loaded
    saving                                      the folder in which an archive of this state is being written
    marks/<workspace id>/<run id>/              notes on a run's end, which no job sees
    nodes/<workspace id>/<cluster>/<node id>/   folders of logical nodes

Keys in the object store:
    <account>/<container>/<path>                                          data of a datastore
    <account>/<default container>/azureml/ExperimentRun/dcid.<run id>/<path>   artifacts of a run
    contents/<workspace id>/<first two>/<sha256>                          contents of snapshots
    _models/<workspace id>/<asset id>/<path>                              files of registered models (no account's name
                                                                          begins with `_`)
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from localaml.domain.models import RunKey


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Folders of one run.

    Attributes:
        root: where they are now.
        later: where the run's processes will see them, when that is elsewhere.
    """

    root: Path
    later: Path | None = None

    @property
    def seen(self) -> Path:
        """Where the run's processes see `root`."""
        return self.later or self.root

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def control(self) -> Path:
        return self.root / "control"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    @property
    def mounts(self) -> Path:
        return self.root / "mounts"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"


@dataclass(frozen=True, slots=True)
class StatePaths:
    """Files and folders of one state dir."""

    root: Path

    @property
    def metadata(self) -> Path:
        return self.root / "metadata.sqlite3"

    @property
    def endpoint(self) -> Path:
        return self.root / "endpoint.json"

    @property
    def token(self) -> Path:
        return self.root / "token"

    @property
    def clock(self) -> Path:
        return self.root / "clock.json"

    @property
    def signing_key(self) -> Path:
        return self.root / "signing.key"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def format(self) -> Path:
        return self.root / "format"

    @property
    def ports(self) -> Path:
        return self.root / "ports.json"

    @property
    def cloud(self) -> Path:
        return self.root / "cloud.json"

    @property
    def ephemeral(self) -> Path:
        return self.root / "ephemeral"

    @property
    def had_containers(self) -> Path:
        return self.root / "had-containers"

    @property
    def log(self) -> Path:
        return self.root / "emulator.log"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def preparing(self) -> Path:
        return self.root / "preparing"

    @property
    def removing(self) -> Path:
        return self.root / "removing"

    @property
    def temporary(self) -> Path:
        return self.root / "temporary"

    @property
    def loading(self) -> Path:
        return self.root / "loading"

    @property
    def saving(self) -> Path:
        return self.root / "saving"

    @property
    def marks(self) -> Path:
        return self.root / "marks"

    @property
    def disk_reserve(self) -> Path:
        return self.root / "disk-reserve"

    @property
    def nodes(self) -> Path:
        return self.root / "nodes"

    def node(self, workspace_id: str, cluster: str, node_id: str) -> Path:
        """Folder of a logical node (its ids were checked by `domain.names`)."""
        return self.nodes / workspace_id / cluster / node_id

    def run(self, key: RunKey) -> RunPaths:
        """Folders of a run (its ids were checked by `domain.names`)."""
        return RunPaths(self.runs / key.workspace_id / key.run_id)

    def prepared(self, key: RunKey) -> RunPaths:
        """Folders of a run that is being prepared."""
        return RunPaths(self.preparing / key.workspace_id / key.run_id, self.run(key).root)


ACCOUNT = "localaml"
MODELS = "_models"
ARTIFACTS = "azureml"
"""Folder of a workspace's default datastore in which the artifacts of its runs are."""
_DEFAULT_CONTAINER = "azureml-blobstore-"


def default_container(workspace_id: str) -> str:
    """Name of the container behind a workspace's default datastore, as Azure names it."""
    return f"{_DEFAULT_CONTAINER}{workspace_id}"


def default_file_share(workspace_id: str) -> str:
    """Name of the share behind a workspace's `workspacefilestore`."""
    return f"azureml-filestore-{workspace_id}"


def datastore_prefix(account: str, container: str) -> str:
    """Key prefix of a datastore's data; ends with `/`."""
    return f"{account}/{container}/"


def artifact_key(run: RunKey, path: str) -> str:
    """Key of a run's artifact."""
    container = datastore_prefix(ACCOUNT, default_container(run.workspace_id))
    return f"{container}{ARTIFACTS}/ExperimentRun/dcid.{run.run_id}/{path}"


def has_artifacts(account: str, container: str) -> bool:
    """Whether a datastore of this account and container holds artifacts of runs, in the folder `ARTIFACTS`."""
    return _folded(account) == ACCOUNT and _folded(container).startswith(_DEFAULT_CONTAINER)


def is_for_artifacts(account: str, container: str, path: str) -> bool:
    """Whether a path of a datastore lies where the artifacts of runs are. Jobs read there, and do not write.

    Args:
        path: relative, with `/`, without `.` and `..`.
    """
    return has_artifacts(account, container) and _folded(path.partition("/")[0]) == ARTIFACTS


def _folded(name: str) -> str:
    # A file system may take "AzureML", or a name with characters that nobody sees, for the same folder.
    seen = "".join(each for each in unicodedata.normalize("NFKC", name) if unicodedata.category(each) != "Cf")
    return seen.casefold()


def artifact_of(key: str) -> tuple[RunKey, str] | None:
    """The run and the path of an artifact's key; None for any other key."""
    parts = key.split("/", 5)
    if len(parts) == 6 and parts[4].startswith("dcid."):
        run = RunKey(parts[1].removeprefix(default_container("")), parts[4].removeprefix("dcid."))
        if artifact_key(run, parts[5]) == key:
            return run, parts[5]
    return None


def content_key(workspace_id: str, sha256: str) -> str:
    """Key of a snapshot file's content."""
    return f"contents/{workspace_id}/{sha256[:2]}/{sha256}"


def model_prefix(workspace_id: str, asset_id: str = "") -> str:
    """Key prefix of the files of a model version, or of all models of a workspace; ends with `/`."""
    return f"{MODELS}/{workspace_id}/{asset_id}/" if asset_id else f"{MODELS}/{workspace_id}/"
