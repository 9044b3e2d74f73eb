"""The emulator is killed while somebody waits for a run: they are told at once, and the wait goes on with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.support.emulator_process import EmulatorProcess
from tests.support.waiting import wait_until

from azureml._localaml.errors import ConnectionFailed
from azureml._run_impl.absence import Absence

# Starting the emulator twice, and a job.
pytestmark = pytest.mark.timeout(900)

_WAIT = """
import sys
from azureml._run_impl import log_stream
log_stream._GIVE_UP_SECONDS = 900  # a loaded machine takes minutes for a start
from azureml.core import Experiment, ScriptRunConfig, Workspace
workspace = Workspace.create("ws", subscription_id="s", resource_group="g", exist_ok=True)
config = ScriptRunConfig(source_directory=sys.argv[1], script="train.py")
config.run_config.environment.python.user_managed_dependencies = True
run = Experiment(workspace, "absent").submit(config)
print(run.wait_for_completion(show_output=sys.argv[2] == "shown", raise_on_error=True)["status"])
"""
_TRAIN = """
import pathlib, threading
print("it has begun", flush=True)
pathlib.Path({begun!r}).touch()
while not pathlib.Path({gate!r}).exists():
    threading.Event().wait(0.01)
print("it is over", flush=True)
"""


class _Lines:
    """Lines of a stream as they come, to be waited for."""

    def __init__(self, stream: object) -> None:
        self._changed = threading.Condition()
        self._text = ""
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            with self._changed:
                self._text += line
                self._changed.notify_all()

    def wait_for(self, text: str, seconds: float) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: text in self._text, seconds), self._text

    def all(self) -> str:
        self._thread.join(60)
        return self._text


@pytest.mark.parametrize("how", ["shown", "silent"])
def test_a_kill_while_somebody_waits(tmp_path: Path, how: str) -> None:
    begun, gate, source = tmp_path / "begun", tmp_path / "gate", tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(_TRAIN.format(begun=str(begun), gate=str(gate)))
    with EmulatorProcess(tmp_path / "state", tmp_path / "cache") as emulator:
        waiting = subprocess.Popen(
            [sys.executable, "-c", _WAIT, str(source), how],
            env={**_environment(), "LOCALAML_STATE_DIR": str(emulator.state_dir)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            told, shown = _Lines(waiting.stderr), _Lines(waiting.stdout)
            _await_file(begun)
            emulator.kill()
            # Long before the two minutes after which it gives up.
            told.wait_for("the emulator does not answer", 110)
            told.wait_for("localaml start -d", 5)
            assert waiting.poll() is None
            emulator.start()
            told.wait_for("the emulator is back", 300)
            gate.touch()
            assert waiting.wait(timeout=300) == 0, told.all()
            assert shown.all().splitlines()[-1] == "Completed"
            assert told.all().count("does not answer") == told.all().count("the emulator is back") == 1
            if how == "shown":
                assert shown.all().count("it is over") == 1
        finally:
            gate.touch()
            waiting.kill()
            waiting.wait()
            for stream in (waiting.stdout, waiting.stderr):
                if stream is not None:
                    stream.close()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LOCALAML_")}


def _await_file(path: Path) -> None:
    wait_until(path.exists, 300, "the script to begin")


def test_one_failure_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Streams end when an emulator is started anew; only who does not answer again is away."""
    absence = Absence("x/runs/r", 120)
    absence.failed(ConnectionFailed("once"))
    absence.answered()
    absence.failed(ConnectionFailed("twice"))
    assert capsys.readouterr().err == ""
    absence.failed(ConnectionFailed("again"))
    absence.failed(ConnectionFailed("again"))
    absence.answered()
    assert capsys.readouterr().err.count("LocalAML:") == 2


def test_a_refusal_is_no_absence(capsys: pytest.CaptureFixture[str]) -> None:
    absence = Absence("x/runs/r", 120)
    for _ in range(3):
        absence.failed(ValueError("throttled"))
    assert capsys.readouterr().err == ""
