"""A small world for the calls to be about: so that they get as far as the records, not only to the door."""

from __future__ import annotations

import hashlib
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from campaigns.fuzz.rpcs import Rpc
from campaigns.fuzz.transports import Outcome, Transports

GROUP = "subscriptions/fuzz/resourceGroups/group"
WORKSPACE = f"{GROUP}/workspaces/ws"
OTHER = f"{GROUP}/workspaces/other"
EXPERIMENT = f"{WORKSPACE}/experiments/exp"
RUN = f"{EXPERIMENT}/runs/going"
_SCRIPT = b"print('hello')\n"
# Of a family without quota: what is submitted to it waits, and costs nothing.
NEVER = "never"
_USER_MANAGED = {"python": {"userManagedDependencies": True}}


class WorldError(Exception):
    """The world could not be made: good calls failed."""


class World:
    """The resources, by fixed names. `build` makes what is missing.

    Attributes:
        ids: what only the emulator knows: `snapshot`, `model`, `dataset`, ...
        names: full names of resources, for fields that take one.
        words: short names, ids and values, for all other texts.
    """

    def __init__(self, rpcs: dict[str, Rpc], files: Path) -> None:
        self._rpcs = rpcs
        self.files = files
        self.ids: dict[str, str] = {}
        self._generation = 0

    # -- making it ----------------------------------------------------------------------------------------------------

    def build(self, calls: Transports) -> None:
        """Makes what is missing. Raises WorldError."""
        self._generation += 1
        make = self._maker(calls)
        for name in ("ws", "other"):
            make("WorkspaceService/CreateWorkspace", parent=GROUP, workspaceName=name, allowExisting=True)
        make("ComputeService/UpdateQuota", parent=WORKSPACE, vmFamily="standardDFamily", coreLimit=0)
        for family in ("standardDv2Family", "lowPriorityCores"):
            make("ComputeService/UpdateQuota", parent=WORKSPACE, vmFamily=family, coreLimit=2)
        for request in self._clusters():
            make("ComputeService/CreateComputeTarget", "ALREADY_EXISTS", **request)
            # Quotas and sizes may be others by now; a minimum of nodes would keep the machine busy.
            name = f"{WORKSPACE}/computes/{request['computeTargetName']}"
            make("ComputeService/UpdateComputeTarget", name=name, minNodeCount=0, maxNodeCount=2)
        make("ExperimentService/CreateExperiment", parent=WORKSPACE, experimentName="exp")
        make("ExperimentService/CreateExperiment", parent=WORKSPACE, experimentName="empty")
        make("DatastoreService/RegisterDatastore", **self.datastore())
        self._upload_data(make)
        self._snapshot(make)
        for run in ("going", "ended"):
            make("RunService/CreateRun", "ALREADY_EXISTS", parent=EXPERIMENT, runId=run)
        make("RunService/CompleteRun", "FAILED_PRECONDITION", name=f"{EXPERIMENT}/runs/ended")
        make("RunService/SubmitRun", "ALREADY_EXISTS", **self.submit(), runId="queued")
        for path in ("outputs/a.txt", "logs/b.txt"):
            answer = make("ArtifactService/CreateArtifactUploadUrls", parent=RUN, paths=[path], overwrite=True)
            _put(answer.urls[0].url, b"artifact")
        make("MetricService/LogMetrics", parent=RUN, series=[self.series()], writerId="w", batchNumber=1)
        self._assets(make)
        make("SecretService/SetSecret", parent=WORKSPACE, secretName="secret", value="x")

    def _maker(self, calls: Transports) -> Any:
        def make(name: str, fine: str = "", /, **values: Any) -> Any:
            outcome = self.call(calls, name, **values)
            if outcome.code not in ("OK", fine) or outcome.fault:
                raise WorldError(f"{name} answered {outcome.code}: {outcome.message} {outcome.fault}")
            return outcome.answer

        return make

    def call(self, calls: Transports, name: str, /, **values: Any) -> Outcome:
        """A call with these values, in the words of JSON."""
        rpc = self._rpcs[name]
        return calls.grpc(rpc, self.message(name, values).SerializeToString())

    def message(self, name: str, values: dict[str, Any]) -> Any:
        """The request of an rpc with these values."""
        from google.protobuf import json_format

        return json_format.ParseDict(values, self._rpcs[name].request_class())

    def _clusters(self) -> list[dict[str, Any]]:
        sizes = {"cpu": "Standard_D1_v2", NEVER: "Standard_D1"}
        return [
            {
                "parent": WORKSPACE,
                "computeTargetName": name,
                "computeTarget": {
                    "vmSize": size,
                    "scaleSettings": {"maxNodeCount": 2, "idleSecondsBeforeScaledown": 1},
                },
            }
            for name, size in sizes.items()
        ]

    def datastore(self) -> dict[str, Any]:
        """The good request for one."""
        kind = {"datastoreType": "AzureBlob", "accountName": "account", "containerName": "container"}
        return {"parent": WORKSPACE, "datastoreName": "data", "datastore": kind, "overwrite": True}

    def _upload_data(self, make: Any) -> None:
        store = f"{WORKSPACE}/datastores/data"
        answer = make("DatastoreService/CreateDatastoreUploadUrls", name=store, paths=["folder/file.txt"])
        for url in answer.urls:
            _put(url.url, b"data")

    def _snapshot(self, make: Any) -> None:
        answer = make("SnapshotService/CreateSnapshot", parent=WORKSPACE, entries=[self.entry()])
        for url in answer.missing:
            _put(url.url, _SCRIPT)
        if answer.missing:
            answer = make("SnapshotService/CreateSnapshot", parent=WORKSPACE, entries=[self.entry()])
        self.ids["snapshot"] = answer.snapshot.snapshot_id

    def entry(self) -> dict[str, Any]:
        """The file of the snapshot."""
        return {"path": "train.py", "sha256": hashlib.sha256(_SCRIPT).hexdigest(), "sizeBytes": len(_SCRIPT)}

    def _assets(self, make: Any) -> None:
        models = make("ModelService/ListModels", parent=WORKSPACE, modelName="model")
        if not models.models:
            upload = self.ids["upload"] = str(uuid.UUID(int=self._generation))
            answer = make("ModelService/CreateModelUploadUrls", parent=WORKSPACE, uploadId=upload, paths=["m.pkl"])
            _put(answer.urls[0].url, b"model")
            made = make("ModelService/RegisterModel", parent=WORKSPACE, modelName="model", uploadId=upload)
            self.ids["model"] = made.asset_id
        made = make("DatasetService/RegisterDataset", "ALREADY_EXISTS", **self.dataset())
        if made is not None:
            self.ids["dataset"] = made.dataset_id
        make("DatasetService/RegisterDataset", "ALREADY_EXISTS", **self.table())
        made = make("EnvironmentService/RegisterEnvironment", **self.environment())
        self.ids["environment"] = made.asset_id

    # -- good requests ------------------------------------------------------------------------------------------------

    def dataset(self) -> dict[str, Any]:
        """Of files."""
        sources = [{"datastoreName": "data", "path": "folder/**"}]
        choices = [{"take": "3"}, {"sample": {"probability": 0.5, "seed": "7"}}]
        definition = {"datasetType": "DATASET_TYPE_FILE", "sources": sources, "selections": choices}
        return {"parent": WORKSPACE, "datasetName": "files", "definition": definition, "tags": {"a": "b"}}

    def table(self) -> dict[str, Any]:
        """Of a table."""
        sources = [{"datastoreName": "data", "path": "folder/file.txt"}]
        table = {"format": "delimited", "separator": ",", "steps": [{"take": 1}]}
        definition = {"datasetType": "DATASET_TYPE_TABULAR", "sources": sources, "table": table}
        return {"parent": WORKSPACE, "datasetName": "table", "definition": definition}

    def environment(self) -> dict[str, Any]:
        """Of packages."""
        conda = {"dependencies": ["python=3.10", {"pip": ["numpy"]}]}
        definition = {"python": {"condaDependencies": conda}, "docker": {"baseImage": "image"}}
        return {
            "parent": WORKSPACE,
            "environmentName": "env",
            "definition": definition,
            "otherSections": {"spark": {"precachePackages": True}},
        }

    def series(self) -> dict[str, Any]:
        """Of metrics."""
        values = ["1", "NaN", "0.5"]
        return {"name": "loss", "type": "METRIC_TYPE_SCALAR", "valuesJson": values, "timesMicros": ["1", "2", "3"]}

    def submit(self, target: str = NEVER, **definition: Any) -> dict[str, Any]:
        """Of a run that waits for ever, unless `target` is another."""
        values = {"command": ["true"], "target": target, "nodeCount": 1, "environment": _USER_MANAGED, **definition}
        return {"parent": EXPERIMENT, "definition": values}

    def scripted(self) -> dict[str, Any]:
        """Of a script with everything that a definition can have."""
        return {
            **self.submit(
                command=[],
                script="train.py",
                arguments=["--data", "$AZUREML_DATAREFERENCE_ref", "DatasetConsumptionConfig:input"],
                environment=self.environment()["definition"],
                dataReferences={"ref": {"dataStoreName": "data", "mode": "mount", "pathOnDataStore": "folder"}},
                data={"input": {"dataLocation": {"dataset": {"name": "files"}}, "mechanism": "mount"}},
                history={"outputCollection": True, "directoriesToWatch": ["logs"]},
                environmentVariables={"A": "b"},
                maxRunDurationSeconds="60",
            ),
            "snapshotId": self.ids["snapshot"],
            "tags": {"a": "b"},
            "properties": {"p": "q"},
        }

    def sweep(self) -> dict[str, Any]:
        """Of a search."""
        sweep = {
            "sampling": "RANDOM",
            "parameters": [{"name": "lr", "distribution": "uniform", "argumentsJson": ["0", "1"]}],
            "primaryMetricName": "loss",
            "primaryMetricGoal": "PRIMARY_METRIC_GOAL_MINIMIZE",
            "maxTotalRuns": 2,
            "policy": {"name": "Bandit", "evaluationInterval": 1, "slackFactor": 0.1},
        }
        return {**self.submit(command=[], script="train.py", sweep=sweep), "snapshotId": self.ids["snapshot"]}

    def parallel(self) -> dict[str, Any]:
        """Of several processes."""
        return self.submit(
            communicator="ParameterServer", framework="TensorFlow", tensorflow={"workerCount": 2}, nodeCount=2
        )


def _put(url: str, data: bytes) -> None:
    request = urllib.request.Request(url, data, {"content-type": "application/octet-stream"}, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
