"""Clusters of containers, as a user of the SDK meets them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.docker_images import debian_image, host_filesystem_image
from tests.support.emulator_process import EmulatorProcess
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from docker import DockerClient

    from azureml.core import Run, Workspace
    from azureml.core.compute import ComputeTarget

__all__ = ["debian_image", "host_filesystem_image"]
pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

RANKS = """
import socket
import six
from mpi4py import MPI
from azureml.core import Run
world = MPI.COMM_WORLD
total = world.allreduce(world.rank + 1)
print("rank", world.rank, "of", world.size, "on", MPI.Get_processor_name())
Run.get_context().log("rank%d" % world.rank, "%s %s %d" % (MPI.Get_processor_name(), socket.gethostname(), total))
"""
FACTS = """
import json, os, resource, sys
from azureml.core import Run
shm = os.statvfs("/dev/shm")
facts = {
    "asked": os.environ.get("ASKED"),
    "home": os.path.expanduser("~"),
    "inherited": os.environ.get("LANG_OF_THE_EMULATOR"),
    "shm": shm.f_blocks * shm.f_frsize,
    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    "state": sorted(os.listdir(sys.argv[2])),
}
with open(os.path.join(sys.argv[1], "facts.json"), "w") as file:
    json.dump(facts, file)
with open("outputs/facts.json", "w") as file:
    json.dump(facts, file)
Run.get_context().log("done", 1)
"""
# Says that it is there, and waits for a file in a mounted folder.
GATE = """
import os, sys, time
from azureml.core import Run
run = Run.get_context()
print("waiting", flush=True)
run.log("waiting", 1)
run.flush()
deadline = time.time() + 120
while not os.path.exists(os.path.join(sys.argv[2], "go")):
    if time.time() > deadline:
        sys.exit("the gate never opened")
    time.sleep(0.01)
run.log("went on", 1)
"""


class Scene:
    """An emulator whose clusters are containers, with a workspace and a cluster of two nodes."""

    def __init__(self, emulator: EmulatorProcess, engine: DockerClient, source: Path) -> None:
        self.emulator = emulator
        self.engine = engine
        self.source = source
        for name, script in (("ranks.py", RANKS), ("facts.py", FACTS), ("gate.py", GATE)):
            (source / name).write_text(script)

    def connect(self) -> None:
        from azureml.core import Workspace
        from azureml.core.compute import AmlCompute, ComputeTarget

        self.workspace: Workspace = Workspace.create(
            "containers", subscription_id="s", resource_group="g", show_output=False
        )
        settings = AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=2)
        self.target: ComputeTarget = ComputeTarget.create(self.workspace, "cpu", settings)

    def submit(self, script: str, gate: Any = None, *, target: Any = None, **settings: Any) -> Run:
        from azureml.core import Experiment
        from azureml.train.estimator import Estimator

        estimator = Estimator(
            str(self.source),
            entry_script=script,
            compute_target=target or self.target,
            script_params={"--gate": gate} if gate is not None else {},
            **settings,
        )
        run: Run = Experiment(self.workspace, "e").submit(estimator)
        return run

    def containers(self) -> list[Any]:
        """Those of this emulator, also the ones that have ended."""
        label = f"localaml.state-dir={self.emulator.state_dir}"
        return list(self.engine.containers.list(all=True, filters={"label": label}))

    def networks(self) -> list[Any]:
        label = f"localaml.state-dir={self.emulator.state_dir}"
        return list(self.engine.networks.list(filters={"label": label}))

    def at_the_gate(self, run: Run) -> None:
        wait_until(lambda: "waiting" in run.get_metrics(), 60, "the job to be there", self.emulator.log)

    @property
    def datastore(self) -> Path:
        """The folder of the workspace's default datastore."""
        name = self.workspace.get_default_datastore().container_name
        return self.emulator.state_dir / "objects" / "localaml" / name


