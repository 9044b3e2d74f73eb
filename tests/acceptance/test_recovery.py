"""kill -9 of the emulator at ten points of a run, then a new start: nothing lost, no orphan, every run ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulator_process import EmulatorProcess, processes_of
from tests.support.waiting import wait_until

# Logs before and after each gate; a gate opens when its file appears. Leaves proof of how often it was started.
SCRIPT = """
import os, sys, time
from azureml.core import Run
gates = sys.argv[1]
with open(os.path.join(gates, "started"), "a") as file:
    file.write(str(os.getpid()) + "\\n")
run = Run.get_context()
print("line one", flush=True)
run.log("before", 1)
run.flush()
open(os.path.join(gates, "logged"), "w").close()
deadline = time.time() + 60
while not os.path.exists(os.path.join(gates, "go")):
    if time.time() > deadline:
        sys.exit("the gate never opened")
    time.sleep(0.01)
print("line two", flush=True)
run.log("after", 2)
os.makedirs("outputs", exist_ok=True)
for number in range(200):
    with open("outputs/%03d.txt" % number, "w") as file:
        file.write(str(number))
"""


class Scene:
    """A workspace with a cluster on an emulator that the test kills."""

    def __init__(self, emulator: EmulatorProcess, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.emulator = emulator
        self.gates = folder / "gates"
        self.gates.mkdir()
        source = folder / "source"
        source.mkdir()
        (source / "train.py").write_text(SCRIPT)
        for name, value in emulator.variables().items():
            monkeypatch.setenv(name, value)
        from azureml.core import Experiment, Workspace
        from azureml.core.compute import AmlCompute, ComputeTarget
        from azureml.train.estimator import Estimator

        self.workspace = Workspace.create("recovery", subscription_id="s", resource_group="g", show_output=False)
        settings = AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=2)
        self.target = ComputeTarget.create(self.workspace, "cpu-cluster", settings)
        self.experiment = Experiment(self.workspace, "recovery")
        self._make = lambda **more: Estimator(
            source_directory=str(source),
            script_params={str(self.gates): ""},
            compute_target=self.target,
            entry_script="train.py",
            **more,
        )

    def submit(self, **more: Any) -> Any:
        return self.experiment.submit(self._make(**more))

    def open_gate(self) -> None:
        (self.gates / "go").touch()

    def wait_for_gate(self, name: str) -> None:
        wait_until((self.gates / name).exists, 60, f"the job to reach {name!r}", self.emulator.log)

    def kill_and_start(self) -> None:
        self.emulator.kill()
        self.emulator.start()

    def started(self) -> int:
        return len((self.gates / "started").read_text().splitlines())

    def check_completed(self, run: Any, starts: int = 1) -> None:
        run.wait_for_completion()
        details = run.get_details()
        assert details["status"] == "Completed", details.get("error")
        assert run.get_metrics() == {"before": 1, "after": 2} if starts == 1 else run.get_metrics()
        names = run.get_file_names()
        assert {f"outputs/{number:03d}.txt" for number in range(200)} <= set(names)
        log = run.get_details_with_logs()["logFiles"]["azureml-logs/80_driver_log.txt"]
        assert log.splitlines() == ["line one", "line two"]
        assert self.started() == starts
        self.check_nothing_left()

    def check_nothing_left(self) -> None:
        wait_until(lambda: not processes_of(self.emulator.state_dir), 10, "the end of all job processes")


@pytest.fixture
def scene(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    emulator = EmulatorProcess(tmp_path / "state", cache_dir).start()
    try:
        yield Scene(emulator, tmp_path, monkeypatch)
    finally:
        emulator.stop()
        for pid in processes_of(emulator.state_dir):
            os.kill(pid, signal.SIGKILL)


def test_1_at_once_after_submit(scene: Scene) -> None:
    scene.open_gate()
    run = scene.submit()
    scene.kill_and_start()
    run.wait_for_completion()
    assert run.get_status() == "Completed"
    assert len([name for name in run.get_file_names() if name.startswith("outputs/")]) == 200
    scene.check_nothing_left()


@pytest.mark.parametrize("state", ["Preparing", "Starting", "Running", "Finalizing"])
def test_2_to_5_when_the_run_is(scene: Scene, state: str) -> None:
    """Kills as soon as a watcher sees the state (which may have passed by then: the point in time is what counts)."""
    scene.open_gate()
    seen = threading.Event()

    def watch() -> None:
        request = {"name": f"{scene.workspace._resource_name}/experiments/-/runs/{run.id}"}
        try:
            for message in scene.workspace._client.stream("RunService", "WatchRun", request):
                states = [change["state"] for change in message.get("stateChanges", [])]
                if f"RUN_STATE_{state.upper()}" in states:
                    scene.emulator.kill()
                    break
        finally:
            seen.set()

    run = scene.submit()
    thread = threading.Thread(target=watch)
    thread.start()
    assert seen.wait(60)
    thread.join()
    scene.emulator.start()
    run.wait_for_completion()
    assert run.get_status() == "Completed", run.get_details().get("error")
    assert len([name for name in run.get_file_names() if name.startswith("outputs/")]) == 200
    scene.check_nothing_left()


def test_6_while_the_job_works_which_notices_nothing(scene: Scene) -> None:
    run = scene.submit()
    scene.wait_for_gate("logged")
    scene.kill_and_start()
    assert run.get_status() == "Running"
    scene.open_gate()
    scene.check_completed(run)


def test_7_the_job_ends_while_no_emulator_is_there(scene: Scene) -> None:
    run = scene.submit()
    scene.wait_for_gate("logged")
    scene.emulator.kill()
    scene.open_gate()
    # The job itself waits for the emulator with its last metric; everything else of it goes on.
    wait_until(lambda: _lines(scene.emulator.state_dir, "80_driver_log.txt") == 2, 30, "the job's second line")
    scene.emulator.start()
    scene.check_completed(run)


def test_8_while_a_cancel_is_on_its_way(scene: Scene) -> None:
    run = scene.submit()
    scene.wait_for_gate("logged")
    run.cancel()
    scene.kill_and_start()
    run.wait_for_completion(raise_on_error=False)
    assert run.get_status() == "Canceled"
    assert run.get_metrics()["before"] == 1
    scene.check_nothing_left()


def test_9_with_others_waiting_in_the_queue(scene: Scene) -> None:
    runs = [scene.submit() for _ in range(5)]
    scene.wait_for_gate("logged")
    scene.kill_and_start()
    scene.open_gate()
    for run in runs:
        run.wait_for_completion()
        assert run.get_status() == "Completed"
    assert scene.started() == 5
    scene.check_nothing_left()


def test_10_twice_in_a_row_during_a_distributed_run(scene: Scene) -> None:
    run = scene.submit(node_count=2, process_count_per_node=1, distributed_backend="mpi")
    scene.wait_for_gate("logged")
    wait_until(lambda: scene.started() == 2, 30, "both ranks")
    scene.kill_and_start()
    scene.kill_and_start()
    scene.open_gate()
    run.wait_for_completion()
    assert run.get_status() == "Completed"
    assert scene.started() == 2
    assert sorted(run.get_metrics()["after"]) == [2, 2]
    scene.check_nothing_left()


def test_a_stop_leaves_jobs_alone_and_the_next_start_adopts_them(scene: Scene) -> None:
    run = scene.submit()
    scene.wait_for_gate("logged")
    scene.emulator.stop()
    assert processes_of(scene.emulator.state_dir)
    scene.emulator.start()
    scene.open_gate()
    scene.check_completed(run)


def test_everything_answered_before_a_kill_is_there_after_it(scene: Scene) -> None:
    run = scene.experiment.start_logging(outputs=None, snapshot_directory=None)
    runs = [run]
    for number in range(50):
        run.log("value", number)
    run.flush()
    run.tag("colour", "red")
    runs += [run.child_run() for _ in range(5)]
    scene.kill_and_start()
    assert run.get_metrics()["value"] == list(range(50))
    assert run.get_tags()["colour"] == "red"
    assert len(list(run.get_children())) == 5
    run.complete()
    assert run.get_status() == "Completed"


def _lines(state_dir: Path, name: str) -> int:
    return sum(len(path.read_text().splitlines()) for path in state_dir.rglob(name))


def test_orphans_of_a_killed_emulator_whose_run_is_over_are_ended(scene: Scene) -> None:
    """The kill came between the start of the processes and the note of it: the job does not run twice at once."""
    run = scene.submit()
    scene.wait_for_gate("logged")
    scene.emulator.kill()
    import sqlite3

    with sqlite3.connect(scene.emulator.state_dir / "metadata.sqlite3") as database:
        database.execute("UPDATE runs SET state = 'Starting', execution = json_remove(execution, '$.handle')")
    orphans = set(processes_of(scene.emulator.state_dir))
    assert orphans
    scene.emulator.start()
    wait_until(lambda: not orphans & set(processes_of(scene.emulator.state_dir)), 10, "the orphan's end")
    scene.open_gate()
    run.wait_for_completion()
    assert run.get_status() == "Completed"
    assert scene.started() == 2
    scene.check_nothing_left()
