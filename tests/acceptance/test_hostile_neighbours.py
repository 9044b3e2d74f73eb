"""A job that is root in its container, against other runs of its workspace while the emulator makes them ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_containers import Scene, _finish, scene
from tests.support.docker_images import host_filesystem_image
from tests.support.waiting import wait_until

__all__ = ["host_filesystem_image", "scene"]
pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

# Puts links to a folder of the machine in the place of everything that it finds in the other runs' folders, as fast as
# it can, and of whole folders; and holds on to folders that it has seen, to go on in them wherever they are moved.
SWAP = """
import contextlib, itertools, os, sys
from azureml.core import Run
base, own = os.path.dirname(os.path.dirname(os.getcwd())), os.path.basename(os.path.dirname(os.getcwd()))
outside, gate = sys.argv[2], sys.argv[4]
RUNS_GO_ON = sys.argv[6] == "runs go on"
PLACES = ["work/outputs", "work/outputs/deep", "work/logs", "work/logs/deep", "work/in", "mounts", "datasets"]
if not RUNS_GO_ON:
    PLACES += ["tmp", "work", "work/noise", "work/noise/000", "logs", "logs/60_control_log.txt"]
    PLACES += ["control", "control/launch"]
held, swapped = {}, 0
Run.get_context().log("waiting", 1)
Run.get_context().flush()
for turn in itertools.count():
    if os.path.exists(os.path.join(gate, "stop")):
        break
    for name in os.listdir(base):
        if name == own or name.startswith("aside"):
            continue
        with contextlib.suppress(OSError):
            if name not in held:
                held[name] = os.open(os.path.join(base, name), os.O_RDONLY | os.O_DIRECTORY)
        if turn % 50 == 49 and not RUNS_GO_ON:
            with contextlib.suppress(OSError):
                os.rename(os.path.join(base, name), os.path.join(base, "aside-%d" % turn))
                os.symlink(outside, os.path.join(base, name))
    for folder in held.values():
        for place in PLACES:
            with contextlib.suppress(OSError):
                if not os.path.islink("/proc/self/fd/%d/%s" % (folder, place)):
                    os.rename(place, place + ".aside%d" % turn, src_dir_fd=folder, dst_dir_fd=folder)
                    os.symlink(outside, place, dir_fd=folder)
                    swapped += 1
Run.get_context().log("swapped", swapped)
"""
# Goes on writing where its outputs and logs are wanted.
WRITE = """
import contextlib, os, time
print("here", flush=True)
end = time.time() + 1.5
while time.time() < end:
    for number in range(100):
        with contextlib.suppress(OSError):
            for folder in ("outputs/deep", "logs/deep"):
                os.makedirs(folder, exist_ok=True)
                with open("%s/%d.txt" % (folder, number), "w") as file:
                    file.write("mine")
"""
# Takes all connections to the emulator that it can get.
GREEDY = """
import os, socket, sys, time, urllib.parse
place, gate, held = urllib.parse.urlsplit(os.environ["LOCALAML_ENDPOINT"]), sys.argv[2], []
def is_open(connection):
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
while not os.path.exists(os.path.join(gate, "stop")):
    while len(held) < 600:
        held.append(socket.create_connection((place.hostname, place.port), 10))
        held[-1].setblocking(False)
    time.sleep(0.02)
    held = [connection for connection in held if is_open(connection)]
    print(len(held), flush=True)
    open(os.path.join(gate, "holding"), "w").close()
"""
SPEAK = """
from azureml.core import Run
run = Run.get_context()
for number in range(5):
    run.log("number", number)
    run.flush()
