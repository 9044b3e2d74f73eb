"""Models through the SDK, against a real emulator: outside of jobs and in them."""

from __future__ import annotations

import json
import uuid
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_models.conftest import RunScript
from tests.support.emulator_process import EmulatorProcess

from azureml.core import Experiment, Model, Run
from azureml.core.model import ModelNotFoundException
from azureml.core.resource_configuration import ResourceConfiguration
from azureml.exceptions import ModelPathNotFoundException, UserErrorException, WebserviceException

if TYPE_CHECKING:
    from azureml.core import Workspace


def _tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(here: Path) -> Path:
    made = here / "net"
    (made / "deep").mkdir(parents=True)
    (made / "weights.bin").write_text("weights")
    (made / "deep" / "labels.txt").write_text("labels")
    return made


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_file_goes_up_and_comes_down(
    workspace: Workspace, here: Path, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "model.pkl").write_text("pickled")
    model = Model.register(
        workspace=workspace,
        model_path=prefix + "model.pkl",
        model_name="sklearn_mnist",
        tags={"data": "mnist", "n": 1},
        properties={"p": "q"},
        description="Mnist handwriting recognition",
        model_framework=Model.Framework.SCIKITLEARN,
        model_framework_version="0.20.3",
    )
    assert "Registering model sklearn_mnist" in capsys.readouterr().out
    assert (model.name, model.id, model.version) == ("sklearn_mnist", "sklearn_mnist:1", 1)
    assert (model.tags, model.properties) == ({"data": "mnist", "n": "1"}, {"p": "q"})
    assert model.description == "Mnist handwriting recognition"
    assert (model.model_framework, model.model_framework_version) == ("ScikitLearn", "0.20.3")
    assert model.created_time is not None and model.created_time.tzinfo is timezone.utc
    assert (model.run, model.run_id, model.experiment_name, model.datasets) == (None, None, None, {})
    target = here / "down"
    path = Model(workspace, "sklearn_mnist").download(target_dir=str(target), exist_ok=True)
    assert (Path(path), _tree(target)) == (target / "model.pkl", {"model.pkl": "pickled"})


def test_a_folder_keeps_its_name_and_chosen_children_only(workspace: Workspace, folder: Path, here: Path) -> None:
    model = Model.register(workspace, "net", "net-model")
    path = model.download(str(here / "all"))
    assert Path(path) == here / "all" / "net"
    assert _tree(here / "all") == {"net/weights.bin": "weights", "net/deep/labels.txt": "labels"}
    for children in (["deep"], ["net/deep/labels.txt"]):
        chosen = Model.register(workspace, "net", "chosen", child_paths=children)
        assert list(chosen.get_sas_urls()) == ["net/deep/labels.txt"]


def test_existing_files_stay_unless_told(workspace: Workspace, folder: Path, here: Path) -> None:
    model = Model.register(workspace, "net", "m")
    (folder / "weights.bin").write_text("mine")
    with pytest.raises(WebserviceException, match="already exists"):
        model.download(".")
    assert (folder / "weights.bin").read_text() == "mine"
    model.download(".", exists_ok=True)
    assert (folder / "weights.bin").read_text() == "weights"


def test_versions_count_and_are_found(workspace: Workspace, here: Path) -> None:
    for number in (1, 2, 3):
        (here / "m").write_text(str(number))
        Model.register(workspace, "m", "m", tags={"n": number, "odd": number % 2}, properties={"p": str(number)})
    assert Model(workspace, "m").version == 3
    assert Model(workspace, "m", version=2).tags == {"n": "2", "odd": "0"}
    assert Model(workspace, "m", version="2").version == 2  # type: ignore[arg-type]  # notebooks do
    assert Model(workspace, id="m:1").id == "m:1"
    assert Model(workspace, id="m").version == 3
    assert Model(workspace, "m", tags=[["odd", "0"]]).version == 2
    assert Model(workspace, "m", tags=["odd"], properties=[["p", "1"]]).version == 1
    assert workspace.models["m"].version == 3
    assert [model.version for model in Model.list(workspace, name="m")] == [3, 2, 1]
    assert [model.version for model in Model.list(workspace, "m", page_count=1)] == [3, 2, 1]
    assert [model.version for model in Model.list(workspace, tags=[["odd", "1"], "n"])] == [3, 1]
    assert [model.version for model in Model.list(workspace, latest=True)] == [3]
    assert Model.list(workspace, properties=[["p", "x"]]) == Model.list(workspace, model_framework="Onnx") == []
    Model(workspace, "m", version=3).delete()
    assert Model(workspace, "m").version == 2
    Model.register(workspace, "m", "m")
    assert Model(workspace, "m").version == 4, "a number that others may have noted is not given again"


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "nope"},
        {"name": "m", "version": 9},
        {"name": "m", "version": "x"},
        {"id": "m:x"},
        {"id": "nope:1"},
        {"name": "m", "tags": ["nope"]},
        {"name": "m", "version": 1, "tags": [["t", "other"]]},
        {"name": "m", "run_id": "nope"},
        {"name": "m", "model_framework": "Onnx"},
    ],
)
def test_what_is_not_there(workspace: Workspace, here: Path, arguments: dict[str, Any]) -> None:
    (here / "m").write_text("")
    Model.register(workspace, "m", "m", tags={"t": "1"})
    with pytest.raises(WebserviceException) as caught:
        Model(workspace, **arguments)
    assert "ModelNotFound" in caught.value.message


