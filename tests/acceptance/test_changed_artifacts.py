"""What somebody has written to an artifact, past everybody, is never given out as if it were the artifact; and what a
killed emulator had begun in the object store goes at the next start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command_line import CommandLine
from tests.support.emulator_process import EmulatorProcess

from azureml.core import Experiment, Model, Run, Workspace, _model_files
from azureml.exceptions import AzureMLException
from localaml.domain.models import RunKey
from localaml.paths import StatePaths, artifact_key, content_key, model_prefix
from localaml.store import Store

# Several starts each.
pytestmark = pytest.mark.timeout(600)
SIZES = {"small": 1000, "large": 3 << 20}


@pytest.fixture
def running(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    process = EmulatorProcess(tmp_path / "state", cache_dir)
    process.start()
    monkeypatch.setenv("LOCALAML_STATE_DIR", str(process.state_dir))
    yield process
    process.stop()


def _run(tmp_path: Path) -> Run:
    workspace = Workspace.create("ws", subscription_id="s", resource_group="g", show_output=False)
    run = Experiment(workspace, "exp").start_logging(snapshot_directory=None)
    for name, size in SIZES.items():
        (tmp_path / name).write_bytes(b"a" * size)
        run.upload_file(f"outputs/{name}", str(tmp_path / name))
    run.complete()
    return run


def _fsck(line: CommandLine, state_dir: Path, code: int, *words: str) -> dict[str, Any]:
    done = line.run("storage", "fsck", "-o", "json", *words, "--state-dir", str(state_dir))
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_changed_artifact_is_noticed(running: EmulatorProcess, tmp_path: Path) -> None:
    line = CommandLine(tmp_path / "home")
    (tmp_path / "home").mkdir()
    run = _run(tmp_path)
    workspace_id = run.experiment.workspace.get_details()["workspaceid"]
    folder = next(running.state_dir.glob(f"objects/localaml/*/azureml/ExperimentRun/dcid.{run.id}/outputs"))
    for name, size in SIZES.items():
        run.download_file(f"outputs/{name}", str(tmp_path / "good"))
        assert (tmp_path / "good").read_bytes() == b"a" * size
        (tmp_path / "good").unlink()
        # As a job does that has the datastore mounted: the size stays.
        with (folder / name).open("r+b") as file:
            file.seek(size // 2)
            file.write(b"evil")
        with pytest.raises(AzureMLException, match="not what was stored any more"):
            run.download_file(f"outputs/{name}", str(tmp_path / "bad"))
        said = line.fail(
            "run",
            "download",
            run.id,
            f"outputs/{name}",
            "--to",
            str(tmp_path / "down"),
            "--state-dir",
            str(running.state_dir),
        )
        assert "not what was stored any more" in said
        assert not (tmp_path / "bad").exists()
        assert not any(path.is_file() for path in (tmp_path / "down").rglob("*"))
    running.stop()
    keys = sorted(
        f"localaml/azureml-blobstore-{workspace_id}/azureml/ExperimentRun/dcid.{run.id}/outputs/{name}"
        for name in SIZES
    )
    assert sorted(_fsck(line, running.state_dir, 1)["changed_artifacts"]) == keys
    assert sorted(_fsck(line, running.state_dir, 0, "--repair")["changed_artifacts"]) == keys
    assert _fsck(line, running.state_dir, 0)["changed_artifacts"] == []


def test_what_a_killed_emulator_had_begun_goes_at_the_next_start(running: EmulatorProcess, tmp_path: Path) -> None:
    line = CommandLine(tmp_path / "home")
    (tmp_path / "home").mkdir()
    run = _run(tmp_path)
    workspace_id = run.experiment.workspace.get_details()["workspaceid"]
    answer = run.experiment.workspace._client.call(
        "ModelService",
        "CreateModelUploadUrls",
        {
            "parent": run.experiment.workspace._resource_name,
            "uploadId": "11111111-2222-3333-4444-555555555555",
            "paths": ["m"],
        },
    )
    run.experiment.workspace._client.transfer.upload_file(answer["urls"][0]["url"], b"model")
    running.kill()
    # What kills at other moments leave: between the bytes of an artifact and its record (a new one, one that was being
    # replaced), while a file of the state folder was written, between the end of a run and the removal of its marks,
    # while a workspace was removed.
    paths = StatePaths(running.state_dir)
    store = Store.open(paths.metadata)
    new, replaced = (artifact_key(RunKey(workspace_id, run.id), f"outputs/{name}") for name in ("new", "small"))
    store.unfinished.note([new, replaced, content_key("gone", "").rstrip("/") + "/"])
    store.close()
    (paths.objects / new).write_bytes(b"unanswered")
    (paths.objects / replaced).write_bytes(b"replaced by this")
    (paths.objects / content_key("gone", "ab")).parent.mkdir(parents=True)
    (paths.objects / content_key("gone", "ab")).write_bytes(b"of a workspace that is gone")
    (running.state_dir / ".format.ab12_x9z").write_text("1")
    (running.state_dir / "load-ab12_x9z").mkdir()
    (paths.marks / workspace_id / "ended").mkdir(parents=True)
    (paths.marks / workspace_id / "ended" / "node_lost").write_text("x")
    (paths.nodes / workspace_id / "cpu" / "node-1").mkdir(parents=True)
    running.start()
    run.download_file("outputs/small", str(tmp_path / "now"))
    assert (tmp_path / "now").read_bytes() == b"replaced by this"
    assert "outputs/new" not in run.get_file_names()
    running.stop()
    assert _fsck(line, running.state_dir, 0)["files_of_no_model"] == []
    left = [path.name for path in running.state_dir.rglob("*") if path.is_file()]
    assert not {"ended", "node_lost", "node-1", "ab", "m", "new", ".format.ab12_x9z"} & set(left)
    assert not (
        paths.objects / model_prefix(workspace_id).rstrip("/") / "11111111-2222-3333-4444-555555555555"
    ).exists()
    assert not list(running.state_dir.glob("load-*")) and not (paths.marks / workspace_id).exists()
    assert not (paths.nodes / workspace_id).exists()


def test_a_model_whose_upload_was_cut_off_is_sent_again(
    running: EmulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.create("ws", subscription_id="s", resource_group="g", show_output=False)
    (tmp_path / "model").write_bytes(b"weights")
    send, sent = _model_files.upload, []

    def upload(*arguments: Any) -> str:
        sent.append(send(*arguments))
        if len(sent) == 1:
            running.kill()
            running.start()
        return str(sent[-1])

    monkeypatch.setattr(_model_files, "upload", upload)
    model = Model.register(workspace, str(tmp_path / "model"), "m")
    assert len(sent) == 2
    model.download(str(tmp_path / "down"))
    assert (tmp_path / "down" / "model").read_bytes() == b"weights"


def test_a_first_start_that_was_killed_is_made_up_for(tmp_path: Path, cache_dir: Path) -> None:
    process = EmulatorProcess(tmp_path / "state", cache_dir)
    process.state_dir.mkdir()
    (process.state_dir / "lock").touch()
    (process.state_dir / ".format.ab12_x9z").touch()
    process.start()
    process.stop()
    assert not list(process.state_dir.glob(".*"))
