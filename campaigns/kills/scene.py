"""What all clients of a campaign share: names, folders, the source of the runs, and how long things go on."""

from __future__ import annotations

import shutil
import sys
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaigns.kills import job

if TYPE_CHECKING:
    from campaigns.calls import Caller, Message
    from campaigns.emulator import EmulatorProcess
    from campaigns.kills.ledger import Ledger

GROUP = "subscriptions/campaign/resourceGroups/kills"
WORKSPACE = f"{GROUP}/workspaces/kills"
DATASTORE = f"{WORKSPACE}/datastores/workspaceblobstore"
EXPERIMENT = f"{WORKSPACE}/experiments/killed"
SINGLE, PAIRS = "singles", "pairs"
"""Clusters that runs go to."""


@dataclass
class Scene:
    """One campaign.

    Attributes:
        folder: everything of the campaign; the emulator has `state` and `tmp` in it.
        marker: in the command line of everything that a job starts.
        python: interpreter of the runs.
        notes: folder where jobs note the digests of their files; None where they cannot reach it (containers).
        stopping: set when clients are to begin nothing new.
        given_up: set when nobody is to wait for the emulator any more.
    """

    folder: Path
    emulator: EmulatorProcess
    ledger: Ledger
    seed: int
    compute: str = "process"
    store: str = "disk"
    python: str = sys.executable
    marker: str = field(default_factory=lambda: f"localaml-campaign-{uuid.uuid4().hex}")
    snapshot_id: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)
    given_up: threading.Event = field(default_factory=threading.Event)

    @property
    def notes(self) -> Path | None:
        if self.compute != "process":
            return None
        folder = self.folder / "job-notes"
        folder.mkdir(exist_ok=True)
        return folder

    def arguments(self, plan: Message) -> list[str]:
        """Of the script `job.py`."""
        import json

        notes = self.notes
        return [self.marker, json.dumps(plan), *([str(notes)] if notes is not None else [])]

    def definition(self, plan: Message, *, nodes: int = 1, target: str = SINGLE) -> Message:
        """The definition of a run that follows the plan."""
        return {
            "script": "job.py",
            "arguments": self.arguments(plan),
            "target": target,
            "framework": "Python",
            "communicator": "Mpi" if nodes > 1 else "None",
            "nodeCount": nodes,
            "environment": {"python": {"userManagedDependencies": True, "interpreterPath": self.python}},
            "mpi": {"processCountPerNode": 1, "nodeCount": nodes},
        }

    def prepare(self, caller: Caller) -> None:
        """Makes the workspace, the clusters and the snapshot."""
        caller.call(
            "WorkspaceService", "CreateWorkspace", {"parent": GROUP, "workspaceName": "kills", "allowExisting": True}
        )
        for name, most in ((SINGLE, 4), (PAIRS, 4)):
            caller.call("ComputeService", "CreateComputeTarget", cluster_request(name, [0, most, 600]))
        caller.call("ExperimentService", "CreateExperiment", {"parent": WORKSPACE, "experimentName": "killed"})
        source = self.folder / "source"
        source.mkdir()
        shutil.copy(job.__file__, source / "job.py")
        self.snapshot_id = _snapshot(caller, source / "job.py")


def cluster_request(name: str, scale: Sequence[int], request_id: str = "") -> Message:
    """A CreateComputeTargetRequest.

    Args:
        scale: least and most nodes, and seconds that an idle one stays.
    """
    least, most, idle = scale
    settings: dict[str, Any] = {
        "minNodeCount": least,
        "maxNodeCount": most,
        "idleSecondsBeforeScaledown": idle,
    }
    return {
        "parent": WORKSPACE,
        "computeTargetName": name,
        "computeTarget": {"vmSize": "STANDARD_D2_V2", "vmPriority": "dedicated", "scaleSettings": settings},
        "requestId": request_id,
    }


def _snapshot(caller: Caller, script: Path) -> str:
    import hashlib

    data = script.read_bytes()
    entry = {"path": script.name, "sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": str(len(data))}
    while True:
        answer = caller.call("SnapshotService", "CreateSnapshot", {"parent": WORKSPACE, "entries": [entry]})
        for missing in answer.get("missing", ()):
            caller.put(missing["url"], data)
        if "snapshot" in answer:
            return str(answer["snapshot"]["snapshotId"])
