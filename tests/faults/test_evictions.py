"""A distributed job on nodes that can be taken away: it goes on from its checkpoint, whatever its nodes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from azureml.core.runconfig import MpiConfiguration
from localaml.images.labels import HOST_FILESYSTEM_TAG
from localaml.testing import assert_completed, assert_log_contains, assert_metrics, outcome

# What nodes are: a value of the cluster's tag `localaml.runtime`.
IN_CONTAINERS = [pytest.mark.docker, pytest.mark.localaml(docker_base_image=HOST_FILESYSTEM_TAG)]
RUNTIMES = ("process", pytest.param("docker", marks=IN_CONTAINERS))
TRAIN = """
import json, os, time
from azureml.core import Run

rank = os.environ["OMPI_COMM_WORLD_RANK"]
path = f"outputs/checkpoint-{rank}.json"
state = {"step": 0, "weight": 0.0}
if os.path.exists(path):
    with open(path) as file:
        state = json.load(file)
print(f"rank {rank} of {os.environ['OMPI_COMM_WORLD_SIZE']} goes on after step {state['step']}", flush=True)
began_at = state["step"]
while state["step"] < 100:
    state = {"step": state["step"] + 1, "weight": state["weight"] + 0.5}
    with open(path + ".new", "w") as file:
        json.dump(state, file)
    os.replace(path + ".new", path)
    if state["step"] == 50:
        print(f"rank {rank} is at step 50", flush=True)
        time.sleep(600)
if rank == "0":
    run = Run.get_context()
    run.log("began at", began_at)
    run.log("weight", state["weight"])
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("evicted", [0, 1], ids=["node of rank 0", "node of rank 1"])
def test_an_mpi_job_that_is_evicted_at_step_50_goes_on_from_its_checkpoint(
    request: pytest.FixtureRequest,
    amlcompute: Callable[..., Any],
    submit: Any,
    faults: Any,
    runtime: str,
    evicted: int,
) -> None:
    if runtime == "docker":
        request.getfixturevalue("host_filesystem_image")
    cluster = amlcompute(max_nodes=2, vm_priority="lowpriority", tags={"localaml.runtime": runtime})
    run = submit(TRAIN, cluster, node_count=2, communicator="OpenMpi", mpi=MpiConfiguration())
    for rank in range(2):
        assert_log_contains(run, f"rank {rank} is at step 50", timeout=30)
    before = [node["nodeId"] for node in cluster.list_nodes()]
    fault = faults.add("node-evicted", cluster=cluster.name, node=f"{cluster.name}-{evicted}")
    assert fault.struck == 1
    assert_completed(run)
    happened = outcome(run)
    assert [state for state in happened["states"] if state in ("Queued", "Running", "Completed")] == [
        "Queued",
        "Running",
        "Queued",
        "Running",
        "Completed",
    ]
    for rank in range(2):
        assert_log_contains(run, f"rank {rank} of 2 goes on after step 0\nrank {rank} is at step 50\nrank {rank} of 2")
        assert_log_contains(run, f"rank {rank} of 2 goes on after step 50")
    assert_metrics(run, {"began at": 50, "weight": 50.0})
    assert happened["artifacts"] == ["outputs/checkpoint-0.json", "outputs/checkpoint-1.json"]
    after = [node["nodeId"] for node in cluster.list_nodes()]
    assert len(after) == 2 and len(set(before) & set(after)) == 1, "the other node is still there"
