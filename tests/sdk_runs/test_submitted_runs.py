"""Submitted runs, against a real emulator: state, details, logs, metrics, files; from outside and from in the job."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_runs.conftest import Submit
from tests.support.old_pythons import need_python

from azureml.core import Experiment, Run, ScriptRunConfig, get_run
from azureml.core.script_run import ScriptRun
from azureml.exceptions import ActivityFailedException, AzureMLException, UserErrorException
from azureml.train.estimator import Estimator

if TYPE_CHECKING:
    from azureml.core import Workspace

TRAIN = """
import sys
from azureml.core import Run
run = Run.get_context()
print("argument", sys.argv[1], flush=True)
for value in (1.0, 0.5, 0.25):
    run.log("loss", value)
run.log("count", 3)
run.log_list("fib", [1, 1, 2])
run.log_row("wave", x=1, y=0.5)
run.log_row("wave", x=2, y=0.25)
run.tag("from", "the job")
run.add_properties({"p": "1"})
run.upload_file("uploaded/by_hand.txt", "data.txt") if False else None
with open("outputs/model.txt", "w") as file:
    file.write("weights")
with open("logs/mine.log", "w") as file:
    file.write("said")
run.upload_file("by_hand/model.txt", "outputs/model.txt")
run.complete()
"""


def test_a_run_from_submit_to_files(submit: Submit, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = submit(TRAIN, arguments=[0.8], tags={"why": "test"})
    assert type(run) is ScriptRun
    text = str(run)
    assert text == f"Run(Experiment: exp,\nId: {run.id},\nType: azureml.scriptrun,\nStatus: Queued)"
    experiment, seconds, word = run.id.rsplit("_", 2)
    assert (experiment, seconds.isdigit(), len(word)) == ("exp", True, 8)

    details = run.wait_for_completion(show_output=True)
    out = capsys.readouterr().out
    assert out.startswith(f"RunId: {run.id}\n\nStreaming azureml-logs/")
    line = "Streaming azureml-logs/80_driver_log.txt"
    assert f"\n{line}\n{'=' * len(line)}\n\nargument 0.8\n" in out
    assert out.endswith(f"\nExecution Summary\n=================\nRunId: {run.id}\n\n")

    assert details.status == details["status"] == run.status == run.get_status() == "Completed"
    assert details["runId"] == run.id
    assert details["startTimeUtc"] <= details["endTimeUtc"]
    assert details["endTimeUtc"].endswith("Z")
    assert details["properties"]["azureml.runsource"] == "experiment"
    assert details["properties"]["ContentSnapshotId"] == run.get_snapshot_id()
    assert details["runDefinition"]["Arguments"] == details["runDefinition"]["arguments"] == ["0.8"]
    assert details["runDefinition"]["Script"] == "train.py"
    assert "error" not in details
    with pytest.raises(AttributeError, match="status"):
        _ = details.statsu
    with_logs = run.get_details_with_logs()
    assert with_logs["logFiles"]["azureml-logs/80_driver_log.txt"] == "argument 0.8\n"

    assert run.get_metrics() == {
        "loss": [1.0, 0.5, 0.25],
        "count": 3,
        "fib": [1, 1, 2],
        "wave": {"x": [1, 2], "y": [0.5, 0.25]},
    }
    assert run.get_metrics("count") == {"count": 3}
    assert run.get_tags() == run.tags == {"why": "test", "from": "the job"}
    assert run.get_properties()["p"] == "1"

    names = run.get_file_names()
    assert {"outputs/model.txt", "logs/mine.log", "by_hand/model.txt", "azureml-logs/80_driver_log.txt"} <= set(names)
    run.download_file(name="outputs/model.txt")
    assert Path("model.txt").read_text() == "weights"
    run.download_file("outputs/model.txt", output_file_path="sub/folder/renamed.txt")
    assert Path("sub/folder/renamed.txt").read_text() == "weights"
    run.download_file("outputs/model.txt", "sub/")
    assert Path("sub/model.txt").read_text() == "weights"
    run.download_files(prefix="outputs", output_directory="all")
    assert Path("all/outputs/model.txt").read_text() == "weights"
    run.download_files(prefix="./outputs/", output_directory="flat", append_prefix=False)
    assert Path("flat/model.txt").read_text() == "weights"
    run.download_files(prefix="logs/mine", output_paths=["chosen.log"])
    assert Path("chosen.log").read_text() == "said"
    assert sorted(run.get_all_logs("fetched"))[-1].endswith("azureml-logs/80_driver_log.txt")
    assert Path("fetched/azureml-logs/80_driver_log.txt").read_text() == "argument 0.8\n"


def test_files_that_do_not_exist(submit: Submit) -> None:
    run = submit("pass")
    run.wait_for_completion()
    with pytest.raises(UserErrorException, match=r"outputs/nothing\.pkl"):
        run.download_file("outputs/nothing.pkl", "x.pkl")
    assert not Path("x.pkl").exists()
    with pytest.raises(UserErrorException, match="no files that begin with 'models'"):
        run.download_files(prefix="models")
    with pytest.raises(UserErrorException, match="output_paths"):
        run.download_files(prefix="azureml-logs", output_paths=["a", "b", "c", "d"])


def test_a_run_that_fails(submit: Submit, capsys: pytest.CaptureFixture[str]) -> None:
    run = submit("import sys\nprint('before')\nsys.exit(3)")
    with pytest.raises(ActivityFailedException, match="exit code 3"):
        run.wait_for_completion()
    details = run.wait_for_completion(show_output=True, raise_on_error=False)
    assert details.status == "Failed"
    assert "exit code 3" in details["error"]["error"]["message"]
    shown = capsys.readouterr().out
    assert json.dumps(details["error"], indent=4) in shown


def test_cancelling(submit: Submit) -> None:
    run = submit("import time\ntime.sleep(600)")
    run.cancel()
    assert run.wait_for_completion().status == "Canceled"
    with pytest.raises(AzureMLException):
        run.cancel()


def test_what_a_killed_job_logged_is_there(submit: Submit) -> None:
    run = submit(
        "import os, time\n"
        "from azureml.core import Run\n"
        "run = Run.get_context()\n"
        "for value in range(1000):\n"
        "    run.log('a', value)\n"
        "time.sleep(2)\n"
        "os._exit(1)\n"
    )
    run.wait_for_completion(raise_on_error=False)
    assert run.get_metrics() == {"a": list(range(1000))}


def test_what_is_logged_last_is_there(submit: Submit) -> None:
    run = submit(
        "import multiprocessing\n"
        "from azureml.core import Run\n"
        "run = Run.get_context()\n"
        "def log(number):\n"
        "    run.log('child', number)\n"
        "if __name__ == '__main__':\n"
        "    run.log('parent', 1)\n"
        "    children = [multiprocessing.get_context('fork').Process(target=log, args=(n,)) for n in range(3)]\n"
        "    [child.start() for child in children]\n"
        "    [child.join() for child in children]\n"
        "    run.log('parent', float('nan'))\n"
        "    raise SystemExit(0)\n"
    )
    run.wait_for_completion()
    metrics = run.get_metrics()
    assert sorted(metrics["child"]) == [0, 1, 2]
    assert metrics["parent"][0] == 1
    assert math.isnan(metrics["parent"][1])


def test_children_made_and_submitted_in_the_job(submit: Submit) -> None:
    run = submit(
        "from azureml.core import Run\n"
        "run = Run.get_context()\n"
        "with run.child_run('first') as child:\n"
        "    child.log('a', 1)\n"
        "for child, number in zip(run.create_children(tag_key='n', tag_values=[5, 6]), (5, 6)):\n"
        "    child.log('a', number)\n"
        "    child.complete()\n"
        "assert run.experiment.name == 'exp'\n"
        "assert run.parent is None\n"
        "assert child.parent.id == run.id\n"
        "run.log('a', 0)\n"
    )
    run.wait_for_completion()
    children = list(run.get_children())
    assert [child.get_status() for child in children] == ["Completed"] * 3
    assert sorted(child.get_metrics()["a"] for child in children) == [1, 5, 6]
    assert [child.id for child in run.get_children(tags={"n": "6"})] == [
        child.id for child in children if child.get_tags().get("n") == "6"
    ]
    assert {child.display_name for child in children} >= {"first"}
    assert sorted(run.get_metrics(recursive=True)["a"]) == [0, 1, 5, 6]
    assert run.get_metrics() == {"a": 0}
    assert [item.id for item in run.experiment.get_runs()] == [run.id]
    assert len(list(run.experiment.get_runs(include_children=True))) == 4


@pytest.mark.parametrize("version", ["3.6", "3.7"])
def test_old_pythons_with_nothing_installed(submit: Submit, version: str) -> None:
    python = need_python(version)
    run = submit(
        "import sys\n"
        "from azureml.core.run import Run\n"
        "from azureml.core import Experiment, Workspace, ScriptRunConfig\n"
        "from azureml.train.estimator import Estimator\n"
        f"assert sys.version_info[:2] == (3, {version[2:]})\n"
        "run = Run.get_context()\n"
        "run.log('loss', 0.5)\n"
        "run.log_table('t', {'a': [1, 2]})\n"
        "open('outputs/x', 'w').write('y')\n"
        "run.upload_file('x', 'outputs/x')\n"
        "print(run.get_details().status)\n",
        python=python,
    )
    run.wait_for_completion()
    assert run.get_metrics() == {"loss": 0.5, "t": {"a": [1, 2]}}
    assert "x" in run.get_file_names()
    assert run.get_details_with_logs()["logFiles"]["azureml-logs/80_driver_log.txt"] == "Running\n"


def test_finding_runs(submit: Submit, experiment: Experiment, workspace: Workspace) -> None:
    first = submit("pass", tags={"worth another look": ""})
    second = submit("import sys; sys.exit(1)", tags={"color": "red"})
    for run in (first, second):
        run.wait_for_completion(raise_on_error=False)
    assert [run.id for run in experiment.get_runs()] == [second.id, first.id]
    assert [run.id for run in experiment.get_runs(tags="worth another look")] == [first.id]
    assert [run.id for run in experiment.get_runs(tags={"color": "red"})] == [second.id]
    assert [run.id for run in experiment.get_runs(tags={"color": "blue"})] == []
    assert [run.id for run in Run.list(experiment, status="Failed")] == [second.id]
    assert [run.id for run in Run.list(experiment, type="other")] == []
    assert [run.id for run in experiment.get_runs(properties={"azureml.runsource": "experiment"})] == [
        second.id,
        first.id,
    ]
    with pytest.raises(UserErrorException, match="no run status 'Done'"):
        Run.list(experiment, status="Done")
    found = Run.get(workspace, first.id)
    assert (type(found), found.experiment.name, found) == (ScriptRun, "exp", first)
    assert type(get_run(experiment, first.id)) is ScriptRun
    assert type(get_run(experiment, first.id, rehydrate=False)) is Run
    with pytest.raises(UserErrorException, match="no_such"):
        Run(experiment, "no_such")


def test_bad_submits_leave_no_run(experiment: Experiment, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("pass")
    (tmp_path / "outside.py").write_text("pass")
    cases: list[tuple[Any, str]] = [
        (ScriptRunConfig(str(source), "missing.py"), "'missing.py' does not exist"),
        (ScriptRunConfig(str(source), "../outside.py"), "outside the source directory"),
        (ScriptRunConfig(str(source), str(tmp_path / "outside.py")), "outside the source directory"),
        (ScriptRunConfig(str(tmp_path / "nowhere"), "train.py"), "does not exist or is no folder"),
        ("train.py", "type str cannot be submitted"),
    ]
    for config, said in cases:
        with pytest.raises(UserErrorException, match=said):
            experiment.submit(config)
    with pytest.raises(AzureMLException, match="no-such-cluster"):
        experiment.submit(ScriptRunConfig(str(source), "train.py", compute_target="no-such-cluster"))
    assert list(experiment.get_runs()) == []


@pytest.mark.parametrize("make", [Estimator, ScriptRunConfig])
def test_a_notebook_as_the_script_is_refused_at_submit(make: Any, experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "train.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    name = "entry_script" if make is Estimator else "script"
    with pytest.raises(UserErrorException, match=r"'train\.ipynb' is a notebook.*nbconvert"):
        experiment.submit(make(source_directory=str(tmp_path), compute_target="local", **{name: "train.ipynb"}))
    assert not list(experiment.get_runs())


def test_a_script_given_by_its_absolute_path(submit: Submit, experiment: Experiment, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "train.py").write_text("print('found')")
    config = ScriptRunConfig(str(source), str(source / "sub" / "train.py"))
    config.run_config.environment.python.user_managed_dependencies = True
    run = experiment.submit(config)
    assert run.wait_for_completion()["runDefinition"]["script"] == "sub/train.py"


def test_a_command(experiment: Experiment, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    config = ScriptRunConfig(str(source), command="echo one && echo $WORD")
    config.run_config.environment_variables = {"WORD": "two"}
    config.run_config.environment.python.user_managed_dependencies = True
    run = experiment.submit(config)
    run.wait_for_completion()
    assert run.get_details_with_logs()["logFiles"]["azureml-logs/80_driver_log.txt"] == "one\ntwo\n"


def test_the_snapshot_comes_back_as_a_zip(submit: Submit) -> None:
    import zipfile

    run = submit("print('this')")
    path = run.restore_snapshot(path="snapshots")
    assert path == str(Path("snapshots") / f"{run.get_snapshot_id()}.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.read("train.py") == b"print('this')"
    assert [item.name for item in Path("snapshots").iterdir()] == [Path(path).name]
    run.wait_for_completion()


def test_names_and_pages(submit: Submit) -> None:
    run = submit("pass")
    run.display_name, run.description = "a name", "a text"
    assert (run.display_name, run.name, run.description, run.number) == ("a name", "a name", "a text", 1)
    run.remove_tags("not there")
    assert f"/experiments/exp/runs/{run.id}?wsid=/subscriptions/" in run.get_portal_url()
    assert run.get_portal_url().startswith("http://127.0.0.1:")
    html = run._repr_html_()
    assert run.id in html
    assert 'href="http://127.0.0.1' in html
    run.wait_for_completion()
    assert [entry["state"] for entry in run.get_detailed_status()["details"]][-1] == "Completed"
    assert run.get_environment().python.user_managed_dependencies is True


def test_what_is_missing_is_said_by_name(submit: Submit) -> None:
    run = submit("pass")
    with pytest.raises(UserErrorException, match="datastore_name"):
        run.upload_file("a", __file__, datastore_name="d")
    run.wait_for_completion()
