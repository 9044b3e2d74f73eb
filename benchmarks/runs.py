"""Runs: how long from submit to Completed, alone, distributed and in a long queue."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.emulator import ENVIRONMENT, EmulatorProcess
from benchmarks.report import Figure, median, spread

_AGENT = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
host=$1; shift
if [ "$(id -u)" = 0 ]; then exec unshare --uts /bin/sh -c "hostname $host && $*"
else exec unshare --user --map-current-user --keep-caps --uts /bin/sh -c "hostname $host && $*"; fi
"""
_MCA = {
    "OMPI_MCA_pml": "ob1",
    "OMPI_MCA_btl": "self,vader,tcp",
    "OMPI_MCA_btl_tcp_if_include": "lo",
    "OMPI_MCA_oob_tcp_if_include": "lo",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}


def _python_pass() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True, env=ENVIRONMENT)
    return time.perf_counter() - started


def _bare_mpirun(agent: Path) -> float:
    prefix = Path(sys.prefix)
    started = time.perf_counter()
    subprocess.run(
        [
            str(prefix / "bin" / "mpirun"),
            "--bind-to",
            "none",
            "--host",
            "node0:2,node1:2",
            "--mca",
            "plm_rsh_agent",
            str(agent),
            "-n",
            "4",
            sys.executable,
            "-c",
            "pass",
        ],
        check=True,
        env={**ENVIRONMENT, **_MCA, "OPAL_PREFIX": str(prefix)},
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def cluster(workspace: Any, name: str, nodes: int) -> Any:
    """A cluster whose nodes are all there."""
    from azureml.core.compute import AmlCompute, ComputeTarget

    settings = AmlCompute.provisioning_configuration("STANDARD_D2_V2", min_nodes=nodes, max_nodes=nodes)
    target = ComputeTarget.create(workspace, name, settings)
    target.wait_for_completion(min_node_count=nodes)
    return target


def submit_and_wait(experiment: Any, estimator: Any) -> float:
    """Seconds from submit until the run has completed."""
    started = time.perf_counter()
    run = experiment.submit(estimator)
    run.wait_for_completion()
    seconds = time.perf_counter() - started
    if run.get_status() != "Completed":
        raise RuntimeError(f"{run.id} is {run.get_status()}: {run.get_details().get('error')}")
    return seconds


def measure(emulator: EmulatorProcess, workspace: Any, repetitions: int, queue_length: int) -> list[Figure]:
    """No-op runs against their floors, and a queue."""
    from azureml.core import Experiment
    from azureml.train.estimator import Estimator

    figures = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        (source / "noop.py").write_text("pass\n")
        agent = Path(folder) / "agent.sh"
        agent.write_text(_AGENT)
        agent.chmod(0o755)
        experiment = Experiment(workspace, "bench")
        common = {"source_directory": str(source), "entry_script": "noop.py"}
        single = Estimator(compute_target=cluster(workspace, "warm", 1), **common)
        submit_and_wait(experiment, single)  # makes the environment
        ours, floors = [], []
        for _ in range(repetitions):
            floors.append(_python_pass())
            ours.append(submit_and_wait(experiment, single))
        extra = median(ours) - median(floors)
        figures.append(
            Figure(
                "no-op run, submit to Completed",
                median(ours),
                "s",
                median(floors),
                "floor: python -c pass",
                "floor + 0.15 s",
                extra <= 0.15,
                spread(ours),
                f"floor + {extra:.3f} s",
            )
        )
        pair = cluster(workspace, "pair", 2)
        double = Estimator(
            compute_target=pair, node_count=2, process_count_per_node=2, distributed_backend="mpi", **common
        )
        submit_and_wait(experiment, double)
        ours, floors = [], []
        for _ in range(repetitions):
            floors.append(_bare_mpirun(agent))
            ours.append(submit_and_wait(experiment, double))
        extra = median(ours) - median(floors)
        figures.append(
            Figure(
                "2 nodes x 2 ranks no-op, submit to Completed",
                median(ours),
                "s",
                median(floors),
                "floor: bare mpirun over the same logical nodes",
                "floor + 0.3 s",
                extra <= 0.3,
                spread(ours),
                f"floor + {extra:.3f} s",
            )
        )
        figures.append(_queue(emulator, experiment, single, queue_length))
    return figures


def _queue(emulator: EmulatorProcess, experiment: Any, estimator: Any, length: int) -> Figure:
    """Submits many runs at once to one node: is the time per run the same at the end as at the beginning?"""
    before = emulator.memory_mib
    began = time.time()
    started = time.perf_counter()
    runs = [experiment.submit(estimator) for _ in range(length)]
    submitted = time.perf_counter() - started
    ends = []
    for run in runs:
        run.wait_for_completion()
        details = run.get_details()
        if details["status"] != "Completed":
            raise RuntimeError(f"{run.id} is {details['status']}")
        # By the emulator's own record: whoever waits for one after the other sees many that ended long ago at once.
        ended = datetime.strptime(details["endTimeUtc"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        ends.append(ended.timestamp() - began)
    tenth = max(1, length // 10)
    # Runs that ended while others were still being submitted share the machine with the submits: left out.
    late = [end for end in ends if end > submitted]
    first = (late[tenth] - late[0]) / tenth if len(late) > 2 * tenth else ends[-1] / length
    last = (ends[-1] - ends[-1 - tenth]) / tenth
    growth = emulator.memory_mib - before
    return Figure(
        f"queue of {length} runs, per run",
        ends[-1] / length,
        "s",
        None,
        "",
        "flat: last tenth <= 1.5x first, < 30 MiB more",
        last <= 1.5 * first and growth < 30,
        "",
        f"first tenth {first:.3f} s, last tenth {last:.3f} s per run, submit {submitted / length * 1000:.1f} ms each, "
        f"memory +{growth:.1f} MiB",
    )


def environment_cache() -> Path:
    """Where environments are kept between benchmarks."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "localaml"
