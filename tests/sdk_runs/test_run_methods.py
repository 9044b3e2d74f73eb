"""Methods of runs and experiments that the other files do not come by, against a real emulator."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_runs.conftest import Submit

from azureml.core import Experiment, Run, ScriptRun
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core import Workspace


def test_a_snapshot_taken_by_hand(experiment: Experiment) -> None:
    folder = Path("code")
    folder.mkdir()
    (folder / "train.py").write_text("x = 1")
    with experiment.start_logging(snapshot_directory=None) as run:
        with pytest.raises(UserErrorException, match="nowhere does not exist"):
            run.take_snapshot("nowhere")
        snapshot_id = run.take_snapshot("code")
    assert run.get_snapshot_id() == snapshot_id
    archive = run.restore_snapshot(path="back")
    with zipfile.ZipFile(archive) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == {"train.py": b"x = 1"}
    with experiment.start_logging(snapshot_directory=None) as other:
        assert other.take_snapshot("code/train.py")
        with zipfile.ZipFile(other.restore_snapshot()) as packed:
            assert packed.namelist() == ["train.py"], "a single file does, too"


def test_the_runs_of_a_cluster(submit: Submit, workspace: Workspace) -> None:
    settings = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=1)
    cluster = ComputeTarget.create(workspace, "few", settings)
    elsewhere = submit("print('here')")
    first = submit("print('there')", compute_target=cluster, tags={"kind": "first"})
    first.wait_for_completion()
    second = submit("print('there, too')", compute_target="few")
    second.wait_for_completion()
    elsewhere.wait_for_completion()
    assert [run.id for run in Run.list_by_compute(cluster)] == [second.id, first.id]
    assert [run.id for run in Run.list_by_compute(cluster, tags="kind", status="Completed")] == [first.id]
    assert [run.experiment.name for run in Run.list_by_compute(cluster, type="azureml.scriptrun")] == ["exp", "exp"]


def test_submitting_a_child_of_a_run_of_ones_own(experiment: Experiment, tmp_path: Path) -> None:
    from azureml.core import ScriptRunConfig

    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("from azureml.core import Run\nRun.get_context().log('from', 'child')")
    config = ScriptRunConfig(str(source), "train.py")
    config.run_config.environment.python.user_managed_dependencies = True
    with experiment.start_logging(snapshot_directory=None) as run:
        child = run.submit_child(config, tags={"part": "1"})
        child.wait_for_completion()
    assert isinstance(child, ScriptRun)
    assert child.parent == run
    assert [found.id for found in run.get_children(tags={"part": "1"}, status="Completed")] == [child.id]
    assert not list(run.get_children(tags={"part": "2"}))
    assert run.get_metrics(recursive=True) == {"from": "child"}
    assert [found.id for found in experiment.get_runs()] == [run.id], "children come only when asked for"
    assert {found.id for found in experiment.get_runs(include_children=True)} == {run.id, child.id}


@pytest.mark.parametrize("method", ["log_confusion_matrix", "log_accuracy_table", "log_residuals", "log_predictions"])
def test_documents(experiment: Experiment, method: str) -> None:
    document: dict[str, Any] = {"schema_type": method[4:], "schema_version": "v1", "data": {"matrix": [[1, 0], [0, 2]]}}
    with experiment.start_logging(snapshot_directory=None) as run:
        getattr(run, method)("document", document)
        getattr(run, method)("text", '{"schema_type": "x"}', description="as JSON")
        with pytest.raises(UserErrorException, match="must be a dict"):
            getattr(run, method)("wrong", [1, 2])
    assert run.get_metrics() == {"document": document, "text": {"schema_type": "x"}}


def test_runs_of_a_type_can_have_a_class_of_their_own(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from azureml.core import run as run_module

    class SpecialRun(Run):
        pass

    monkeypatch.setattr(run_module, "_TYPE_PROVIDERS", {})
    Run.add_type_provider("azureml.scriptrun", lambda experiment, record: SpecialRun(experiment, record["runId"]))
    with experiment.start_logging(snapshot_directory=None) as plain:
        pass
    assert [type(run) for run in experiment.get_runs()] == [Run]
    assert plain.type is None


def test_old_names(experiment: Experiment, submit: Submit) -> None:
    assert experiment.workspace_object == experiment.workspace
    assert Run.get_submitted_run().id.startswith("OfflineRun_")
    run = submit("print(1)")
    details = run.wait_for_completion(wait_post_processing=True)
    assert details["status"] == "Completed"
    run.clean()
    assert run.get_all_logs("logs here")
    with pytest.raises(UserErrorException, match="get_all_logs"):
        run.get_diagnostics()
    with pytest.raises(UserErrorException, match=r"Experiment\.from_directory"):
        Experiment.from_directory(os.curdir)


def test_telemetry_says_what_azures_says_and_sends_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from azureml.telemetry import set_diagnostics_collection

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection is opened")

    monkeypatch.setattr(socket, "socket", refuse)
    set_diagnostics_collection(send_diagnostics=True)
    set_diagnostics_collection(False)
    assert capsys.readouterr().out == "Turning diagnostics collection on. \nTurning diagnostics collection off. \n"


def test_versions_and_previews() -> None:
    import azureml.core

    assert azureml.core.VERSION == azureml.core.__version__ == "1.61.0"
    with pytest.raises(ImportError, match=r"LocalAML does not support azureml\.contrib"):
        import azureml.contrib.notebook


def test_tables_of_notebooks(experiment: Experiment) -> None:
    with experiment.start_logging(snapshot_directory=None) as run:
        html = run._repr_html_()
    for header in ("Experiment", "Id", "Type", "Status", "Details Page", "Docs Page"):
        assert f"<th>{header}</th>" in html
    assert f'href="{run.get_portal_url().replace("&", "&amp;")}"' in html
    assert f"/experiments/exp/runs/{run.id}?" in run.get_portal_url()
    html = experiment._repr_html_()
    for header in ("Name", "Workspace", "Report Page", "Docs Page"):
        assert f"<th>{header}</th>" in html


@pytest.fixture
def figure() -> Iterator[Any]:
    class Figure:
        def savefig(self, target: Any, format: str) -> None:
            target.write(b"drawn as " + format.encode())

    yield Figure()


def test_images(experiment: Experiment, figure: Any) -> None:
    Path("plot.jpg").write_bytes(b"photo")
    run = experiment.start_logging(snapshot_directory=None)
    run.log_image("from file", path="plot.jpg")
    run.complete()
    run.log_image("drawn", plot=figure)
    run.log_image("drawn", plot=figure)
    run.flush()
    metrics = run.get_metrics()
    assert metrics["from file"].startswith(f"aml://artifactId/ExperimentRun/dcid.{run.id}/from file_")
    assert metrics["from file"].endswith(".jpg")
    assert len(set(metrics["drawn"])) == 2, "each image has a name of its own"
    for wrong in ({}, {"path": "plot.jpg", "plot": figure}):
        with pytest.raises(UserErrorException, match="either path or plot"):
            run.log_image("wrong", **wrong)
    with pytest.raises(UserErrorException, match="no image file"):
        run.log_image("wrong", path="missing.png")
    with pytest.raises(UserErrorException, match="savefig"):
        run.log_image("wrong", plot=3)


def test_uploads_after_the_end(experiment: Experiment) -> None:
    Path("data/inner").mkdir(parents=True)
    Path("data/inner/a.txt").write_text("a")
    with experiment.start_logging(snapshot_directory=None) as run:
        pass
    run.upload_folder("kept", "data")
    run.upload_files(["b.txt"], ["data/inner/a.txt"])
    run.download_files(prefix="kept", output_directory="whole")
    run.download_files(prefix="kept/inner", output_directory="cut", append_prefix=False)
    assert Path("whole/kept/inner/a.txt").read_text() == "a"
    assert Path("cut/a.txt").read_text() == "a"
