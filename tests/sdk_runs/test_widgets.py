"""`RunDetails`: as data, as HTML, and live in a real Jupyter kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.sdk_runs.conftest import Submit
from tests.support.notebook import notebook_in

from azureml.core import Experiment
from azureml.exceptions import UserErrorException
from azureml.widgets import RunDetails
from azureml.widgets._charts import Chart, metrics_view, svg

# The keys of a widget state that a public notebook stored (onnx-train-pytorch-aml-deploy-mnist, autumn 2018).
RECORDED = {
    "run_id",
    "run_properties",
    "run_logs",
    "child_runs_metrics",
    "compute_target_status",
    "workbench_uri",
    "error",
    "widget_settings",
}
RECORDED_PROPERTIES = {
    "run_id",
    "script_name",
    "arguments",
    "status",
    "created_utc",
    "end_time_utc",
    "run_duration",
    "log_files",
    "properties",
    "tags",
    "distributed_processes",
}


def _series(name: str, kind: str, *values: Any, steps: list[int] | None = None) -> dict[str, Any]:
    message = {"name": name, "type": "METRIC_TYPE_" + kind, "valuesJson": [json.dumps(value) for value in values]}
    return message if steps is None else {**message, "steps": [str(step) for step in steps]}


class TestCharts:
    def test_what_becomes_a_line(self) -> None:
        view = metrics_view(
            [
                _series("loss", "SCALAR", 3, 2, steps=[10, 20]),
                _series("loss", "SCALAR", 1, steps=[30]),
                _series("epochs", "LIST", [5, 6, 7]),
                _series("wave", "ROW", {"angle": 1, "cos": 0.5}, {"angle": 2, "cos": 0.25}),
                _series("table", "TABLE", {"word": ["a", "b"], "y": [1, 2]}),
            ]
        )
        assert view.charts == [
            Chart("loss", "step", [(10, 3), (20, 2), (30, 1)]),
            Chart("epochs", "", [(0, 5), (1, 6), (2, 7)]),
            Chart("wave (cos)", "angle", [(1, 0.5), (2, 0.25)]),
            Chart("table (y)", "", [(0, 1), (1, 2)]),
        ]

    def test_what_does_not(self) -> None:
        view = metrics_view(
            [
                _series("accuracy", "SCALAR", 0.9),
                _series("name", "SCALAR", "text"),
                _series("gaps", "SCALAR", 1, float("nan"), 3, True),
                _series("plot", "IMAGE", "aml://artifactId/ExperimentRun/dcid.r/plot.png"),
                _series("matrix", "CONFUSION_MATRIX", {"data": {}}),
            ]
        )
        assert view.numbers == [("accuracy", 0.9), ("name", "text")]
        assert view.images == [("plot", "aml://artifactId/ExperimentRun/dcid.r/plot.png")]
        assert view.charts == [Chart("gaps", "", [(0, 1), (2, 3)])]

    def test_a_flat_line_and_many_points_can_be_drawn(self) -> None:
        assert "<polyline" in svg(Chart("flat", "", [(0, 1.0), (1, 1.0)]))
        assert len(svg(Chart("long", "", [(x, x % 7) for x in range(100_000)]))) < 60_000


def test_data_has_the_recorded_keys(submit: Submit) -> None:
    run = submit(
        "from azureml.core import Run\nrun = Run.get_context()\nprint('hello')\n"
        "for x in (3, 2, 1):\n    run.log('loss', x)\nrun.child_run('part').complete()\n",
        arguments=["--rate", 0.1],
        tags={"kind": "test"},
    )
    run.wait_for_completion()
    data = RunDetails(run).get_widget_data()
    assert data.keys() >= RECORDED
    assert data["run_properties"].keys() >= RECORDED_PROPERTIES
    assert data["run_id"] == run.id
    assert data["run_properties"]["status"] == "Completed"
    assert data["run_properties"]["script_name"] == "train.py"
    assert data["run_properties"]["arguments"] == "--rate 0.1"
    assert data["run_properties"]["tags"] == {"kind": "test"}
    assert data["run_properties"]["created_utc"] < data["run_properties"]["end_time_utc"]
    assert data["run_properties"]["run_duration"].startswith("0:0")
    assert data["run_metrics"] == [
        {"name": "loss", "run_id": run.id, "categories": [0, 1, 2], "series": [{"data": [3, 2, 1]}]}
    ]
    assert "hello" in data["run_logs"]
    assert [child["status"] for child in data["child_runs"]] == ["Completed"]
    assert data["workbench_uri"] == run.get_portal_url()
    assert (data["error"], data["widget_settings"], data["compute_target_status"]) == ("", {}, None)


def test_a_failed_run_says_why(submit: Submit) -> None:
    run = submit("raise SystemExit('no <data>')")
    run.wait_for_completion(raise_on_error=False)
    shown: list[str] = []
    details = RunDetails(run)
    details.show(render_lib=shown.append, widget_settings={"debug": True})
    assert "no &lt;data&gt;" in shown[0]
    assert "<data>" not in shown[0], "what a script says is text, not HTML"
    data = details.get_widget_data()
    assert "no <data>" in data["error"]
    assert data["widget_settings"] == {"debug": True}


def test_html_shows_metrics_images_and_children(experiment: Experiment) -> None:
    Path("plot.png").write_bytes(b"\x89PNG")
    with experiment.start_logging(snapshot_directory=None) as run:
        run.log("<accuracy>", 0.9)
        run.log_list("loss", [3, 2, 1])
        run.log_image("plot", path="plot.png")
        child = run.child_run("part")
        child.complete()
    shown: list[str] = []
    RunDetails(run).show(render_lib=shown.append)
    assert "&lt;accuracy&gt;" in shown[0]
    assert "<svg" in shown[0]
    assert "data:image/png;base64,iVBORw==" in shown[0]
    assert child.id in shown[0]


def test_nothing_is_shown_outside_of_notebooks(experiment: Experiment, capfd: pytest.CaptureFixture[str]) -> None:
    with experiment.start_logging(snapshot_directory=None) as run:
        RunDetails(run).show()
    assert capfd.readouterr() == ("", "")


def test_only_runs_are_shown() -> None:
    with pytest.raises(UserErrorException, match="not 'str'"):
        RunDetails("run_1")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore")  # jupyter_client's own
def test_a_notebook_follows_a_run_until_its_end(submit: Submit, tmp_path: Path) -> None:
    marker = tmp_path / "go on"
    run = submit(
        "import os, sys, time\nfrom azureml.core import Run\nrun = Run.get_context()\n"
        "for x in (30, 20):\n    run.log('loss', x)\nprint('first line', flush=True)\n"
        f"while not os.path.exists({str(marker)!r}): time.sleep(0.05)\n"
        "run.log('loss', 10)\nprint('last line')\n"
    )
    workspace = run.experiment.workspace
    with notebook_in(tmp_path / "notebook", {}) as notebook:
        notebook.cell(
            "from azureml.core import Experiment, Run, Workspace\nfrom azureml.widgets import RunDetails\n"
            f"ws = Workspace.get({workspace.name!r}, subscription_id='tests', resource_group='group')\n"
            f"run = Run.get(ws, {run.id!r})\nRunDetails(run).show()"
        )
        assert notebook.widgets == 1
        notebook.wait_for("first line")
        notebook.wait_for("<svg")
        assert not any("Completed" in value for value in notebook.values)
        marker.touch()
        notebook.wait_for("Completed")
        notebook.wait_for("last line")
        notebook.cell(
            "import threading, time\n"
            "for thread in threading.enumerate():\n    if thread.name.startswith('azureml-run'): thread.join(20)\n"
            "print('left:', [one.name for one in threading.enumerate() if one.name.startswith('azureml-run')])"
        )
        assert "left: []" in notebook.text, notebook.text
