"""Datasets as inputs of runs: what the job sees, what it cannot change, what is told of it afterwards."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_datasets.conftest import Fill

from azureml.core import Dataset, Experiment, ScriptRunConfig
from azureml.core.runconfig import Data, RunConfiguration
from azureml.data import FileDataset
from azureml.data.dataset_consumption_config import DatasetConsumptionConfig
from azureml.exceptions import UserErrorException
from azureml.train.estimator import Estimator

if TYPE_CHECKING:
    from azureml.core import Run, Workspace

# Tells what it sees as a metric.
LOOK = """
import json, os, sys
from azureml.core import Run
run = Run.get_context()
value = run.input_datasets["x"]
shown = value if isinstance(value, str) else {"id": value.id, "kind": type(value).__name__}
tree = {}
if isinstance(value, str) and os.path.isdir(value):
    for folder, _, names in os.walk(value):
        for name in names:
            path = os.path.join(folder, name)
            tree[os.path.relpath(path, value)] = open(path).read()
elif isinstance(value, str):
    tree[os.path.basename(value)] = open(value).read()
run.log("seen", json.dumps({
    "value": shown, "argument": sys.argv[1:], "tree": tree, "names": list(run.input_datasets),
    "variables": [os.environ.get(n) for n in ("x", "AZURE_ML_INPUT_x", "AZUREML_DATAREFERENCE_x")],
}))
"""
FILES = {"d/a.txt": "A", "d/sub/b.txt": "B", "d/c.csv": "C", "e/other.txt": "no"}


def _submit(workspace: Workspace, tmp_path: Path, script: str, **arguments: Any) -> Run:
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    (source / "train.py").write_text(script)
    config = ScriptRunConfig(str(source), "train.py", **arguments)
    config.run_config.environment.python.user_managed_dependencies = True
    config.run_config.environment.python.interpreter_path = sys.executable
    return Experiment(workspace, "exp").submit(config)


def _seen(run: Run) -> dict[str, Any]:
    run.wait_for_completion()
    seen: dict[str, Any] = json.loads(run.get_metrics()["seen"])
    return seen


@pytest.fixture
def dataset(fill: Fill) -> FileDataset:
    made: FileDataset = Dataset.File.from_files((fill(FILES), "d/**/*.txt"))
    return made


@pytest.mark.parametrize("mode", ["mount", "download"])
def test_the_job_sees_exactly_the_files(workspace: Workspace, tmp_path: Path, dataset: FileDataset, mode: str) -> None:
    named = DatasetConsumptionConfig("x", dataset, mode)
    run = _submit(workspace, tmp_path, LOOK, arguments=["--data", named])
    seen = _seen(run)
    assert seen["tree"] == {"a.txt": "A", "sub/b.txt": "B"}
    assert seen["argument"] == ["--data", seen["value"]] and seen["variables"] == [seen["value"]] * 3
    assert seen["names"] == ["x"]
    details = run.get_details()
    assert details["runDefinition"]["arguments"] == ["--data", "DatasetConsumptionConfig:x"]
    entry = details["runDefinition"]["data"]["x"]
    assert (entry["mechanism"], entry["environmentVariableName"]) == (mode.capitalize(), "x")
    (told,) = details["inputDatasets"]
    assert told["consumptionDetails"]["inputName"] == "x" and told["consumptionDetails"]["type"] == "RunInput"
    assert told["dataset"].to_path() == ["/a.txt", "/sub/b.txt"]
    # What was only an input can be given a name afterwards.
    told["dataset"].register(workspace, "afterwards")
    assert run.input_datasets["x"].id == told["dataset"].id


def test_one_file_is_a_path_of_a_file(workspace: Workspace, tmp_path: Path, fill: Fill) -> None:
    named = Dataset.File.from_files(fill(FILES).path("d/a.txt")).as_named_input("x").as_mount()
    seen = _seen(_submit(workspace, tmp_path, LOOK, arguments=[named]))
    assert seen["tree"] == {"a.txt": "A"} and seen["value"].endswith("/x/a.txt")


def test_a_table_is_read_in_the_job(workspace: Workspace, tmp_path: Path, fill: Fill) -> None:
    table = Dataset.Tabular.from_delimited_files((fill({"t.csv": "a,b\n1,2\n3,4\n"}), "t.csv"))
    script = LOOK + "run.log_list('a', [int(n) for n in value.skip(1).to_pandas_dataframe()['a']])\n"
    script += "from azureml.core import Dataset\n"
    script += "assert Dataset.get_by_id(run.experiment.workspace, id=sys.argv[1]).id == value.id\n"
    script += "value.register(run.experiment.workspace, 'from-the-job')\n"
    run = _submit(workspace, tmp_path, script, arguments=[table.as_named_input("x")])
    seen = _seen(run)
    assert seen["value"]["kind"] == "TabularDataset" and seen["argument"] == [seen["value"]["id"]]
    assert run.get_metrics()["a"] in (3, [3])
    assert workspace.datasets["from-the-job"].to_pandas_dataframe()["b"].tolist() == [2, 4]


VANDAL = """
import os, shutil, sys
root = sys.argv[1]
path = os.path.join(root, "a.txt")
mode = os.stat(path).st_mode & 0o777
folder_mode = os.stat(root).st_mode & 0o777
from azureml.core import Run
Run.get_context().log_row("modes", file=mode, folder=folder_mode)
try:
    open(path, "w").write("changed")
    assert os.geteuid() == 0
except PermissionError:
    pass
for folder, _, _ in list(os.walk(root)):
    os.chmod(folder, 0o700)
for folder, _, names in list(os.walk(root)):
    for name in names:
        os.chmod(os.path.join(folder, name), 0o600)
        open(os.path.join(folder, name), "w").write("changed")
