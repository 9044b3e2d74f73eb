"""Tags and properties whose value is None: of all that has them, read back by other objects."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from tests.sdk_runs.conftest import Submit
    from tests.support.emulator_process import EmulatorProcess

    from azureml.core import Experiment, Workspace

_GIVEN = {"none": None, "empty": "", "text": "None", "number": 3}
_READ = {"none": None, "empty": "", "text": "None", "number": "3"}


def test_of_a_run(experiment: Experiment) -> None:
    from azureml.core import Run

    with experiment.start_logging(snapshot_directory=None) as run:
        run.tag("key")
        run.set_tags(_GIVEN)
        run.add_properties(_GIVEN)
        run.add_properties(_GIVEN)
        with pytest.raises(UserErrorException, match="none"):
            run.add_properties({"none": "a value"})
    again = Run.get(experiment.workspace, run.id)
    assert again.tags == {"key": None, **_READ}
    assert again.get_properties() == _READ
    assert again.get_details()["properties"] == _READ
    again.tag("none", "one now")
    again.tag("text")
    assert (run.get_tags()["none"], run.get_tags()["text"]) == ("one now", None)


def test_of_submitted_runs_and_children(experiment: Experiment, submit: Submit) -> None:
    text = "from azureml.core import Run\nRun.get_context().tag('in job')\nRun.get_context().child_run().complete()\n"
    run = submit(text, tags={"a": None})
    run.wait_for_completion()
    assert run.get_tags() == {"a": None, "in job": None}


def test_filters(experiment: Experiment) -> None:
    runs = {}
    for name, tags in (("none", {"k": None}), ("empty", {"k": ""}), ("text", {"k": "x"}), ("other", {"o": None})):
        with experiment.start_logging(snapshot_directory=None) as run:
            run.set_tags(tags)
            run.add_properties(tags)
        runs[run.id] = name
    for wanted, expected in (
        ("k", {"none", "empty", "text"}),
        ({"k": None}, {"none", "empty", "text"}),
        ({"k": "x"}, {"text"}),
        ({"k": "None"}, set()),
        ({"o": None}, {"other"}),
    ):
        assert {runs[run.id] for run in experiment.get_runs(tags=wanted)} == expected
        assert {runs[run.id] for run in experiment.get_runs(properties=wanted)} == expected


def test_of_experiments_and_workspaces(experiment: Experiment) -> None:
    from azureml.core import Experiment, Workspace

    experiment.tag("key")
    experiment.set_tags(_GIVEN)
    assert Experiment(experiment.workspace, "exp").tags == {"key": None, **_READ}
    found = Experiment.list(experiment.workspace, tags={"key": None})
    assert [one.name for one in found] == ["exp"]
    workspace = experiment.workspace
    workspace.update(tags=_GIVEN)
    again = Workspace.get(workspace.name, subscription_id="tests", resource_group="group")
    assert again.tags == _READ
    assert again.get_details()["tags"] == _READ


def test_of_models(workspace: Workspace, tmp_path: Path) -> None:
    from azureml.core.model import Model

    (tmp_path / "model.txt").write_text("weights")
    Model.register(workspace, str(tmp_path / "model.txt"), "m", tags=_GIVEN, properties=_GIVEN)
    model = Model(workspace, "m")
    assert (model.tags, model.properties) == (_READ, _READ)
    assert model.serialize()["tags"] == _READ
    model.add_tags({"later": None})
    assert Model(workspace, "m").tags == {**_READ, "later": None}
    for tags, count in ((["none"], 1), ([["none", None]], 1), ({"none": None}, 1), ([["none", "x"]], 0)):
        assert len(Model.list(workspace, tags=tags)) == count


def test_of_datasets(workspace: Workspace, tmp_path: Path) -> None:
    from azureml.core import Dataset

    (tmp_path / "a.txt").write_text("a")
    store = workspace.get_default_datastore()
    store.upload_files([str(tmp_path / "a.txt")], target_path="d")
    Dataset.File.from_files((store, "d/a.txt")).register(workspace, "d", tags=_GIVEN)
    dataset = Dataset.get_by_name(workspace, "d")
    assert dataset.tags == _READ
    dataset.add_tags({"later": None})
    assert Dataset.get_by_name(workspace, "d").tags == {**_READ, "later": None}


def test_of_clusters(workspace: Workspace) -> None:
    from azureml.core.compute import AmlCompute, ComputeTarget

    settings = AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=1, tags=_GIVEN)
    ComputeTarget.create(workspace, "cpu", settings).wait_for_completion()
    assert ComputeTarget(workspace, "cpu").tags == _READ


def test_of_offline_runs(capsys: pytest.CaptureFixture[str]) -> None:
    from azureml.core import Run

    run = Run.get_context()
    run.tag("key")
    run.add_properties({"a": None})
    assert (run.get_tags(), run.get_properties()) == ({"key": None}, {"a": None})


def test_what_would_read_back_as_none_is_refused(experiment: Experiment) -> None:
    with experiment.start_logging(snapshot_directory=None) as run, pytest.raises(UserErrorException, match=r"U\+0000"):
        run.tag("key", "\0")


def test_widgets_and_the_command_line_show_the_name_alone(experiment: Experiment, connected: EmulatorProcess) -> None:
    from azureml.widgets import RunDetails

    with experiment.start_logging(snapshot_directory=None) as run:
        run.set_tags({"none": None, "text": "x"})
    assert RunDetails(run).get_widget_data()["run_properties"]["tags"] == {"none": None, "text": "x"}
    experiment.workspace.write_config()
    command = [sys.executable, "-m", "localaml.cli", "run", "show", run.id]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "none, text=x\n" in shown
    as_json = subprocess.run([*command, "-o", "json"], check=True, capture_output=True, text=True).stdout
    assert json.loads(as_json)["tags"] == {"none": None, "text": "x"}