"""
# What the end of a run may be called whose folder was taken apart.
CLEAR = {"PROCESS_KILLED", "USER_SCRIPT_FAILED", "LAUNCH_FAILED", "JOB_SETUP_FAILED", "RUN_FOLDER_TAKEN"}


def _content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def _folders(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir())


@pytest.mark.parametrize("what", ["runs are kept from starting", "runs go on"])
def test_a_job_that_swaps_folders_of_other_runs(scene: Scene, tmp_path: Path, what: str) -> None:
    """The emulator may be root on this machine: nothing that it writes may land where a job wants it."""
    outside = tmp_path / "outside"
    for name in ("60_control_log.txt", "launch", "deep/secret.txt", "noise/000/victim.txt"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text("untouched")
    before, folders_before = _content(outside), _folders(outside)
    for number in range(300):
        file = scene.source / "noise" / f"{number % 30:03}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n")
    (scene.source / "noop.py").write_text("print('here')\n")
    (scene.source / "write.py").write_text(WRITE)
    (scene.source / "swap.py").write_text(SWAP)
    store = scene.workspace.get_default_datastore()
    (scene.datastore / "data" / "deep").mkdir(parents=True)
    for number in range(60):
        (scene.datastore / "data" / "deep" / f"{number}.bin").write_text(f"{number}\n")

    hostile = _submit(
        scene, "swap.py", {"--outside": str(outside), "--gate": store.path("gate").as_mount(), "--what": what}
    )
    scene.at_the_gate(hostile)
    victims = [
        scene.submit(
            "write.py",
            inputs=[
                store.path("data").as_download(),
                store.path("data/deep").as_download(path_on_compute="in", overwrite=True),
                store.path("back").as_upload(path_on_compute="outputs"),
            ],
        )
        for _ in range(6)
    ]
    errors = []
    for victim in victims:
        victim.wait_for_completion(raise_on_error=False)
        details = victim.get_details()
        assert details["status"] in ("Completed", "Failed")
        if details["status"] == "Failed":
            errors.append(details["error"]["error"]["code"])
        # Nor does anything of this machine become theirs, not even a name.
        assert "secret" not in f"{victim.get_file_names()} {details}"
    (scene.datastore / "gate").mkdir(exist_ok=True)
    (scene.datastore / "gate" / "stop").touch()
    hostile.wait_for_completion(raise_on_error=False)
    assert (_content(outside), _folders(outside)) == (before, folders_before)
    assert not list(scene.emulator.state_dir.glob("objects/**/secret.txt"))
    assert hostile.get_metrics().get("swapped", 0) > 0, "the attack never met anything"
    assert set(errors) <= CLEAR
    assert bool(errors) == (what != "runs go on"), errors
    # Its workspace is as good as before.
    _finish(_submit(scene, "noop.py"), scene)
    of_runs = {run.id for run in (hostile, *victims)}
    wait_until(
        lambda: not of_runs & {path.name for path in _left(scene)}, 20, "the runs' folders to go", scene.emulator.log
    )
    # What it has put beside them, the next start removes.
    scene.emulator.stop()
    scene.emulator.start()
    wait_until(lambda: not _left(scene), 20, "all that was left to go", scene.emulator.log)


def test_a_job_that_takes_all_connections_to_the_emulator(scene: Scene) -> None:
    (scene.source / "greedy.py").write_text(GREEDY)
    (scene.source / "speak.py").write_text(SPEAK)
    gate = scene.datastore / "gate"
    mounted = scene.workspace.get_default_datastore().path("gate").as_mount()
    greedy = _submit(scene, "greedy.py", {"--gate": mounted})
    wait_until((gate / "holding").exists, 60, "the job to hold its connections", scene.emulator.log)
    other = _submit(scene, "speak.py")
    # The SDK is patient, and comes through at some time in any case.
    wait_until(lambda: other.get_status() == "Completed", 30, "the other job to be heard", scene.emulator.log)
    assert "warnings" not in _finish(other, scene)
    assert other.get_metrics() == {"number": list(range(5))}
    (gate / "stop").touch()
    greedy.wait_for_completion(raise_on_error=False)


def _submit(scene: Scene, script: str, parameters: dict[str, Any] | None = None) -> Any:
    from azureml.core import Experiment
    from azureml.train.estimator import Estimator

    estimator = Estimator(
        str(scene.source), entry_script=script, compute_target=scene.target, script_params=parameters or {}
    )
    return Experiment(scene.workspace, "e").submit(estimator)


def _left(scene: Scene) -> list[Path]:
    places = ("runs/*/*", "preparing/*/*", "removing/*")
    return [path for place in places for path in scene.emulator.state_dir.glob(place)]
