"""Emulators without pytest: their life, what they leave, and what they do to the environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.emulator_process import processes_of
from tests.support.waiting import wait_until

import localaml.testing
from localaml.cli.failure import CliError
from localaml.testing import OwnEmulator, count_calls, emulator, wait_for_state

NAMES = ("LOCALAML_ENDPOINT", "LOCALAML_GRPC_ENDPOINT", "LOCALAML_TOKEN", "LOCALAML_TOKEN_FILE", "LOCALAML_STATE_DIR")


def _workspace() -> object:
    from azureml.core import Workspace

    return Workspace.create("ws", subscription_id="s", resource_group="g", show_output=False)


def _sleeper(folder: Path) -> object:
    from azureml.core import Experiment, ScriptRunConfig

    folder.mkdir()
    (folder / "train.py").write_text("import time; time.sleep(600)")
    config = ScriptRunConfig(str(folder), "train.py")
    config.run_config.environment.python.user_managed_dependencies = True
    config.run_config.environment.python.interpreter_path = sys.executable
    run = Experiment(_workspace(), "exp").submit(config)
    wait_for_state(run, "Running")
    return run


def test_it_leads_the_sdk_to_it_and_restores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAML_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("LOCALAML_TOKEN", "of another")
    monkeypatch.delenv("LOCALAML_STATE_DIR", raising=False)
    before = {name: os.environ.get(name) for name in NAMES}
    with pytest.raises(ZeroDivisionError), emulator() as running:
        _workspace()
        assert running.clock.kind == "real"
        raise ZeroDivisionError
    assert {name: os.environ.get(name) for name in NAMES} == before
    assert not running.state_dir.exists()
    assert not running.is_running


def test_it_takes_its_jobs_with_it(tmp_path: Path) -> None:
    with emulator() as running:
        _sleeper(tmp_path / "source")
        assert processes_of(running.state_dir)
    assert not processes_of(running.state_dir)


def test_also_when_it_was_killed(tmp_path: Path) -> None:
    with emulator() as running:
        _sleeper(tmp_path / "source")
        running.kill()
        assert not running.is_running
        assert processes_of(running.state_dir), "jobs outlive their emulator"
    assert not processes_of(running.state_dir)
    assert not running.state_dir.exists()


def test_a_killed_one_comes_back_with_what_it_knew(tmp_path: Path) -> None:
    with emulator() as running:
        run = _sleeper(tmp_path / "source")
        first = running.process_id
        running.restart()
        assert running.process_id != first
        assert run.get_status() == "Running"  # type: ignore[attr-defined]
        running.start()  # it runs already
        with count_calls() as calls:
            run.get_status()  # type: ignore[attr-defined]
            running.restart()
            run.get_status()  # type: ignore[attr-defined]
        assert calls["RunService/GetRun"] == 1, "a new emulator counts anew"


def test_it_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    program = (
        "import localaml.testing, time\n"
        "running = localaml.testing.OwnEmulator().start()\n"
        "print(running.process_id, running.state_dir, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        process_id, state_dir = owner.stdout.readline().split()
        assert Path(state_dir).is_dir()
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(state_dir).exists(), 20, "the emulator to end and its state to go")
    wait_until(lambda: not Path(f"/proc/{process_id}").exists(), 20, "its process to end")


def test_state_can_be_kept() -> None:
    with emulator(keep=True) as running:
        _workspace()
    assert (running.state_dir / "metadata.sqlite3").exists()
    again = OwnEmulator(keep=False)
    again.close()
    subprocess.run(["rm", "-r", str(running.state_dir)], check=True)
    assert not again.state_dir.exists()


def test_settings_are_checked_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="no setting 'clok'"):
        OwnEmulator(clok="virtual")
    with pytest.raises(TypeError, match="no setting 'state_dir'"):
        OwnEmulator(state_dir="/tmp/x")
    with pytest.raises(CliError, match="--clock='sundial' is no good"):
        OwnEmulator(clock="sundial")


def test_settings_of_the_users_emulator_do_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CLOCK": "scaled", "PORT": "1", "EPHEMERAL": "false", "OFFLINE": "true"}.items():
        monkeypatch.setenv(f"LOCALAML_{name}", value)
    own = OwnEmulator(signed_url_seconds=7)
    own.close()
    assert (own.settings.clock, own.settings.port, own.settings.ephemeral) == ("real", 0, True)
    assert own.settings.signed_url_seconds == 7
    assert own.settings.environments.offline, "where packages come from is the machine's affair"


def test_one_that_does_not_come_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnEmulator(host="127.0.0.1")
    (own.state_dir / "format").write_text("999")
    with pytest.raises(CliError, match=r"did not come up(?s:.)*newer LocalAML"):
        own.start()
    own.close()


def test_it_starts_within_a_second() -> None:
    own = OwnEmulator()
    began = time.monotonic()
    try:
        own.start()
        assert time.monotonic() - began < 5, "far more than it takes"
    finally:
        own.close()


def test_what_is_offered_exists_and_nothing_is_loaded_for_it() -> None:
    for name in localaml.testing.__all__:
        assert getattr(localaml.testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'simulator'"):
        _ = localaml.testing.simulator
    look = (
        "import sys; heavy = {'grpc', 'pydantic', 'azureml', 'typer', 'asyncio', 'localaml.cli'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = [
        subprocess.run([sys.executable, "-c", f"{imports}\n{look}"], capture_output=True, text=True, check=True).stdout
        for imports in ("import pytest", "import pytest, localaml.testing.plugin")
    ]
    assert shown[0] == shown[1]