@pytest.fixture
def scene(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    cache_dir: Path,
    docker_engine: DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    """Also checks that nothing is left of it on the engine. The image is one of the fixtures of images."""
    image: str = request.getfixturevalue(getattr(request, "param", "host_filesystem_image"))
    (tmp_path / "source").mkdir()
    emulator = EmulatorProcess(
        tmp_path / "state",
        cache_dir,
        {"LANG_OF_THE_EMULATOR": "x"},
        compute="docker",
        docker={"base_image": image, "image_map": {"microsoft/mmlspark:*": image}},
    )
    made = Scene(emulator, docker_engine, tmp_path / "source")
    with emulator:
        for name, value in emulator.variables().items():
            monkeypatch.setenv(name, value)
        made.connect()
        yield made
        made.workspace.delete()
        left = [*made.containers(), *made.networks()]
    for each in left:
        each.remove(**({"force": True} if hasattr(each, "image") else {}))
    assert not left, "a workspace that was deleted left containers or networks"


def _finish(run: Run, scene: Scene, status: str = "Completed") -> dict[str, Any]:
    run.wait_for_completion(raise_on_error=False)
    details: dict[str, Any] = run.get_details()
    assert details["status"] == status, f"{details.get('error')}\n{scene.emulator.log()[-3000:]}"
    return details


@pytest.mark.parametrize("scene", ["host_filesystem_image", "debian_image"], indirect=True)
def test_the_seed_s_estimator_runs_over_two_containers(scene: Scene) -> None:
    run = scene.submit(
        "ranks.py",
        # Installed for the image's own Python, or for this machine's.
        pip_packages=["six"],
        node_count=2,
        process_count_per_node=2,
        distributed_backend="mpi",
        custom_docker_base_image="microsoft/mmlspark:0.15",
    )
    assert "warnings" not in _finish(run, scene)
    told = [run.get_metrics()[f"rank{rank}"].split() for rank in range(4)]
    assert told == [["cpu-0", "cpu-0", "10"]] * 2 + [["cpu-1", "cpu-1", "10"]] * 2
    names = run.get_file_names()
    assert all(f"azureml-logs/80_driver_log_rank_{rank}.txt" in names for rank in range(4))
    assert {container.labels["localaml.cluster"] for container in scene.containers()} == {"cpu"}
    assert len(scene.containers()) == 2 and len(scene.networks()) == 1


def test_runs_take_the_container_that_waits_for_them(scene: Scene) -> None:
    from azureml.core.compute import AmlCompute, ComputeTarget

    target = ComputeTarget.create(
        scene.workspace, "warm", AmlCompute.provisioning_configuration("STANDARD_D2_V2", min_nodes=1, max_nodes=1)
    )
    target.wait_for_completion(min_node_count=1)
    [container] = scene.containers()
    (scene.source / "noop.py").write_text("pass\n")

    def waits() -> bool:
        [found] = scene.containers()
        assert found.id == container.id
        return bool(found.status == "paused")

    wait_until(waits, 30, "the node's container to wait for a run", scene.emulator.log)
    # The first one alone, the others right after each other.
    _finish(scene.submit("noop.py", target=target), scene)
    wait_until(waits, 30, "the node's container to wait for the next run", scene.emulator.log)
    for run in [scene.submit("noop.py", target=target) for _ in range(3)]:
        _finish(run, scene)
    wait_until(waits, 30, "the node's container to wait for another run", scene.emulator.log)


def test_what_a_job_finds_in_its_container(scene: Scene) -> None:
    store = scene.workspace.get_default_datastore()
    from azureml.core import Environment, Experiment, RunConfiguration, ScriptRunConfig
    from azureml.core.runconfig import DockerConfiguration

    configuration = RunConfiguration()
    configuration.target = scene.target.name
    configuration.environment = Environment("e")
    configuration.environment.docker.shm_size = "8g"
    arguments = ["-e", "ASKED=1", "--shm-size", "64m", "--ulimit", "nofile=512:512", "--memory=512m"]
    configuration.docker = DockerConfiguration(use_docker=True, arguments=arguments)
    config = ScriptRunConfig(
        str(scene.source),
        "facts.py",
        [store.path("made").as_mount(), str(scene.emulator.state_dir)],
        run_config=configuration,
    )
    run = Experiment(scene.workspace, "e").submit(config)
    _finish(run, scene)
    facts = json.loads((scene.datastore / "made" / "facts.json").read_text())
    assert facts == {
        "asked": "1",
        "home": "/root" if os.getuid() == 0 else facts["home"],
        "inherited": None,
        "shm": 64 * 1024**2,
        "files": 512,
        # Of the state dir a container sees what is the run's, not the records, keys and other workspaces.
        "state": ["objects", "runs"],
    }
    assert "outputs/facts.json" in run.get_file_names()
    run.download_file("outputs/facts.json", str(scene.source / "got.json"))
    assert json.loads((scene.source / "got.json").read_text()) == facts


def test_arguments_that_lead_out_are_refused_before_anything_runs(scene: Scene) -> None:
    from azureml.core import Experiment, RunConfiguration, ScriptRunConfig
    from azureml.core.runconfig import DockerConfiguration
    from azureml.exceptions import AzureMLException

    configuration = RunConfiguration()
    configuration.target = scene.target.name
    configuration.docker = DockerConfiguration(use_docker=True, arguments=["--privileged"])
    config = ScriptRunConfig(str(scene.source), "facts.py", run_config=configuration)
    with pytest.raises(AzureMLException, match=r"--privileged"):
        Experiment(scene.workspace, "e").submit(config)
    assert not scene.containers()


def test_a_container_that_is_killed_fails_its_run_and_is_replaced(scene: Scene) -> None:
    store = scene.workspace.get_default_datastore()
    run = scene.submit("gate.py", store.path("gate").as_mount())
    scene.at_the_gate(run)
    [container] = scene.containers()
    scene.engine.api.kill(container.id)
    details = _finish(run, scene, "Failed")
    assert details["error"]["error"]["code"] == "NODE_LOST", details["error"]
    assert container.labels["localaml.node"] in details["error"]["error"]["message"]
    (scene.datastore / "gate" / "go").touch()
    _finish(scene.submit("gate.py", store.path("gate").as_mount()), scene)
    [replaced] = scene.containers()
    assert replaced.labels["localaml.node"] != container.labels["localaml.node"]


@pytest.mark.parametrize("next_default", ["docker", "process"])
def test_a_run_goes_on_while_its_emulator_is_killed(scene: Scene, next_default: str) -> None:
    store = scene.workspace.get_default_datastore()
    run = scene.submit("gate.py", store.path("gate").as_mount())
    scene.at_the_gate(run)
    before = [container.id for container in scene.containers()]
    scene.emulator.kill()
    scene.emulator.settings["compute"] = next_default
    scene.emulator.start()
    assert run.get_status() == "Running"
    (scene.datastore / "gate" / "go").touch()
    _finish(run, scene)
    assert run.get_metrics() == {"waiting": 1, "went on": 1}
    assert [container.id for container in scene.containers()] == before


def test_clusters_of_both_kinds_in_one_emulator(scene: Scene) -> None:
    from azureml.core.compute import AmlCompute, ComputeTarget

    settings = AmlCompute.provisioning_configuration(
        "STANDARD_D2_V2", max_nodes=1, tags={"localaml.runtime": "process"}
    )
    target = ComputeTarget.create(scene.workspace, "plain", settings)
    (scene.source / "where.py").write_text("import os; print(os.path.exists('/localaml/node'), flush=True)\n")
    for each, wanted in ((target, "False"), (scene.target, "True")):
        run = scene.submit("where.py", target=each)
        _finish(run, scene)
        run.download_file("azureml-logs/80_driver_log.txt", str(scene.source / "log.txt"))
        assert (scene.source / "log.txt").read_text().split() == [wanted]


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_nothing_of_an_ephemeral_emulator_stays(
    how: str,
    cache_dir: Path,
    docker_engine: DockerClient,
    host_filesystem_image: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Neither when it stops, nor, once another emulator has started, when it was killed."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    state_dir = Path(tempfile.mkdtemp(prefix="localaml-"))
    (tmp_path / "source").mkdir()
    settings: dict[str, Any] = {"docker": {"base_image": host_filesystem_image}}
    emulator = EmulatorProcess(state_dir, cache_dir, ephemeral=True, compute="docker", **settings)
    scene = Scene(emulator, docker_engine, tmp_path / "source")
    emulator.start()
    try:
        for name, value in emulator.variables().items():
            monkeypatch.setenv(name, value)
        scene.connect()
        scene.at_the_gate(scene.submit("gate.py", scene.workspace.get_default_datastore().path("x").as_mount()))
        assert len(scene.containers()) == 1
        if how == "stopped":
            emulator.stop()
        else:
            emulator.kill()
            assert len(scene.containers()) == 1
            with EmulatorProcess(tmp_path / "next", cache_dir, **settings) as following:
                wait_until(lambda: not state_dir.exists(), 60, "the cleaning", following.log)
        assert not scene.containers() and not scene.networks() and not state_dir.exists()
    finally:
        emulator.stop()
        for container in scene.containers():
            container.remove(force=True)
        for network in scene.networks():
            network.remove()
