"""What is attacked: an emulator with two workspaces and runs in them, and what shows whether anything changed."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.emulator_process import EmulatorProcess
from tests.support.waiting import wait_until

from campaigns.attacks.clients import Answer, http_request, rpc
from localaml.domain.models import RunKey
from localaml.services.tokens import RunTokens

GROUP = "subscriptions/s/resourceGroups/g"
WS = f"{GROUP}/workspaces/mine"
OTHER_WS = f"{GROUP}/workspaces/other"
EXP = f"{WS}/experiments/exp"
ELSEWHERE = f"{WS}/experiments/elsewhere"
STORE = f"{WS}/datastores/workspaceblobstore"
NO_RUN = f"{EXP}/runs/missing"


class Scene:
    """A started emulator. Run `own` belongs to the attacker: below `parent`, with `child` below it. `sibling` is of the
    same experiment, `stranger` of another one, and workspace `other` has an `own`, too.

    Attributes:
        target: where jobs are submitted to.
    """

    def __init__(self, emulator: EmulatorProcess) -> None:
        self.emulator = emulator
        self.state_dir = emulator.state_dir
        self.target = "local"
        self._numbers = itertools.count(1)

    @property
    def http(self) -> str:
        return str(self.emulator.endpoint["http_address"])

    @property
    def owner(self) -> str:
        return (self.state_dir / "token").read_text().strip()

    def make(self) -> Scene:
        """The workspaces and runs."""
        self._ids = {}
        for name in ("mine", "other"):
            made = self.ask("WorkspaceService/CreateWorkspace", {"parent": GROUP, "workspaceName": name})
            self._ids[name] = made["workspaceId"]
        for experiment, run, parent in (
            (EXP, "parent", ""),
            (EXP, "own", "parent"),
            (EXP, "child", "own"),
            (EXP, "sibling", "parent"),
            (ELSEWHERE, "stranger", ""),
            (f"{OTHER_WS}/experiments/exp", "own", ""),
        ):
            self.run(run, experiment, parent)
        return self

    def run(self, run_id: str = "", parent: str = EXP, below: str = "") -> str:
        """A run that goes on without processes; its id."""
        run_id = run_id or f"run-{next(self._numbers)}"
        self.ask("RunService/CreateRun", {"parent": parent, "runId": run_id, "parentRunId": below})
        return run_id

    def workspace_id(self, name: str = "mine") -> str:
        return str(self._ids[name])

    def token(self, run_id: str = "own", workspace: str = "mine") -> str:
        """The token that the run's processes have (`test_the_token_of_a_job_is_such_a_one` says that it is)."""
        return RunTokens((self.state_dir / "signing.key").read_bytes()).make(
            RunKey(self.workspace_id(workspace), run_id)
        )

    def call(self, method: str, request: Mapping[str, Any], token: str | None) -> Answer:
        """A call of ours: `RunService/GetRun`."""
        return rpc(self.http, f"localaml.v1.{method}", request, token)

    def ask(self, method: str, request: Mapping[str, Any], token: str = "") -> Any:
        """A call that has to be answered, of the owner unless there is a token."""
        answer = self.call(method, request, token or self.owner)
        assert answer.status == 200, (method, answer)
        return answer.json

    def transfer(self, url: str, method: str = "GET", body: bytes | None = None) -> Answer:
        """What a signed URL, as it is given, leads to."""
        return http_request(self.http, method, url.removeprefix(self.http), body)

    def upload(self, path: str, data: bytes, token: str = "", store: str = STORE) -> Answer:
        """Writes a file of a datastore."""
        answer = self.call(
            "DatastoreService/CreateDatastoreUploadUrls",
            {"name": store, "paths": [path], "overwrite": True},
            token or self.owner,
        )
        return self.transfer(answer.json["urls"][0]["url"], "PUT", data) if answer.status == 200 else answer

    def artifact(self, run_id: str, path: str, data: bytes, experiment: str = EXP) -> None:
        """Gives a run a file."""
        made = self.ask(
            "ArtifactService/CreateArtifactUploadUrls", {"parent": f"{experiment}/runs/{run_id}", "paths": [path]}
        )
        assert self.transfer(made["urls"][0]["url"], "PUT", data).status == 201

    def snapshot(self, script: str, token: str = "") -> str:
        """A snapshot with `train.py`; its id."""
        data = script.encode()
        entry = {"path": "train.py", "sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": len(data)}
        request = {"parent": WS, "entries": [entry]}
        made = self.ask("SnapshotService/CreateSnapshot", request, token)
        for missing in made.get("missing", []):
            assert self.transfer(missing["url"], "PUT", data).status == 201
            made = self.ask("SnapshotService/CreateSnapshot", request, token)
        return str(made["snapshot"]["snapshotId"])

    def submit(self, text: str, /, token: str = "", below: str = "", **definition: Any) -> Answer:
        """Submits a script that needs nothing but this Python, unless its definition says otherwise."""
        python = {"userManagedDependencies": True, "interpreterPath": sys.executable}
        values = {
            "script": "train.py",
            "target": self.target,
            "nodeCount": 1,
            "environment": {"python": python},
            **definition,
        }
        request = {
            "parent": EXP,
            "parentRunId": below,
            "definition": values,
            "snapshotId": self.snapshot(text, token),
        }
        return self.call("RunService/SubmitRun", request, token or self.owner)

    def ended(self, run_id: str, seconds: float = 90) -> dict[str, Any]:
        """The run once it has ended."""
        name = f"{EXP}/runs/{run_id}"
        last: dict[str, Any] = {}

        def has_ended() -> bool:
            last.update(self.ask("RunService/GetRun", {"name": name}))
            return last["state"] in ("RUN_STATE_COMPLETED", "RUN_STATE_FAILED", "RUN_STATE_CANCELED")

        wait_until(has_ended, seconds, f"run {run_id} to end", self.emulator.log)
        return last

    def performed(self, text: str, /, **definition: Any) -> tuple[dict[str, Any], str]:
        """What became of a job of the owner's, and what it printed."""
        answer = self.submit(text, **definition)
        assert answer.status == 200, answer
        run = self.ended(answer.json["runId"])
        return run, self.log(run["runId"])

    def log(self, run_id: str) -> str:
        """What the job printed."""
        request = {"parent": f"{EXP}/runs/{run_id}", "paths": ["azureml-logs/80_driver_log.txt"]}
        answer = self.call("ArtifactService/CreateArtifactDownloadUrls", request, self.owner)
        if answer.status != 200:
            return ""
        return self.transfer(answer.json["urls"][0]["url"]).body.decode(errors="replace")

    def contents(self) -> dict[str, str]:
        """Every file that the object store has, with its digest."""
        root = self.state_dir / "objects"
        return {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*"))
            if path.is_file() or path.is_symlink()
        }

    def container(self, workspace: str = "mine") -> Path:
        """The folder behind the default datastore."""
        return self.state_dir / "objects" / "localaml" / f"azureml-blobstore-{self.workspace_id(workspace)}"
