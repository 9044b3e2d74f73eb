"""A run whose preparation ends the emulator again and again is given up, and nobody else with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.test_environments import make_slow_sdist
from tests.support.emulator_process import EmulatorProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)
PATIENCE = 180.0


class Scene:
    """An emulator whose only package is one that is being built for ever; `trace` appears when that begins."""

    def __init__(self, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trace, self.source = folder / "trace", folder / "source"
        make_slow_sdist(folder / "wheels")
        self.source.mkdir()
        (self.source / "train.py").write_text("print('trained')\n")
        environ = {name: "" for name in os.environ if name.startswith(("PIP_", "UV_"))}
        environ |= {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "wheels")}
        self.emulator = EmulatorProcess(folder / "state", cache, {**environ, "SLOW_BUILD": str(self.trace)})
        self._monkeypatch = monkeypatch

    def start(self) -> None:
        self.trace.unlink(missing_ok=True)
        self.emulator.start()
        for name, value in self.emulator.variables().items():
            self._monkeypatch.setenv(name, value)

    def submit(self, *packages: str) -> Any:
        from azureml.core import Experiment, Workspace
        from azureml.train.estimator import Estimator

        workspace = Workspace.create("ws", subscription_id="s", resource_group="g", exist_ok=True, show_output=False)
        more: dict[str, Any] = {"pip_packages": list(packages)} if packages else {"user_managed": True}
        estimator = Estimator(str(self.source), entry_script="train.py", compute_target="local", **more)
        return Experiment(workspace, "e").submit(estimator)

    def until_preparing(self) -> None:
        wait_until(self.trace.exists, PATIENCE, "the preparation to begin", self.emulator.log)

    def builder(self) -> int:
        return int(self.trace.read_text())

    def kill(self) -> None:
        """Ends the emulator, and the build that it leaves behind: the next one begins at once."""
        self.until_preparing()
        left = self.builder()
        self.emulator.kill()
        os.killpg(os.getpgid(left), signal.SIGKILL)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    # A cache of its own: what is built in it shall not be there already.
    made = Scene(tmp_path, tmp_path / "cache", monkeypatch)
    try:
        yield made
    finally:
        made.emulator.stop()
        if made.trace.exists():
            with suppress(ProcessLookupError):
                os.killpg(os.getpgid(made.builder()), signal.SIGKILL)


def test_the_third_start_gives_up_what_killed_the_first_two(scene: Scene) -> None:
    scene.start()
    run = scene.submit("slow")
    scene.kill()
    scene.start()
    # It is tried again, since once proves nothing; and others go on beside it.
    scene.until_preparing()
    assert run.get_status() == "Preparing"
    other = scene.submit()
    other.wait_for_completion()
    scene.kill()
    scene.start()
    wait_until(lambda: run.get_status() == "Failed", PATIENCE, "the run to be given up", scene.emulator.log)
    error = run.get_details()["error"]["error"]
    assert "killed 2 times" in error["message"] and "submit again" in error["message"]
    assert not scene.trace.exists(), "it was begun once more"
    after = scene.submit()
    after.wait_for_completion()
    assert [each.get_status() for each in (other, after)] == ["Completed", "Completed"]
    # The nodes of the run that was given up are free.
    assert list(scene.emulator.state_dir.glob(f"*/*/{run.id}")) == []


def test_orderly_stops_count_for_nothing(scene: Scene) -> None:
    scene.start()
    run = scene.submit("slow")
    for _ in range(3):
        scene.until_preparing()
        scene.emulator.stop()
        scene.start()
    scene.until_preparing()
    assert run.get_status() == "Preparing"
    run.cancel()
    wait_until(lambda: run.get_status() == "Canceled", PATIENCE, "the run's end", scene.emulator.log)