open(os.path.join(root, "new.txt"), "w").write("new")
os.unlink(path)
os.chmod(root, 0o000)
"""


def test_whatever_the_job_does_the_datastore_stays(workspace: Workspace, tmp_path: Path, dataset: FileDataset) -> None:
    run = _submit(workspace, tmp_path, VANDAL, arguments=[dataset.as_mount()])
    run.wait_for_completion()
    assert run.get_metrics()["modes"] == {"file": 0o444, "folder": 0o555}
    assert dataset.to_path() == ["/a.txt", "/sub/b.txt"]
    assert [Path(path).read_text() for path in dataset.download(str(tmp_path / "after"))] == ["A", "B"]


def test_a_place_of_the_users_choice(workspace: Workspace, tmp_path: Path, dataset: FileDataset) -> None:
    script = LOOK + "assert open('in/sub/b.txt').read() == 'B'\n"
    named = dataset.as_named_input("x").as_mount("in")
    assert _seen(_submit(workspace, tmp_path, script, arguments=[named]))["value"].endswith("/work/in")
    with pytest.raises(UserErrorException, match="'/etc/x' belongs to the system"):
        _submit(workspace, tmp_path, LOOK, arguments=[dataset.as_named_input("x").as_mount("/etc/x")])
    run = _submit(workspace, tmp_path, LOOK, arguments=[dataset.as_named_input("x").as_mount(".")])
    run.wait_for_completion(raise_on_error=False)
    assert "something is there already" in run.get_details()["error"]["error"]["message"]


def test_estimators(workspace: Workspace, tmp_path: Path, dataset: FileDataset) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(LOOK)
    estimator = Estimator(
        str(source),
        compute_target="local",
        entry_script="train.py",
        script_params={"--data": dataset.as_named_input("x").as_mount(), "--n": 3},
        inputs=[dataset.as_named_input("y")],
        user_managed=True,
    )
    assert estimator.run_config is not None and sorted(estimator.run_config.data) == ["x", "y"]
    estimator.run_config.environment.python.interpreter_path = sys.executable
    seen = _seen(Experiment(workspace, "exp").submit(estimator))
    assert seen["argument"] == ["--data", seen["value"], "--n", "3"] and seen["names"] == ["x", "y"]


def test_run_configurations(workspace: Workspace, tmp_path: Path, dataset: FileDataset) -> None:
    config = RunConfiguration()
    config.data = {"x": Data.create(dataset.as_named_input("x").as_download())}
    config.environment.python.user_managed_dependencies = True
    config.environment.python.interpreter_path = sys.executable
    config.save(str(tmp_path / "saved.runconfig"))
    loaded = RunConfiguration.load(str(tmp_path / "saved.runconfig"))
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(LOOK)
    run = Experiment(workspace, "exp").submit(ScriptRunConfig(str(source), "train.py", run_config=loaded))
    assert _seen(run)["tree"] == {"a.txt": "A", "sub/b.txt": "B"}


def test_files_of_the_web(workspace: Workspace, tmp_path: Path, web: tuple[str, Path]) -> None:
    address, folder = web
    (folder / "one.txt").write_text("from the web")
    named = Dataset.File.from_files(f"{address}/one.txt").as_named_input("x").as_mount()
    assert _seen(_submit(workspace, tmp_path, LOOK, arguments=[named]))["tree"] == {"one.txt": "from the web"}
    (folder / "one.txt").unlink()
    run = _submit(workspace, tmp_path, LOOK, arguments=[named])
    run.wait_for_completion(raise_on_error=False)
    assert run.get_details()["error"]["error"]["code"] == "URL_NOT_FOUND"


def test_the_version_is_settled_at_submit(workspace: Workspace, tmp_path: Path, dataset: FileDataset) -> None:
    first = dataset.register(workspace, "d")
    run = _submit(workspace, tmp_path, LOOK, arguments=[Dataset.get_by_name(workspace, "d").as_named_input("x")])
    dataset.take(1).register(workspace, "d", create_new_version=True)
    assert _seen(run)["value"]["id"] == first.id
    told = run.get_details()["runDefinition"]["data"]["x"]["dataLocation"]["dataset"]
    assert told == {"id": first.id, "name": "d", "version": "1"}


def test_what_is_refused_at_submit(workspace: Workspace, tmp_path: Path, dataset: FileDataset) -> None:
    other = dataset.take(1)
    for arguments, text in (
        ([dataset], "as_named_input"),
        ([dataset.as_named_input("x"), other.as_named_input("x")], "Two dataset inputs"),
        (["DatasetConsumptionConfig:nope"], "does not have"),
        ([dataset.as_named_input("PATH")], "cannot be the name of an input"),
    ):
        with pytest.raises(UserErrorException, match=text):
            _submit(workspace, tmp_path, LOOK, arguments=arguments)
    with pytest.raises(UserErrorException, match="takes a DatasetConsumptionConfig"):
        Data.create(dataset)
    gone = dataset.register(workspace, "gone")
    gone.unregister_all_versions()
    gone._record = {"datasetId": "00000000-0000-0000-0000-000000000000"}
    with pytest.raises(UserErrorException, match="No dataset with the id"):
        _submit(workspace, tmp_path, LOOK, arguments=[gone.as_named_input("x")])


def test_a_run_without_datasets_has_none(workspace: Workspace, tmp_path: Path) -> None:
    run = _submit(workspace, tmp_path, "pass")
    assert len(run.input_datasets) == 0 and run.get_details()["inputDatasets"] == []
    with pytest.raises(KeyError, match="has no input dataset 'x'"):
        run.input_datasets["x"]
    run.wait_for_completion()
