"""Clusters of containers: runs against what the engine and Open MPI take without LocalAML.

The floors use the engine by its own API or command line, and containers of the same image with the same mounts.
"""

from __future__ import annotations

import itertools
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.emulator import EmulatorProcess
from benchmarks.report import Figure, median, spread
from benchmarks.runs import cluster, submit_and_wait

if TYPE_CHECKING:
    from docker import DockerClient

_PORT = 47000
# Process 1 of a bare container: starts what another one asks for, and tells its exit code.
_AGENT = f"""
import json, socketserver, subprocess
class Call(socketserver.StreamRequestHandler):
    def handle(self):
        words, variables = json.loads(self.rfile.readline())
        code = subprocess.run(["/bin/sh", "-c", words], env=variables).returncode
        self.wfile.write(b"%d" % (code & 255))
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
Server(("", {_PORT}), Call).serve_forever()
"""
# What mpirun calls instead of ssh. The other container's process 1 may just be starting.
_CALL = f"""
import json, os, socket, sys, time
while True:
    try:
        connection = socket.create_connection((sys.argv[1], {_PORT}))
        break
    except OSError:
        time.sleep(0.005)
connection.sendall(json.dumps([" ".join(sys.argv[2:]), dict(os.environ)]).encode() + b"\\n")
sys.exit(int(connection.recv(8) or 255))
"""
_MCA = {
    "OMPI_MCA_pml": "ob1",
    "OMPI_MCA_btl": "self,vader,tcp",
    "OMPI_MCA_btl_tcp_if_include": "eth0",
    "OMPI_MCA_oob_tcp_if_include": "eth0",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}


class BareContainers:
    """Containers as a person starts them by the command line.

    Args:
        folder: shown to all of them; the agent and its caller are put there.
    """

    def __init__(self, image: str, folder: Path) -> None:
        self._image = image
        self._python = os.path.realpath(sys.executable)
        self._agent, self._call = folder / "agent.py", folder / "call"
        self._agent.write_text(_AGENT)
        self._call.write_text(f"#!{self._python} -IS\n{_CALL}")
        self._call.chmod(0o755)
        self._mounts = [Path("/usr"), Path(sys.base_prefix), Path(sys.prefix), folder]

    @contextmanager
    def started(self, count: int) -> Iterator[tuple[list[str], float]]:
        """Names of containers on a network of their own, all started at once; and seconds until `docker run` said so
        of all. They are removed at the end."""
        network = f"localaml-bench-{secrets.token_hex(4)}"
        names = [f"{network}-{number}" for number in range(count)]
        began = time.perf_counter()
        _docker("network", "create", network)
        try:
            starts = [subprocess.Popen(self._run(name, network), stdout=subprocess.DEVNULL) for name in names]
            codes = [start.wait() for start in starts]
            seconds = time.perf_counter() - began
            if any(codes):
                raise RuntimeError(f"docker run ended with {codes}")
            yield names, seconds
        finally:
            subprocess.run(["docker", "rm", "--force", *names], check=False, stdout=subprocess.DEVNULL)
            _docker("network", "rm", network)

    def mpirun(self, names: Sequence[str]) -> None:
        """One rank in each container."""
        variables = {**_MCA, "OPAL_PREFIX": sys.prefix, "OMPI_MCA_plm_rsh_agent": str(self._call)}
        settings = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        mpirun = [f"{sys.prefix}/bin/mpirun", "--bind-to", "none", "--host", ",".join(names), "-n", str(len(names))]
        _docker("exec", *settings, names[0], *mpirun, self._python, "-c", "pass")

    def _run(self, name: str, network: str) -> list[str]:
        mounts = [f"--volume={path}:{path}:ro" for path in self._mounts]
        words = ["docker", "run", "--detach", f"--name={name}", f"--hostname={name}", f"--network={network}"]
        return [*words, "--shm-size=2g", *mounts, self._image, self._python, "-IS", str(self._agent)]


def _docker(*words: str) -> None:
    subprocess.run(["docker", *words], check=True, stdout=subprocess.DEVNULL)


class OurContainers:
    """Those of the emulator that is measured."""

    def __init__(self, client: DockerClient, state_dir: Path) -> None:
        self.client = client
        self._filters = {"label": [f"localaml.state-dir={state_dir}"]}

    def wait_until(self, wanted: Sequence[str]) -> None:
        """Returns once their states are these: nothing of an earlier run may go on beside a measured one."""
        deadline = time.perf_counter() + 60
        pause = threading.Event()
        while [each["State"] for each in self.client.api.containers(all=True, filters=self._filters)] != list(wanted):
            if time.perf_counter() > deadline:
                raise RuntimeError(f"the containers did not become {wanted}")
            pause.wait(0.02)


def connect() -> DockerClient | None:
    """A client of the engine; None where none answers."""
    try:
        import docker

        client = docker.from_env(timeout=60)
        client.ping()
    except Exception as error:
        print(f"containers: skipped, no Docker engine answers ({error})", file=sys.stderr)
        return None
    return client


