"""Runs that a notebook performs itself, and experiments, against a real emulator."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.old_pythons import need_python

from azureml.core import Experiment, Run
from azureml.exceptions import RunEnvironmentException, UserErrorException

if TYPE_CHECKING:
    from azureml.core import Workspace

SDK = Path(__file__).parents[2] / "sdk"


class FakeFigure:
    """What `log_image` needs of matplotlib."""

    def savefig(self, target: io.BytesIO, format: str) -> None:
        target.write(b"picture in " + format.encode())


def test_logging_without_a_job(experiment: Experiment) -> None:
    Path("code.py").write_text("x = 1")
    run = experiment.start_logging(display_name="by hand")
    assert run.status == "Running"
    assert run.type is None
    assert str(run) == f"Run(Experiment: exp,\nId: {run.id},\nType: None,\nStatus: Running)"
    run.log("alpha", 0.5)
    assert run.get_metrics() == {"alpha": 0.5}, "what was just logged is there"
    Path("outputs/model.pkl").write_text("weights")
    assert run.upload_file(name="outputs/mine.txt", path_or_stream=io.BytesIO(b"streamed")).serialize()["artifacts"]
    run.log_image("Hyperbolic Tangent", plot=FakeFigure())
    run.complete()
    assert run.status == "Completed"
    assert run.wait_for_completion(show_output=True).status == "Completed"
    names = run.get_file_names()
    assert {"outputs/model.pkl", "outputs/mine.txt"} <= set(names)
    image = next(name for name in names if name.startswith("Hyperbolic Tangent_"))
    assert image.endswith(".png")
    run.download_file(image, "image")
    assert Path("image").read_bytes() == b"picture in png"
    assert run.get_metrics()["Hyperbolic Tangent"] == f"aml://artifactId/ExperimentRun/dcid.{run.id}/{image}"
    run.restore_snapshot(path="back")
    run.complete()
    assert run.status == "Completed"


def test_uploads(experiment: Experiment) -> None:
    folder = Path("data/inner")
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    Path("data/b.txt").write_text("b")
    with experiment.start_logging(snapshot_directory=None) as run:
        run.upload_folder("kept", "data")
        assert (
            run.upload_files(["x.txt", "y.txt"], ["data/b.txt", "data/inner/a.txt"], return_artifacts=True) is not None
        )
        with pytest.raises(UserErrorException, match="2 names for 1 paths"):
            run.upload_files(["x", "y"], ["data/b.txt"])
        with pytest.raises(UserErrorException, match="no file nothing"):
            run.upload_file("z", "nothing")
        with pytest.raises(UserErrorException, match=r"x\.txt"):
            run.upload_file("x.txt", "data/b.txt")
        with pytest.raises(UserErrorException, match="no snapshot"):
            run.get_snapshot_id()
    assert run.get_file_names() == ["kept/b.txt", "kept/inner/a.txt", "x.txt", "y.txt"]
    run.upload_file("late.txt", "data/b.txt")
    assert "late.txt" in run.get_file_names(), "a run that has ended takes files, too"


def test_with_ends_the_run_as_the_block_ends(experiment: Experiment) -> None:
    with pytest.raises(ValueError, match="wrong"), experiment.start_logging(snapshot_directory=None) as run:
        run.log("a", 1)
        raise ValueError("wrong")
    details = run.get_details()
    assert details.status == "Failed"
    assert "ValueError: wrong" in details["error"]["error"]["message"]
    assert run.get_metrics() == {"a": 1}


def test_fail_says_why(experiment: Experiment) -> None:
    run = experiment.start_logging(snapshot_directory=None)
    run.fail(error_details="no data", error_code="DATA")
    assert run.get_details()["error"]["error"]["message"] == "no data"
    assert run.get_details()["error"]["error"]["code"] == "DATA"


def test_tags_and_properties(experiment: Experiment) -> None:
    run = experiment.start_logging(snapshot_directory=None)
    run.tag("worth another look")
    run.tag("color", "red")
    run.set_tags({"color": "blue", "n": 5})
    run.remove_tags(["n"])
    assert run.tags == {"worth another look": None, "color": "blue"}
    run.add_properties({"author": "me"})
    with pytest.raises(UserErrorException, match="author"):
        run.add_properties({"author": "you"})
    assert run.properties["author"] == "me"
    run.complete()


def test_start_logging_refuses_what_it_does_not_know(experiment: Experiment) -> None:
    with pytest.raises(UserErrorException, match="snapshot_dir"):
        experiment.start_logging(snapshot_dir=".")


def test_experiments(workspace: Workspace) -> None:
    first = Experiment(workspace, "first")
    assert Experiment(workspace, "first").id == first.id
    Experiment(workspace, "second").set_tags({"a": "1"})
    assert [item.name for item in Experiment.list(workspace)] == ["first", "second"]
    assert [item.name for item in Experiment.list(workspace, tags={"a": "1"})] == ["second"]
    assert [item.name for item in Experiment.list(workspace, experiment_name="first")] == ["first"]
    first.tag("b")
    first.remove_tags("missing")
    assert first.tags == {"b": None}
    first.archive()
    assert [item.name for item in Experiment.list(workspace)] == ["second"]
    assert first.archived_time is not None
    first.reactivate()
    assert first.archived_time is None
    Experiment.delete(workspace, first.id)
    assert list(workspace.experiments) == ["second"]
    with pytest.raises(UserErrorException, match="no experiment with the id"):
        Experiment.delete(workspace, first.id)
    assert str(first) == f"Experiment(Name: first,\nWorkspace: {workspace.name})"


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\x00", "x" * 300, "-a", None])
def test_bad_experiment_names(workspace: Workspace, name: str) -> None:
    with pytest.raises(UserErrorException):
        Experiment(workspace, name)


class TestOffline:
    def test_prints_as_azure_does(self, capsys: pytest.CaptureFixture[str]) -> None:
        run = Run.get_context()
        run.log("loss", 0.5)
        run.log_list("l", [1])
        assert capsys.readouterr().out == (
            "Attempted to log scalar metric loss:\n0.5\nAttempted to log list metric l:\n[1]\n"
        )
        assert run.id.startswith("OfflineRun_")
        assert not hasattr(run, "experiment")
        with run.child_run("c") as child:
            child.tag("a", "b")
            assert child.get_tags() == {"a": "b"}

    def test_can_be_forbidden(self) -> None:
        with pytest.raises(RunEnvironmentException):
            Run.get_context(allow_offline=False)

    def test_has_the_methods_that_scripts_use(self) -> None:
        run = Run.get_context()
        for name in vars(Run.__mro__[1]) | vars(Run.__mro__[2]):
            if not name.startswith("_") and name not in (
                "download_file",
                "download_files",
                "get_snapshot_id",
                "restore_snapshot",
            ):
                assert hasattr(run, name), f"an offline run must have {name}"

    @pytest.mark.parametrize("version", ["3.6", "3.7"])
    def test_on_old_pythons(self, version: str) -> None:
        python = need_python(version)
        done = subprocess.run(
            [python, "-c", "from azureml.core.run import Run; Run.get_context().log('a', 1)"],
            env={"PYTHONPATH": str(SDK)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "Attempted to log scalar metric a:\n1\n"


def test_imports_are_light() -> None:
    """A script that only logs must not pay for what it does not use."""
    program = (
        "import sys\n"
        "from azureml.core import Run\n"
        "Run.get_context()\n"
        "heavy = {'grpc', 'google.protobuf', 'numpy', 'yaml', 'http.client', 'zipfile', 'tempfile', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SDK)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_longest_name_of_an_experiment(workspace: Workspace) -> None:
    experiment = Experiment(workspace, "e" * 256)
    with experiment.start_logging(snapshot_directory=None) as run:
        run.log("loss", 1)
    assert run.id.startswith("e" * 200)
    assert [one.id for one in Experiment(workspace, "e" * 256).get_runs()] == [run.id]
    with pytest.raises(UserErrorException, match="1 to 256 letters"):
        Experiment(workspace, "e" * 257)