def test_bad_arguments_raise_what_azures_sdk_raises(workspace: Workspace, here: Path, folder: Path) -> None:
    with pytest.raises(WebserviceException, match="one of id or name must be provided"):
        Model(workspace)
    with pytest.raises(FileNotFoundError):
        Model.register(workspace, "nope.pkl", "m")
    with pytest.raises(TypeError):
        Model.register(workspace, None, "m")  # type: ignore[arg-type]
    with pytest.raises(WebserviceException, match="name is invalid"):
        Model.register(workspace, "net", "not good")
    with pytest.raises(WebserviceException, match='child path "nope" cannot be found'):
        Model.register(workspace, "net", "m", child_paths=["nope"])
    (here / "empty").mkdir()
    with pytest.raises(WebserviceException, match="no files"):
        Model.register(workspace, "empty", "m")
    with pytest.raises(UserErrorException, match="https://x/y"):
        Model.register(workspace, "https://x/y", "m")
    with pytest.raises(UserErrorException, match="tags"):
        Model.register(workspace, "net", "m", tags=["a"])  # type: ignore[arg-type]
    with pytest.raises(UserErrorException, match="is no dataset"):
        Model.register(workspace, "net", "m", datasets=[("training", object())])
    assert Model.list(workspace) == []


@pytest.mark.parametrize("verb", ["deploy", "package", "profile", "print_configuration"])
def test_serving_is_refused_by_name(verb: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "deploy": (None, "s", []),
        "package": (None, []),
        "profile": (None, "p", [], None, None),
        "print_configuration": ([], None, None, None),
    }
    with pytest.raises(UserErrorException, match=f"Model.{verb}") as caught:
        getattr(Model, verb)(*arguments[verb])
    assert caught.value.reason == "NOT_SUPPORTED"
    with pytest.raises(ImportError, match=r"does not support azureml\.core\.model\.InferenceConfig"):
        from azureml.core.model import InferenceConfig  # noqa: F401


def test_changing(workspace: Workspace, here: Path) -> None:
    (here / "m").write_text("")
    model = Model.register(workspace, "m", "m", tags={"a": "1"}, properties={"p": "1"})
    model.add_tags({"b": 2})
    model.remove_tags(["a"])
    assert model.tags == Model(workspace, "m").tags == {"b": "2"}
    model.add_properties({"q": "2"})
    with pytest.raises(WebserviceException, match="'p'"):
        model.add_properties({"p": "changed"})
    model.update(tags={"c": "3"}, description="new", resource_configuration=ResourceConfiguration(1, 0.5))
    again = Model(workspace, "m")
    assert (again.tags, again.description) == ({"c": "3"}, "new")
    assert again.properties == {"p": "1", "q": "2"}
    assert again.resource_configuration is not None
    assert again.resource_configuration.serialize() == {"cpu": 1, "memoryInGB": 0.5, "gpu": None}
    model.update_tags_properties(add_tags={"d": "4"}, remove_tags=["c"], add_properties={"r": "3"})
    assert (model.tags, model.properties["r"]) == ({"d": "4"}, "3")
    with pytest.raises(UserErrorException, match="dict"):
        model.add_tags("x")  # type: ignore[arg-type]


def test_as_data_and_as_text(workspace: Workspace, here: Path) -> None:
    (here / "m").write_text("")
    model = Model.register(
        workspace, "m", "m", tags={"a": "1"}, description="d", resource_configuration=ResourceConfiguration(gpu=1)
    )
    data = model.serialize()
    assert json.loads(json.dumps(data)) == data
    assert (data["id"], data["version"], data["tags"], data["createdTime"][-1]) == ("m:1", 1, {"a": "1"}, "Z")
    again = Model.deserialize(workspace, data)
    assert again.serialize() == data
    assert again.download(str(here / "x")) == str(here / "x" / "m")
    assert repr(model) == (
        f"Model(workspace={workspace!r}, name=m, id=m:1, version=1, tags={{'a': '1'}}, properties={{}})"
    )
    with pytest.raises(UserErrorException):
        Model.deserialize(workspace, {"a": 1})