def measure(client: DockerClient, cache_dir: Path, repetitions: int) -> list[Figure]:
    """No-op runs on a warm and on a cold cluster, and a queue; all on the image that shows this machine's programs."""
    from localaml.images.labels import HOST_FILESYSTEM_TAG
    from localaml.images.skeleton import build_skeleton

    image = build_skeleton(client, [HOST_FILESYSTEM_TAG])
    emulator = EmulatorProcess(cache_dir, compute="docker", docker={"base_image": image})
    try:
        emulator.select()
        from azureml.core import Workspace

        workspace = Workspace.create("containers", subscription_id="bench", resource_group="bench", show_output=False)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            source = folder / "source"
            source.mkdir()
            (source / "noop.py").write_text("pass\n")
            bare = BareContainers(image, folder)
            ours = OurContainers(client, emulator.state_dir)
            figures = _warm(ours, bare, workspace, source, repetitions)
            return [*figures, _cold(ours, bare, workspace, source, repetitions)]
    finally:
        emulator.close()


def _warm(
    containers: OurContainers, bare: BareContainers, workspace: Any, source: Path, repetitions: int
) -> Sequence[Figure]:
    from azureml.core import Experiment
    from azureml.train.estimator import Estimator

    experiment = Experiment(workspace, "bench")
    target = cluster(workspace, "warm", 1)
    estimator = Estimator(str(source), entry_script="noop.py", compute_target=target)
    submit_and_wait(experiment, estimator)  # makes the environment
    ours, floors = [], []
    with bare.started(1) as (names, _):
        for _ in range(repetitions):
            floors.append(_exec_true(containers.client, names[0]))
            containers.wait_until(["paused"])
            ours.append(submit_and_wait(experiment, estimator))
    floor = median(floors)
    extra = median(ours) - floor
    single = Figure(
        "container: warm no-op run, submit to Completed",
        median(ours),
        "s",
        floor,
        "floor: exec of `true` in such a container by the engine's API",
        "floor + 0.4 s",
        extra <= 0.4,
        spread(ours),
        f"floor + {extra:.3f} s; floor {spread(floors)}",
    )
    return [single, _queue(experiment, estimator, 20, floor)]


def _exec_true(client: DockerClient, name: str) -> float:
    began = time.perf_counter()
    made = client.api.exec_create(name, ["/usr/bin/true"])
    client.api.exec_start(made["Id"])
    code = client.api.exec_inspect(made["Id"])["ExitCode"]
    seconds = time.perf_counter() - began
    if code != 0:
        raise RuntimeError(f"docker exec ended with {code}")
    return seconds


def _queue(experiment: Any, estimator: Any, length: int, floor: float) -> Figure:
    """Runs that wait for one node: what each adds, with all that is done between two."""
    runs = [experiment.submit(estimator) for _ in range(length)]
    ends = []
    for run in runs:
        run.wait_for_completion()
        details = run.get_details()
        if details["status"] != "Completed":
            raise RuntimeError(f"{run.id} is {details['status']}: {details.get('error')}")
        ended = datetime.strptime(details["endTimeUtc"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        ends.append(ended.timestamp())
    gaps = [after - before for before, after in itertools.pairwise(ends)]
    each = (ends[-1] - ends[0]) / (length - 1)
    return Figure(
        f"container: {length} no-op runs in a row, per run",
        each,
        "s",
        floor,
        "floor: exec of `true`, as above",
        "floor + 0.4 s",
        each - floor <= 0.4,
        spread(gaps),
        f"floor + {each - floor:.3f} s, from end to end, the container looked over in between",
    )


def _cold(containers: OurContainers, bare: BareContainers, workspace: Any, source: Path, repetitions: int) -> Figure:
    from azureml.core import Experiment
    from azureml.core.compute import AmlCompute, ComputeTarget
    from azureml.train.estimator import Estimator

    experiment = Experiment(workspace, "bench")
    ComputeTarget(workspace, "warm").delete()
    containers.wait_until([])

    def run(number: int) -> float:
        settings = AmlCompute.provisioning_configuration("STANDARD_D2_V2", min_nodes=0, max_nodes=2)
        target = ComputeTarget.create(workspace, f"cold-{number}", settings)
        target.wait_for_completion()
        estimator = Estimator(
            str(source), entry_script="noop.py", compute_target=target, node_count=2, distributed_backend="mpi"
        )
        try:
            return submit_and_wait(experiment, estimator)
        finally:
            target.delete()
            containers.wait_until([])

    run(0)  # makes the environment
    ours, floors, starts = [], [], []
    for number in range(repetitions):
        began = time.perf_counter()
        with bare.started(2) as (names, started):
            bare.mpirun(names)
            floors.append(time.perf_counter() - began)
        starts.append(started)
        ours.append(run(number + 1))
    ratio = median(ours) / median(floors)
    return Figure(
        "containers: cold 2-node MPI no-op, to Completed",
        median(ours),
        "s",
        median(floors),
        "floor: `docker network create`, two `docker run` at once, `docker exec` of mpirun with a small TCP agent",
        "<= 1.5x",
        ratio <= 1.5,
        spread(ours),
        f"median of the pairs' ratios {median([ours[n] / floors[n] for n in range(repetitions)]):.2f}; floor "
        f"{spread(floors)}, of which {median(starts):.3f} s until the containers are there; both without removal",
    )
