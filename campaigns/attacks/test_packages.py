"""Packages that a job names: no file of this machine is read, nor anything on it run, because a run's token says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from campaigns.attacks.scene import EXP, Scene

MARK = "not-for-jobs-5f2c"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source package whose build says that it ran, beside a file with a secret."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    (tmp_path / "secret.txt").write_text(f"{MARK} {MARK}\n")
    return folder


@pytest.mark.parametrize(
    "entry",
    [
        "attack @ file://{folder}",
        "attack @ file:{folder}",
        "attack @ {folder}",
        "attack @ ../package",
        "{folder}",
        "-e {folder}",
        "--find-links={folder}",
        "--index-url=file://{folder}",
        "--extra-index-url=file:{folder}",
        "-r {secret}",
        "-c {secret}",
        "https://127.0.0.1:9/x-1.0-py3-none-any.whl\n-r {secret}",
        "six\r\n-r {secret}",
        "six\x0b-r {secret}",
    ],
)
def test_a_child_names_nothing_of_this_machine(scene: Scene, source: Path, tmp_path: Path, entry: str) -> None:
    word = entry.format(folder=source, secret=tmp_path / "secret.txt")
    python = {"condaDependencies": {"dependencies": [{"pip": [word]}]}}
    answer = scene.submit("", scene.token(), "own", environment={"python": python})
    told = answer.message
    if answer.ok:
        run = scene.ended(answer.json["runId"])
        assert run["state"] == "RUN_STATE_FAILED", run
        told = json.dumps(run) + scene.log(run["runId"])
        name = f"{EXP}/runs/{run['runId']}"
        told += json.dumps(scene.ask("RunService/GetRun", {"name": name}))
    else:
        assert answer.code in ("INVALID_ARGUMENT", "PERMISSION_DENIED", "FAILED_PRECONDITION"), answer
    assert MARK not in told
    assert not (tmp_path / "ran").exists()
