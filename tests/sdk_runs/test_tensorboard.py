"""TensorBoard over the logs of runs, and metrics exported for it."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_runs.conftest import Submit
from tests.support.waiting import wait_until

from azureml.core import Experiment
from azureml.exceptions import UserErrorException
from azureml.tensorboard import Tensorboard
from azureml.tensorboard._log_copies import LogCopies
from azureml.tensorboard.export import export_to_tensorboard

if TYPE_CHECKING:
    from azureml.core import Run, Workspace

# tensorboard's own imports warn.
pytestmark = pytest.mark.filterwarnings("ignore")

TRAINING = """
import os, sys, time
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
writer = EventFileWriter("logs/train", flush_secs=1)
for step in range(3):
    value = Summary.Value(tag="loss", simple_value=1.0 / (1 + step))
    writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=[value])))
    writer.flush()
    while step == 1 and not os.path.exists(sys.argv[1]):
        time.sleep(0.05)
writer.close()
"""


def _points(url: str, run: str) -> list[float]:
    """The values of `loss`, as TensorBoard serves them."""
    try:
        address = f"{url}data/plugin/scalars/scalars?run={run}&tag=loss".replace("localhost", "127.0.0.1")
        with urllib.request.urlopen(address, timeout=10) as answer:
            return [point[2] for point in json.load(answer)]
    except OSError:
        return []


def test_folders_with_display_names(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = Experiment(workspace, "named")
    runs = [experiment.start_logging(display_name=name, snapshot_directory=None) for name in ("../a b", "same", "same")]
    (tmp_path / "event").write_text("x")
    for run in runs:
        run.upload_file("logs/event", str(tmp_path / "event"))
    copies = LogCopies(runs, str(tmp_path / "boards"), by_display_name=True)
    for run in runs:
        copies.fetch(run)
    folders = {path.parent.name for path in (tmp_path / "boards").rglob("event")}
    assert folders == {"_a_b", runs[1].id, runs[2].id}, "names that two runs have are no names for folders"


def test_logs_are_shown_while_they_grow(submit: Submit, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    marker = tmp_path / "go on"
    run = submit(TRAINING, arguments=[str(marker)])
    board = Tensorboard([run], local_root=str(tmp_path / "boards"), port=0)
    url = board.start()
    try:
        assert capfd.readouterr().out == url + "\n"
        name = f"{run.id}/train"
        wait_until(lambda: len(_points(url, name)) == 2, 60, "what was logged before the end", run.get_status)
        assert run.get_status() == "Running"
        marker.touch()
        run.wait_for_completion()
        wait_until(lambda: len(_points(url, name)) == 3, 60, "the last point")
        with pytest.raises(UserErrorException, match="started already"):
            board.start()
    finally:
        board.stop()
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))) != 0, "it has ended"
    assert not [thread for thread in threading.enumerate() if thread.name == "azureml-tensorboard-logs"]
    board.stop()
    assert list((tmp_path / "boards" / run.id / "train").iterdir()), "a folder that the user named stays"


def test_a_port_that_is_taken_is_said(experiment: Experiment) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        board = Tensorboard([], port=sock.getsockname()[1])
        with pytest.raises(UserErrorException, match=r"port|address"):
            board.start()


def test_what_tensorboard_refuses() -> None:
    with pytest.raises(UserErrorException, match="not 'str'"):
        Tensorboard(["run_1"])  # type: ignore[list-item]
    for port in (-1, 65536, "6006", True):
        with pytest.raises(UserErrorException, match="port"):
            Tensorboard([], port=port)  # type: ignore[arg-type]


def test_without_tensorboard_it_says_what_to_install(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in ("tensorboard", "tensorboardX"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setenv("PATH", os.fspath(Path.cwd()))
    with pytest.raises(UserErrorException, match="pip install tensorboard"):
        Tensorboard([]).start()
    with pytest.raises(UserErrorException, match="pip install tensorboard"):
        export_to_tensorboard([], "out")
    assert not Path("out").exists()


def _events(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Tag -> [(step, value)], as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    reader = EventAccumulator(str(folder))
    reader.Reload()
    tags = reader.Tags()
    found: dict[str, list[tuple[int, Any]]] = {}
    for tag in tags["scalars"]:
        found[tag] = [(event.step, event.value) for event in reader.Scalars(tag)]
    for tag in tags["images"]:
        found[tag] = [(event.step, event.encoded_image_string) for event in reader.Images(tag)]
    for tag in tags["tensors"]:
        values = [(event.step, tensor_util.make_ndarray(event.tensor_proto)) for event in reader.Tensors(tag)]
        found[tag] = [(step, value.reshape(-1)[0]) for step, value in values]
    return found


def _rich_run(experiment: Experiment) -> tuple[Run, Run, Run]:
    """A run with every kind of metric, its child, and a run without metrics."""
    Path("plot.png").write_bytes(b"\x89PNG")
    with experiment.start_logging(snapshot_directory=None) as run:
        for step in (10, 20):
            run.log("loss", 1.0 / step, step=step)
        run.log("epochs", 3)
        run.log("note", "text")
        run.log_list("list", [1, 2, 3])
        run.log_row("wave", angle=1, cos=0.5)
        run.log_row("wave", angle=2, cos=0.25)
        run.log_image("plot", path="plot.png")
        run.log_confusion_matrix("matrix", {"schema_type": "confusion_matrix", "data": {}})
        child = run.child_run("part")
        child.log("loss", 7)
        child.complete()
    with experiment.start_logging(snapshot_directory=None) as empty:
        pass
    return run, child, empty


def test_metrics_are_exported(experiment: Experiment) -> None:
    run, child, empty = _rich_run(experiment)
    export_to_tensorboard(experiment, "all")
    assert {path.name for path in Path("all").iterdir()} == {run.id, child.id}, "without the empty one"
    found = _events(Path("all") / run.id)
    assert found["loss"] == [(10, pytest.approx(0.1)), (20, pytest.approx(0.05))]
    assert found["epochs"] == [(0, 3)]
    assert found["list"] == [(0, 1), (1, 2), (2, 3)]
    assert found["wave/cos"] == [(0, 0.5), (1, 0.25)]
    assert found["plot"] == [(0, b"\x89PNG")]
    assert found["note"] == [(0, b"text")]
    assert json.loads(found["matrix"][0][1]) == {"schema_type": "confusion_matrix", "data": {}}
    assert _events(Path("all") / child.id) == {"loss": [(0, 7)]}
    export_to_tensorboard(run, "one", recursive=False)
    assert [path.name for path in Path("one").iterdir()] == [run.id]
    export_to_tensorboard([empty, child], "list")
    assert [path.name for path in Path("list").iterdir()] == [child.id]
    for wrong in (3, "run", ["run"]):
        with pytest.raises(UserErrorException, match="takes a run"):
            export_to_tensorboard(wrong, "wrong")