def test_datasets_of_a_model(workspace: Workspace, here: Path) -> None:
    from azureml.core import Dataset

    (here / "m").write_text("")
    datastore = workspace.get_default_datastore()
    datastore.upload_files([str(here / "m")], target_path="data", show_progress=False)
    loose = Dataset.File.from_files((datastore, "data/m"))
    registered = loose.register(workspace, "named")
    model = Model.register(
        workspace, "m", "m", datasets=[("training data", registered)], sample_input_dataset=registered
    )
    assert [dataset.id for dataset in model.datasets["training data"]] == [registered.id]
    assert (model.sample_input_dataset.id, model.sample_output_dataset) == (registered.id, None)
    model.add_dataset_references([("test data", loose)])
    assert set(model.datasets) == {"training data", "test data"}
    model.update(sample_output_dataset=registered)
    assert Model(workspace, "m").sample_output_dataset.id == registered.id
    Model.register(workspace, "m", "other")
    assert [found.name for found in Model.list(workspace, dataset_id=registered.id)] == ["m"]


def test_the_files_of_a_registered_model_never_change(workspace: Workspace, here: Path) -> None:
    """Also not over a URL that was signed before it was registered."""
    client, upload_id = workspace._client, str(uuid.uuid4())
    place = {"parent": workspace._resource_name, "uploadId": upload_id}
    answer = client.call("ModelService", "CreateModelUploadUrls", {**place, "paths": ["m", "late"]})
    urls = {entry["path"]: entry["url"] for entry in answer["urls"]}
    client.transfer.upload_file(urls["m"], b"as registered")
    client.call("ModelService", "RegisterModel", {**place, "modelName": "m"})
    for path in urls:
        with pytest.raises(UserErrorException) as caught:
            client.transfer.upload_file(urls[path], b"changed")
        assert caught.value.reason == "MODEL_UPLOAD_USED"
    with pytest.raises(UserErrorException) as caught:
        client.transfer.upload_file(urls["m"].replace("/m?", "/other?"), b"x")
    assert caught.value.reason == "SIGNED_URL_INVALID"
    assert Path(Model(workspace, "m").download(".")).read_text() == "as registered"


# Model.get_model_path


def test_the_path_of_a_model_outside_of_jobs(workspace: Workspace, here: Path, folder: Path) -> None:
    with pytest.raises(ModelNotFoundException, match="nope"):
        Model.get_model_path("nope")
    with pytest.raises(ModelNotFoundException, match="nope"):
        Model.get_model_path("nope", _workspace=workspace)
    (here / "local-model").write_text("")
    assert Model.get_model_path("local-model") == "local-model"
    Model.register(workspace, "net", "m")
    (folder / "weights.bin").write_text("new")
    model = Model.register(workspace, "net", "m")
    assert Model.get_model_path("m", _workspace=workspace) == "azureml-models/m/2/net"
    assert (here / "azureml-models/m/2/net/weights.bin").read_text() == "new"
    assert Model.get_model_path("m", 1, workspace) == "azureml-models/m/1/net"
    # Fetched once; from then on it is found there, also without a workspace.
    (here / "azureml-models/m/2/net/weights.bin").write_text("mine")
    assert Model.get_model_path("m", _workspace=workspace) == "azureml-models/m/2/net"
    assert (here / "azureml-models/m/2/net/weights.bin").read_text() == "mine"
    assert Model.get_model_path("m") == "azureml-models/m/2/net"
    assert Model.get_model_path(model_name="m", version=1) == "azureml-models/m/1/net"
    assert sorted(path.name for path in (here / "azureml-models/m").iterdir()) == ["1", "2"]
    model.delete()


def test_the_path_of_a_model_in_a_scoring_script(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = here / "elsewhere" / "azureml-models"
    for version in (2, 10):
        (models / "m" / str(version)).mkdir(parents=True)
        (models / "m" / str(version) / "model.pkl").write_text(str(version))
    (models / "other" / "1" / "net").mkdir(parents=True)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(models))
    assert Path(Model.get_model_path("m")).read_text() == "10"
    assert Path(Model.get_model_path("m", version=2)).read_text() == "2"
    # With one model the variable names its own folder.
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(models / "m" / "10"))
    assert Path(Model.get_model_path("m")).read_text() == "10"
    (models / "m" / "10" / "more").write_text("")
    with pytest.raises(WebserviceException, match="only 1 file or folder"):
        Model.get_model_path("m")


