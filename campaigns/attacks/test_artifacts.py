"""Artifacts of other runs: read through the datastore by everybody, written by nobody but their run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.emulator_process import EmulatorProcess

from campaigns.attacks.scene import ELSEWHERE, OTHER_WS, WS, Scene

if TYPE_CHECKING:
    from docker import DockerClient

VICTIM = "azureml/ExperimentRun/dcid.stranger/outputs"
# Reads what is mounted, and tries everything with what is not the job's.
FORGE = """
import contextlib, json, os, sys
where, told = sys.argv[1], {}
place = where if where.endswith("outputs") else os.path.join(where, "azureml/ExperimentRun/dcid.stranger/outputs")
told["read"] = open(os.path.join(place, "model.pkl")).read()
def attempt(name, what):
    try:
        what()
        told[name] = "done"
    except OSError as error:
        told[name] = error.strerror
def write(path, mode):
    with open(path, mode) as file:
        file.write("forged")
attempt("overwrite", lambda: write(os.path.join(place, "model.pkl"), "w"))
attempt("append", lambda: write(os.path.join(place, "model.pkl"), "a"))
attempt("add", lambda: write(os.path.join(place, "more.txt"), "w"))
attempt("remove", lambda: os.remove(os.path.join(place, "model.pkl")))
attempt("chmod", lambda: os.chmod(os.path.join(place, "model.pkl"), 0o777))
attempt("truncate", lambda: os.truncate(os.path.join(place, "model.pkl"), 0))
if place != where:
    attempt("rename the folder", lambda: os.rename(os.path.join(where, "azureml"), os.path.join(where, "moved")))
    attempt("rename a folder below", lambda: os.rename(
        os.path.join(where, "azureml/ExperimentRun"), os.path.join(where, "moved")))
    attempt("link", lambda: os.link(os.path.join(place, "model.pkl"), os.path.join(where, "linked")))
    attempt("mount", lambda: os.listdir("/nothing") if os.system("umount %s/azureml 2>/dev/null" % where) else None)
    write(os.path.join(where, "mine.txt"), "w")
    told["data"] = open(os.path.join(where, "mine.txt")).read()
