"""Hostile names and paths in every field that has one: a clear refusal, and nothing outside of its place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from campaigns.attacks.clients import Answer
from campaigns.attacks.scene import EXP, GROUP, STORE, WS, Scene

PATHS = (
    "../x",
    "../../token",
    "a/../../x",
    "a/..",
    "..",
    "/etc/passwd",
    "//etc/passwd",
    "..\\x",
    "C:\\x",
    "a\\..\\x",
    "a\x00b",
    "a\nb",
    "a\x1b[2Jb",
    "a\x7fb",
    "\ufffe",
    "x/" * 600 + "x",
    "x" * 300,
)
SHA256 = hashlib.sha256(b"x").hexdigest()
Ask = Callable[[Scene, str], Answer]


def _filled(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, path) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, path) for each in value]
    return path if value == "$PATH" else value


def _submitted(**definition: Any) -> Ask:
    return lambda scene, path: scene.submit("", scene.token(), "own", **_filled(definition, path))


def _call(method: str, **request: Any) -> Ask:
    return lambda scene, path: scene.call(method, _filled(request, path), scene.owner)


RUN = f"{EXP}/runs/own"
FIELDS: dict[str, Ask] = {
    "snapshot": _call(
        "SnapshotService/CreateSnapshot", parent=WS, entries=[{"path": "$PATH", "sha256": SHA256, "sizeBytes": 1}]
    ),
    "artifact up": _call("ArtifactService/CreateArtifactUploadUrls", parent=RUN, paths=["$PATH"]),
    "artifact down": _call("ArtifactService/CreateArtifactDownloadUrls", parent=RUN, paths=["$PATH"]),
    "datastore up": _call("DatastoreService/CreateDatastoreUploadUrls", name=STORE, paths=["$PATH"], overwrite=True),
    "datastore down": _call("DatastoreService/CreateDatastoreDownloadUrls", name=STORE, paths=["$PATH"]),
    "model up": _call(
        "ModelService/CreateModelUploadUrls",
        parent=WS,
        uploadId="00000000-0000-0000-0000-000000000000",
        paths=["$PATH"],
    ),
    "model of a run": _call("ModelService/RegisterModel", parent=WS, modelName="m", runId="own", runPath="$PATH"),
    "log": _call("RunService/ReadRunLog", name=RUN, logName="$PATH"),
    "entry script": _submitted(script="$PATH"),
    "folder to watch": _submitted(history={"directoriesToWatch": ["$PATH"]}),
    "workspace": _call("WorkspaceService/CreateWorkspace", parent=GROUP, workspaceName="$PATH"),
    "experiment": _call("ExperimentService/CreateExperiment", parent=WS, experimentName="$PATH"),
    "run": _call("RunService/CreateRun", parent=EXP, runId="$PATH"),
    "datastore": _call(
        "DatastoreService/RegisterDatastore",
        parent=WS,
        datastoreName="d",
        datastore={"datastoreType": "AzureBlob", "accountName": "acc", "containerName": "$PATH"},
    ),
    "account": _call(
        "DatastoreService/RegisterDatastore",
        parent=WS,
        datastoreName="d",
        datastore={"datastoreType": "AzureBlob", "accountName": "$PATH", "containerName": "con"},
    ),
    "secret": _call("SecretService/SetSecret", parent=WS, secretName="$PATH", value="x"),
    "cluster": _call(
        "ComputeService/CreateComputeTarget",
        parent=WS,
        computeTargetName="$PATH",
        computeTarget={"vmSize": "STANDARD_D2_V2"},
    ),
}


@pytest.mark.parametrize("field", FIELDS)
def test_nothing_leads_out(scene: Scene, field: str) -> None:
    before = scene.contents()
    around = sorted(path.name for path in scene.state_dir.parent.iterdir())
    for path in PATHS:
        answer = FIELDS[field](scene, path)
        assert answer.code in ("INVALID_ARGUMENT", "NOT_FOUND"), (path, answer)
        assert "\x1b" not in answer.message and "\n" not in answer.message, (path, answer)
    after = scene.contents()
    assert {key: value for key, value in after.items() if not key.startswith("contents/")} == {
        key: value for key, value in before.items() if not key.startswith("contents/")
    }
    assert sorted(path.name for path in scene.state_dir.parent.iterdir()) == around


@pytest.mark.parametrize("mode", ["mount", "download", "upload"])
def test_data_references_stay_in_their_places(scene: Scene, mode: str) -> None:
    """On the datastore a path begins at its root, on the node in the run's folder."""
    for key in ("pathOnDataStore", "pathOnCompute"):
        for path in ("../x", "a/../../x", "/../x", "..", "a\\..\\x", "a\x00b"):
            value = {"dataStoreName": "workspaceblobstore", "mode": mode, key: path}
            answer = scene.submit("", scene.token(), "own", dataReferences={"x": value})
            assert answer.code == "INVALID_ARGUMENT", (key, path, answer)


def test_an_absolute_path_on_the_node_is_one_of_the_run_s_own(scene: Scene) -> None:
    outside = scene.state_dir / "forged"
    for mode in ("download", "upload"):
        value = {"dataStoreName": "workspaceblobstore", "mode": mode, "pathOnCompute": str(outside), "overwrite": True}
        assert scene.upload("data/x", b"x").status == 201
        with pytest.raises(AssertionError, match="PATH_ON_COMPUTE_NOT_ALLOWED"):
            scene.performed("", dataReferences={"x": {**value, "pathOnDataStore": "data"}})
    assert not outside.exists()