# Models of runs

TRAIN = """
import os
from azureml.core import Run
run = Run.get_context()
os.makedirs("outputs/net/deep")
for name in ("outputs/net/weights.bin", "outputs/net/deep/labels.txt", "outputs/model.pkl"):
    with open(name, "w") as file:
        file.write(name)
"""


def test_a_runs_files_become_models(workspace: Workspace, run_script: RunScript, here: Path) -> None:
    run = run_script(TRAIN)
    model = run.register_model(model_name="best", model_path="outputs/model.pkl", tags={"a": 1}, description="d")
    assert (model.id, model.run_id, model.experiment_name) == ("best:1", run.id, "exp")
    assert model.run is not None and model.run.id == run.id
    assert [found.id for found in Model.list(workspace, run_id=run.id)] == ["best:1"]
    assert Model(workspace, "best", run_id=run.id).version == 1
    assert Path(model.download("a")).read_text() == "outputs/model.pkl"
    net = run.register_model("best", "./outputs/net", model_framework="Onnx", properties={"p": "1"})
    assert (net.version, net.model_framework, net.properties) == (2, "Onnx", {"p": "1"})
    net.download("b")
    assert _tree(here / "b") == {
        "net/weights.bin": "outputs/net/weights.bin",
        "net/deep/labels.txt": "outputs/net/deep/labels.txt",
    }
    chosen = run.register_model("best", "outputs/net", child_paths=["deep"])
    assert list(chosen.get_sas_urls()) == ["net/deep/labels.txt"]
    with pytest.raises(ModelPathNotFoundException, match=r"outputs/model\.pkl"):
        run.register_model("best", "outputs/missing.pkl")
    with pytest.raises(ModelPathNotFoundException, match="best"):
        run.register_model("best")
    with pytest.raises(TypeError, match="nonsense"):
        run.register_model("best", "outputs/net", nonsense=1)


def test_an_interactive_runs_upload_becomes_a_model(workspace: Workspace, here: Path) -> None:
    run = Experiment(workspace, "exp").start_logging(snapshot_directory=None)
    (here / "ridge.pkl").write_text("ridge")
    run.upload_file("outputs/ridge.pkl", "ridge.pkl")
    model = run.register_model(model_name="ridge", model_path="outputs/ridge.pkl")
    run.complete()
    (here / "ridge.pkl").unlink()
    assert Path(model.download(".")).read_text() == "ridge"


IN_JOB = """
import os, sys
from azureml.core import Run
from azureml.core.model import Model
run = Run.get_context()
with open("here.txt", "w") as file:
    file.write("from the job")
run.upload_file("outputs/early.txt", "here.txt")
model = run.register_model("in-job", "outputs/early.txt")
model.add_tags({"by": "job"})
Model.register(run.experiment.workspace, "here.txt", "in-job")
path = Model.get_model_path("given")
assert path == os.path.join("azureml-models", "given", "1", "given.txt"), path
with open(path) as file:
    run.log("given", file.read())
Model.get_model_path("in-job", version=1)
for forbidden in (model.delete, lambda: Model(run.experiment.workspace, "given").add_tags({"a": "b"})):
    try:
        forbidden()
    except Exception as error:
        assert "not good for" in str(error), error
    else:
        sys.exit("was allowed")
"""


def test_models_in_a_job(workspace: Workspace, run_script: RunScript, here: Path) -> None:
    (here / "given.txt").write_text("weights")
    Model.register(workspace, "given.txt", "given")
    run = run_script(IN_JOB)
    assert run.get_status() == "Completed", run.get_details_with_logs()
    assert run.get_metrics()["given"] == "weights"
    first, second = Model(workspace, "in-job", version=1), Model(workspace, "in-job", version=2)
    assert (first.run_id, first.tags, second.run_id) == (run.id, {"by": "job"}, None)
    assert Path(second.download(".")).read_text() == "from the job"


def test_outside_of_a_job_registering_says_what_it_would_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Run.get_context().register_model("m", "outputs/m")
    assert "m" in capsys.readouterr().out


def test_many_files_over_both_transports(
    workspace: Workspace, here: Path, connected: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = here / "many"
    folder.mkdir()
    for number in range(1100):
        (folder / f"{number:04}").write_text(str(number))
    model = Model.register(workspace, "many", "many")
    monkeypatch.setenv("LOCALAML_TRANSPORT", "http")
    from azureml.core import Workspace as Again

    workspace._client.close()
    again = Again.get(workspace.name, subscription_id=workspace.subscription_id, resource_group="group")
    assert len(Model(again, "many").get_sas_urls()) == 1100
    model.download("down")
    assert len(_tree(here / "down")) == 1100