print(json.dumps(told))
"""


def _reference(path: str, mode: str = "mount", **more: Any) -> dict[str, Any]:
    value = {"dataStoreName": "workspaceblobstore", "mode": mode, "pathOnDataStore": path, **more}
    return {"dataReferences": {"x": value}, "arguments": ["$AZUREML_DATAREFERENCE_x"]}


def _told(log: str) -> dict[str, str]:
    told: dict[str, str] = json.loads(log.strip().splitlines()[-1])
    return told


@pytest.fixture(autouse=True)
def model(request: pytest.FixtureRequest) -> None:
    name = "docker_scene" if request.node.get_closest_marker("docker") else "scene"
    scene: Scene = request.getfixturevalue(name)
    if not (scene.container() / VICTIM / "model.pkl").exists():
        scene.artifact("stranger", "outputs/model.pkl", b"the true model", ELSEWHERE)


def _model(scene: Scene) -> bytes:
    request = {"parent": f"{ELSEWHERE}/runs/stranger", "paths": ["outputs/model.pkl"]}
    made = scene.ask("ArtifactService/CreateArtifactDownloadUrls", request)
    return scene.transfer(made["urls"][0]["url"]).body


@pytest.mark.parametrize(
    "path",
    [
        f"{VICTIM}/model.pkl",
        f"./{VICTIM}/model.pkl",
        f".//azureml/./ExperimentRun//{VICTIM.partition('Run/')[2]}/model.pkl",
        f"azureml//./{VICTIM.partition('/')[2]}/model.pkl",
        VICTIM.upper() + "/model.pkl",
        "AzureML/ExperimentRun/dcid.stranger/outputs/model.pkl",
        "azure\u200bml/ExperimentRun/dcid.stranger/outputs/model.pkl",
        "\uff41zureml/x",
        "azureml",
        "azureml/anything",
    ],
)
def test_urls_do_not_write_them(scene: Scene, path: str) -> None:
    before = scene.contents()
    answer = scene.upload(path, b"forged", scene.token())
    assert (answer.code, answer.reason) == ("PERMISSION_DENIED", "RUN_TOKEN_NOT_ALLOWED"), answer
    assert scene.contents() == before and _model(scene) == b"the true model"


def test_nor_through_another_name_of_the_datastore(scene: Scene) -> None:
    """A datastore that its owner registered may be the container of a workspace, also of another one."""
    for number, name in enumerate(("mine", "other")):
        registered = {
            "datastoreType": "AzureBlob",
            "accountName": "localaml",
            "containerName": scene.container(name).name,
        }
        request = {"parent": WS, "datastoreName": f"again{number}", "datastore": registered, "overwrite": True}
        made = scene.ask("DatastoreService/RegisterDatastore", request)
        answer = scene.upload(f"{VICTIM}/model.pkl", b"forged", scene.token(), made["name"])
        assert answer.reason == "RUN_TOKEN_NOT_ALLOWED"
        reference = _reference(VICTIM, "upload", pathOnCompute="outputs")
        reference["dataReferences"]["x"]["dataStoreName"] = f"again{number}"
        assert scene.submit("", scene.token(), "own", **reference).reason == "ARTIFACTS_READ_ONLY"
        scene.ask("DatastoreService/UnregisterDatastore", {"name": made["name"]})


def test_what_is_no_artifact_is_still_written(scene: Scene) -> None:
    for path in ("data/azureml/x", "azureml-models/x", "azureml.txt"):
        assert scene.upload(path, b"mine", scene.token()).status == 201
        assert (scene.container() / path).read_bytes() == b"mine"


def test_they_are_read_through_the_datastore(scene: Scene) -> None:
    request = {"name": f"{WS}/datastores/workspaceblobstore", "paths": [f"{VICTIM}/model.pkl"]}
    made = scene.ask("DatastoreService/CreateDatastoreDownloadUrls", request, scene.token())
    assert scene.transfer(made["urls"][0]["url"]).body == b"the true model"


def test_uploads_of_children_do_not_write_them(scene: Scene) -> None:
    script = "import os; os.makedirs('up', exist_ok=True); open('up/model.pkl', 'w').write('forged')"
    for path in (VICTIM, "azureml", "AZUREML/x"):
        reference = _reference(path, "upload", pathOnCompute="up", overwrite=True)
        for token, below in ((scene.token(), "own"), (scene.owner, "")):
            answer = scene.submit(script, token, below, **reference)
            assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "ARTIFACTS_READ_ONLY"), answer
    # The whole datastore is a good target; what the job then calls its files is the job's to say.
    script = script.replace("up/model.pkl", f"up/{VICTIM}/model.pkl").replace("'up'", f"'up/{VICTIM}'")
    script += "; open('up/mine.txt', 'w').write('mine')"
    answer = scene.submit(script, scene.token(), "own", **_reference("", "upload", pathOnCompute="up", overwrite=True))
    run = scene.ended(answer.json["runId"])
    assert run["state"] == "RUN_STATE_COMPLETED", run
    assert _model(scene) == b"the true model"
    assert (scene.container() / "mine.txt").read_text() == "mine"
    assert "artifacts of runs" in json.dumps(run["warnings"])


@pytest.mark.parametrize("path", ["", VICTIM])
def test_mounts_of_processes_show_them_read_only(scene: Scene, path: str) -> None:
    """Where the kernel has mount namespaces. It guards against mistakes: processes are no boundary."""
    from localaml.compute.process.read_only import with_read_only

    if not with_read_only([scene.container()]):
        pytest.skip("this kernel allows no mount namespace")
    run, log = scene.performed(FORGE.replace('attempt("mount"', '0 and attempt("mount"'), **_reference(path))
    assert run["state"] == "RUN_STATE_COMPLETED", (run, log)
    told = _told(log)
    assert told.pop("read") == "the true model" and told.pop("data", "forged") == "forged"
    assert told and "done" not in told.values(), told
    assert _model(scene) == b"the true model"


def test_a_mount_makes_nothing_among_them(scene: Scene) -> None:
    """A folder in the place of a file that another run is to leave would lose that file."""
    before = scene.contents()
    run, _ = scene.performed("print('x')", **_reference("azureml/ExperimentRun/dcid.sibling/outputs/model.pkl/x"))
    assert run["state"] == "RUN_STATE_FAILED" and run["error"]["code"] == "DATA_NOT_FOUND", run
    assert not (scene.container() / "azureml/ExperimentRun/dcid.sibling").exists()
    assert set(before) <= set(scene.contents())


# -- containers -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def docker_scene(
    tmp_path_factory: pytest.TempPathFactory, cache_dir: Path, docker_engine: DockerClient, host_filesystem_image: str
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("attacked-containers")
    settings: dict[str, Any] = {"compute": "docker", "docker": {"base_image": host_filesystem_image}}
    with EmulatorProcess(folder / "state", cache_dir, **settings) as running:
        scene = Scene(running).make()
        request = {
            "parent": WS,
            "computeTargetName": "cpu",
            "computeTarget": {"vmSize": "STANDARD_D2_V2", "scaleSettings": {"maxNodeCount": 1}},
        }
        scene.ask("ComputeService/CreateComputeTarget", request)
        scene.target = "cpu"
        yield scene
        for name in (WS, OTHER_WS):
            scene.ask("WorkspaceService/DeleteWorkspace", {"name": name})


@pytest.mark.docker
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", ["", VICTIM])
def test_mounts_of_containers_show_them_read_only(docker_scene: Scene, path: str) -> None:
    before = docker_scene.contents()
    definition = {**_reference(path), "environment": {}}
    answer = docker_scene.submit(FORGE, docker_scene.token(), "own", **definition)
    assert answer.status == 200, answer
    run = docker_scene.ended(answer.json["runId"])
    log = docker_scene.log(run["runId"])
    assert run["state"] == "RUN_STATE_COMPLETED", (run, log)
    told = _told(log)
    assert told.pop("read") == "the true model" and told.pop("data", "forged") == "forged"
    assert told and "done" not in told.values(), told
    after = docker_scene.contents()
    assert {key: after[key] for key in before} == before
    assert _model(docker_scene) == b"the true model"
