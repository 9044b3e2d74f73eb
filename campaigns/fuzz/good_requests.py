"""One good request, or several, for every rpc: what is wrong is put into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from campaigns.fuzz.world import EXPERIMENT, OTHER, RUN, WORKSPACE, World

_STORE = f"{WORKSPACE}/datastores/data"
_CLUSTER = f"{WORKSPACE}/computes/cpu"
_MODEL = f"{WORKSPACE}/models/model"
_ENVIRONMENT = f"{WORKSPACE}/environments/env"
_SECRET = f"{WORKSPACE}/secrets/secret"
_FAULT = {"kind": "delay", "target": {"method": "NoSuchService/*"}, "effect": {"delaySeconds": 0.001}}

Values = dict[str, Any]


def good_requests(world: World) -> dict[str, list[Callable[[], Values]]]:
    """By the rpc's name; made when they are asked for, since ids change when the world is made anew."""
    ids = world.ids
    workspace: Values = {"parent": WORKSPACE}
    cluster = {"vmSize": "Standard_D1_v2", "scaleSettings": {"maxNodeCount": 1}}

    def same(*values: Values) -> list[Callable[[], Values]]:
        return [lambda each=each: each for each in values]  # type: ignore[misc]

    return {
        "AdminService/GetInfo": same({}),
        "AdminService/GetClock": same({}),
        "AdminService/AdvanceClock": same({"seconds": 1}),
        "AdminService/CountCalls": same({}),
        "AdminService/Reset": same({"workspace": OTHER}, {}),
        "AdminService/Shutdown": same({}),
        "EventService/ListEvents": same({"filter": {"workspace": WORKSPACE, "kind": "run"}, "limit": 10}),
        "EventService/WatchEvents": same({"after": "-1"}, {}),
        "FaultService/AddFault": same({"fault": _FAULT}),
        "FaultService/ListFaults": same({}),
        "FaultService/ClearFaults": same({}, {"faultIds": ["f1"]}),
        "StateService/SaveState": same({"path": f"{world.files}/saved", "overwrite": True}),
        "StateService/LoadState": same({"path": f"{world.files}/empty"}),
        "ArtifactService/ListArtifacts": same({"parent": RUN, "prefix": "outputs/"}),
        "ArtifactService/CreateArtifactUploadUrls": same({"parent": RUN, "paths": ["outputs/new.txt"]}),
        "ArtifactService/CreateArtifactDownloadUrls": same({"parent": RUN, "paths": ["outputs/a.txt"]}),
        "ComputeService/CreateComputeTarget": same(
            {**workspace, "computeTargetName": "made", "computeTarget": {**cluster, "tags": {"a": "b"}}}
        ),
        "ComputeService/GetComputeTarget": same({"name": _CLUSTER}),
        "ComputeService/ListComputeTargets": same(workspace),
        "ComputeService/WatchComputeTarget": same({"name": _CLUSTER}),
        "ComputeService/UpdateComputeTarget": same({"name": _CLUSTER, "maxNodeCount": 2}),
        "ComputeService/DeleteComputeTarget": same({"name": f"{WORKSPACE}/computes/made"}),
        "ComputeService/ListNodes": same({"parent": _CLUSTER}),
        "ComputeService/ListVmSizes": same(workspace),
        "ComputeService/ListQuotas": same(workspace),
        "ComputeService/UpdateQuota": same({**workspace, "vmFamily": "standardDFamily", "coreLimit": 0}),
        "DatasetService/RegisterDataset": [world.dataset, world.table, lambda: {**world.dataset(), "datasetName": ""}],
        "DatasetService/GetDataset": [
            lambda: {**workspace, "datasetId": ids["dataset"]},
            *same({**workspace, "datasetName": "files"}),
        ],
        "DatasetService/ListDatasets": same(workspace),
        "DatasetService/UpdateDataset": [
            lambda: {**workspace, "datasetId": ids["dataset"], "setTags": {"a": "b"}, "description": "x"}
        ],
        "DatasetService/UnregisterDataset": same({**workspace, "datasetName": "table"}),
        "DatasetService/ListDatasetFiles": [lambda: {**workspace, "definition": world.dataset()["definition"]}],
        "DatastoreService/RegisterDatastore": [world.datastore],
        "DatastoreService/GetDatastore": same({"name": _STORE}),
        "DatastoreService/ListDatastores": same(workspace),
        "DatastoreService/UnregisterDatastore": same({"name": _STORE}),
        "DatastoreService/ListDatastoreFiles": same({"name": _STORE, "prefix": "folder/"}),
        "DatastoreService/CreateDatastoreUploadUrls": same({"name": _STORE, "paths": ["new"], "overwrite": True}),
        "DatastoreService/CreateDatastoreDownloadUrls": same({"name": _STORE, "paths": ["folder/file.txt"]}),
        "EnvironmentService/RegisterEnvironment": [world.environment],
        "EnvironmentService/GetEnvironment": same({"name": _ENVIRONMENT}, {"name": _ENVIRONMENT, "version": "1"}),
        "EnvironmentService/ListEnvironments": same({**workspace, "excludeCurated": True}, workspace),
        "EnvironmentService/LabelEnvironment": same({"name": _ENVIRONMENT, "version": "1", "labels": ["good"]}),
        "EnvironmentService/BuildEnvironment": same(
            {**workspace, "definition": {"python": {"userManagedDependencies": True}}}
        ),
        "ExperimentService/CreateExperiment": same({**workspace, "experimentName": "made"}),
        "ExperimentService/GetExperiment": same({"name": EXPERIMENT}),
        "ExperimentService/ListExperiments": same({**workspace, "view": "EXPERIMENT_VIEW_ALL"}),
        "ExperimentService/UpdateExperiment": same({"name": EXPERIMENT, "setTags": {"a": "b"}, "description": "x"}),
        "ExperimentService/DeleteExperiment": same({"name": f"{WORKSPACE}/experiments/empty"}),
        "MetricService/LogMetrics": [lambda: {"parent": RUN, "series": [world.series()], "writerId": "v"}],
        "MetricService/ListMetrics": same({"parent": RUN}),
        "ModelService/RegisterModel": [
            lambda: {
                **workspace,
                "modelName": "copied",
                "runId": "going",
                "runPath": "outputs/a.txt",
                "tags": {"a": "b"},
                "datasets": [{"purpose": "training", "datasetId": ids["dataset"]}],
                "resourceConfiguration": {"cpu": 1, "memoryInGb": 0.5},
            }
        ],
        "ModelService/CreateModelUploadUrls": same(
            {**workspace, "uploadId": "00000000-0000-0000-0000-00000000ffff", "paths": ["a/b"]}
        ),
        "ModelService/GetModel": same({"name": _MODEL}, {"name": _MODEL, "version": "1"}),
        "ModelService/ListModels": same(workspace, {**workspace, "tags": {"a": ""}, "latestOnly": True}),
        "ModelService/UpdateModel": same({"name": _MODEL, "version": "1", "setTags": {"a": "b"}, "description": "x"}),
        "ModelService/DeleteModel": same({"name": f"{WORKSPACE}/models/copied", "version": "1"}),
        "ModelService/CreateModelDownloadUrls": same({"name": _MODEL}),
        "RunService/SubmitRun": [
            world.submit,
            world.scripted,
            world.sweep,
            world.parallel,
            lambda: world.submit("cpu"),
            lambda: world.submit("local", command=["false"]),
        ],
        "RunService/CreateRun": same({"parent": EXPERIMENT, "tags": {"a": "b"}, "displayName": "x"}),
        "RunService/GetRun": same({"name": RUN}, {"name": f"{EXPERIMENT}/runs/queued"}),
        "RunService/ListRuns": same({"parent": EXPERIMENT, "tags": {"a": "b"}}, {"parent": EXPERIMENT}),
        "RunService/WatchRun": same({"name": RUN}, {"name": f"{EXPERIMENT}/runs/ended"}),
        "RunService/CancelRun": same({"name": f"{EXPERIMENT}/runs/queued"}),
        "RunService/CompleteRun": same({"name": f"{EXPERIMENT}/runs/ended"}),
        "RunService/FailRun": same({"name": f"{EXPERIMENT}/runs/ended", "error": {"code": "x", "message": "y"}}),
        "RunService/UpdateRun": same({"name": RUN, "setTags": {"a": "b"}, "displayName": "x", "description": "y"}),
        "RunService/ListRunLogs": same({"name": RUN}),
        "RunService/ReadRunLog": same({"name": RUN, "logName": "azureml-logs/70_driver_log.txt", "follow": True}),
        "SecretService/SetSecret": same({**workspace, "secretName": "secret", "value": "x"}),
        "SecretService/GetSecret": same({"name": _SECRET}),
        "SecretService/ListSecrets": same(workspace),
        "SecretService/DeleteSecret": same({"name": f"{WORKSPACE}/secrets/other"}),
        "SnapshotService/CreateSnapshot": [lambda: {**workspace, "entries": [world.entry()]}],
        "SnapshotService/GetSnapshot": [lambda: {**workspace, "snapshotId": ids["snapshot"]}],
        "WorkspaceService/CreateWorkspace": same(
            {"parent": WORKSPACE.rpartition("/workspaces/")[0], "workspaceName": "made", "allowExisting": True}
        ),
        "WorkspaceService/GetWorkspace": same({"name": WORKSPACE}),
        "WorkspaceService/ListWorkspaces": same({}, {"parent": "subscriptions/fuzz"}),
        "WorkspaceService/UpdateWorkspace": same({"name": WORKSPACE, "tags": {"a": "b"}, "description": "x"}),
        "WorkspaceService/DeleteWorkspace": same({"name": OTHER}),
    }
