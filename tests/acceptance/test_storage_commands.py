"""`localaml storage fsck | gc | migrate` on what a real run left."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_object_stores import AWS, Scene, check_completed
from tests.cli.command_line import CommandLine
from tests.support.emulator_process import EmulatorProcess

from localaml.storage.moto_cloud import MotoCloud
from localaml.storage.s3_client import S3Account

TRAIN = """
import os
with open("outputs/model.bin", "wb") as file:
    file.write(b"m" * 1000)
"""


@pytest.fixture
def cloud() -> Iterator[MotoCloud]:
    made = MotoCloud(0, 1024 * 1024 * 1024)
    yield made
    made.close()


class Left:
    """A state folder whose emulator has stopped, with one run in it."""

    def __init__(self, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.emulator = EmulatorProcess(tmp_path / "state", cache_dir)
        self.line = CommandLine(tmp_path)
        self.emulator.start()
        try:
            scene = Scene(self.emulator, tmp_path, monkeypatch)
            scene.upload()
            self.run = scene.submit(TRAIN)
            check_completed(self.run)
            self.container = scene.container
            self.artifacts = (
                self.emulator.state_dir
                / "objects/localaml"
                / self.container
                / f"azureml/ExperimentRun/dcid.{self.run.id}"
            )
            self.contents = self.emulator.state_dir / "objects/contents" / scene.workspace.get_details()["workspaceid"]
            self.workspace = scene.workspace
            self.resubmit = lambda: scene.submit(TRAIN)
        finally:
            self.emulator.stop()

    def storage(self, *words: str, **more: Any) -> str:
        return self.line.succeed("storage", *words, "--state-dir", str(self.emulator.state_dir), **more)

    def fsck(self, code: int, *words: str) -> dict[str, Any]:
        done = self.line.run("storage", "fsck", "-o", "json", *words, "--state-dir", str(self.emulator.state_dir))
        assert done.returncode == code, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def left(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Left:
    return Left(tmp_path, cache_dir, monkeypatch)


def test_fsck_finds_and_repairs(left: Left) -> None:
    assert "Everything fits." in left.storage("fsck")
    key = f"localaml/{left.container}/azureml/ExperimentRun/dcid.{left.run.id}"
    (left.artifacts / "outputs/model.bin").unlink()
    (left.artifacts / "outputs/found.txt").write_text("without a record")
    with (left.artifacts / "azureml-logs/80_driver_log.txt").open("a") as file:
        file.write("more")
    stranger = left.artifacts.parent / "dcid.nobody/outputs/x"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("x")
    shutil.rmtree(left.contents)
    found = left.fsck(1)
    assert found["lost_artifacts"] == [f"{key}/outputs/model.bin"]
    assert found["artifacts_without_row"] == [f"{key}/outputs/found.txt"]
    assert found["wrong_sizes"] == [f"{key}/azureml-logs/80_driver_log.txt"]
    assert found["artifacts_of_no_run"] == [key.replace(left.run.id, "nobody") + "/outputs/x"]
    assert len(found["broken_snapshots"]) == 1
    # Without --repair nothing has changed.
    assert left.fsck(1) == found
    assert left.fsck(0, "--repair") == {**found, "repaired": True}
    assert left.fsck(0)["lost_artifacts"] == []
    assert not stranger.exists()
    with left.emulator:
        names = left.run.get_file_names()
        assert "outputs/found.txt" in names and "outputs/model.bin" not in names
        # The same source folder again: its contents are sent once more.
        check_completed(left.resubmit())


def test_what_children_have_is_theirs(left: Left, tmp_path: Path) -> None:
    """Also a run with a parent is a run: its files and its snapshot belong to somebody."""
    from azureml.core import Experiment

    (tmp_path / "code").mkdir()
    (tmp_path / "code/child.py").write_text("only the child has this")
    with left.emulator:
        parent = Experiment(left.workspace, "parents").start_logging(outputs=None, snapshot_directory=None)
        child = parent.child_run()
        child.upload_file("outputs/child.py", str(tmp_path / "code/child.py"))
        snapshot = child.take_snapshot(str(tmp_path / "code"))
        parent.complete()
        child.complete()
    assert left.fsck(0, "--repair")["artifacts_of_no_run"] == []
    left.storage("gc")
    with left.emulator:
        child.download_file("outputs/child.py", str(tmp_path / "back.py"))
        assert (tmp_path / "back.py").read_text() == "only the child has this"
        assert Path(child.restore_snapshot(snapshot, str(tmp_path))).is_file()


def test_uploads_that_nobody_completed_are_aborted(left: Left, cloud: MotoCloud) -> None:
    """moto says of every upload that it was begun in 2010."""
    left.storage("migrate", "--to", "s3", "--s3-endpoint", cloud.endpoint, **AWS)
    assert "Everything fits." in left.storage("fsck", **AWS)
    client = S3Account(cloud.endpoint, access_key="test", secret_key="test").client()
    key = f"azureml/ExperimentRun/dcid.{left.run.id}/outputs/killed.bin"
    upload = client.create_multipart_upload(Bucket=left.container, Key=key)["UploadId"]
    client.upload_part(Bucket=left.container, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * 100)
    client.create_bucket(Bucket="somebody-elses")
    client.create_multipart_upload(Bucket="somebody-elses", Key="x")
    done = left.line.run("storage", "fsck", "--state-dir", str(left.emulator.state_dir), **AWS)
    assert done.returncode == 1
    assert f"Uploads that nobody completed: localaml/{left.container}/{key}" in done.stdout
    assert "1 repaired." in left.storage("fsck", "--repair", **AWS)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=left.container)
    assert len(client.list_multipart_uploads(Bucket="somebody-elses")["Uploads"]) == 1
    assert "Everything fits." in left.storage("fsck", **AWS)
    client.close()


def test_garbage_is_what_no_run_has(left: Left) -> None:
    assert "0 snapshot(s) and 0 content(s)" in left.storage("gc")
    orphan = left.contents / "ab" / ("ab" * 32)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"12345")
    assert "0 snapshot(s) and 1 content(s), 5 bytes, could be removed." in left.storage("gc", "--dry-run")
    assert orphan.exists()
    left.storage("gc")
    assert not orphan.exists()
    with left.emulator:
        check_completed(left.resubmit())


def test_to_s3_and_back(left: Left, cloud: MotoCloud, tmp_path: Path) -> None:
    told = left.storage("migrate", "--from", "disk", "--to", "s3", "--s3-endpoint", cloud.endpoint, **AWS)
    assert "start with --cloud s3" in told and "outputs/model.bin  1000" in told
    client = S3Account(cloud.endpoint, access_key="test", secret_key="test").client()
    key = f"azureml/ExperimentRun/dcid.{left.run.id}/outputs/model.bin"
    assert client.get_object(Bucket=left.container, Key=key)["Body"].read() == b"m" * 1000
    client.close()
    shutil.rmtree(left.emulator.state_dir / "objects")
    storage = {"cloud": "s3", "s3_endpoint": cloud.endpoint}
    with EmulatorProcess(left.emulator.state_dir, tmp_path / "cache", AWS, storage=storage):
        left.run.download_file("outputs/model.bin", str(tmp_path / "model.bin"))
        assert (tmp_path / "model.bin").read_bytes() == b"m" * 1000
        check_completed(left.resubmit())
    assert "Everything fits." in left.storage("fsck", **AWS)
    left.storage("migrate", "--to", "disk", **AWS)
    with left.emulator:
        left.run.download_file("outputs/model.bin", str(tmp_path / "again.bin"))
        check_completed(left.resubmit())


def test_mistakes_are_told(left: Left, tmp_path: Path) -> None:
    state = str(left.emulator.state_dir)
    assert "is no state folder" in left.line.fail("storage", "fsck", "--state-dir", str(tmp_path / "nothing"))
    assert "moto forgets" in left.line.fail("storage", "migrate", "--to", "moto", "--state-dir", state, code=2)
    assert "where they are already" in left.line.fail(
        "storage", "migrate", "--to", "disk", "--state-dir", state, code=2
    )
    wrong = left.line.fail("storage", "migrate", "--from", "s3", "--to", "disk", "--state-dir", state, code=2)
    assert "are in the cloud disk, not in s3" in wrong
    assert "--cloud" in left.line.fail("storage", "migrate", "--to", "tape", "--state-dir", state, code=2)
    with left.emulator:
        assert "emulator" in left.line.fail("storage", "fsck", "--state-dir", state)


def test_a_move_that_was_interrupted_copies_what_has_changed_since_whatever_the_clocks_say(
    left: Left, cloud: MotoCloud
) -> None:
    """Sizes and times say nothing: a job sets them as it likes, and two machines have two clocks."""
    folder = left.emulator.state_dir / "objects/localaml" / left.container
    (folder / "from-the-future").write_text("future")
    os.utime(folder / "from-the-future", (4e9, 4e9))
    (folder / "rewritten").write_text("first")
    record = left.emulator.state_dir / "cloud.json"
    move = ("migrate", "--to", "s3", "--s3-endpoint", cloud.endpoint)
    assert "from-the-future  6" in left.storage(*move, **AWS)
    # As after a kill before the last step: the state folder is still with its disk, and is used.
    record.unlink()
    (folder / "rewritten").write_text("again")
    os.utime(folder / "rewritten", (1e9, 1e9))
    told = left.storage(*move, **AWS)
    assert "rewritten  5" in told and "1 object(s) copied, 5 bytes" in told
    client = S3Account(cloud.endpoint, access_key="test", secret_key="test").client()
    for name, content in (("rewritten", b"again"), ("from-the-future", b"future")):
        assert client.get_object(Bucket=left.container, Key=name)["Body"].read() == content
    client.close()
