"""Faults of nodes, clusters, environments and runs: each happens, and nothing is left of it after `clear`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.waiting import wait_until

from azureml.core import Workspace
from azureml.core.runconfig import MpiConfiguration
from azureml.exceptions import ComputeTargetException
from localaml.images.labels import HOST_FILESYSTEM_TAG
from localaml.testing import wait_for_state

WAIT = "import time, pathlib\npathlib.Path('outputs/there').write_text('x')\ntime.sleep(600)"


def node(cluster: Any) -> dict[str, Any]:
    [found] = cluster.list_nodes()
    return dict(found)


def until_written(run: Any, faults: Any, *names: str) -> None:
    """Until the job has got so far: its outputs are no artifacts yet, so its folder is looked into."""
    [folder] = Path(faults._emulator.state_dir, "runs").glob(f"*/{run.id}/work/outputs")

    def there() -> bool:
        return all((folder / name).exists() and (folder / name).read_text() in ("50", "x") for name in names)

    wait_until(there, 20, f"{names} of {run.id}", on_timeout=lambda: str(run.get_details()))


def test_a_rule_waits_for_a_run_that_comes(amlcompute: Callable[..., Any], submit: Any, faults: Any) -> None:
    cluster = amlcompute(max_nodes=1, vm_priority="lowpriority")
    assert faults.add("node-evicted", cluster=cluster.name).struck == 0
    run = submit("import os; print(os.environ['LOCALAML_ATTEMPT'])", cluster)
    run.wait_for_completion(show_output=False)
    [fault] = faults.list()
    assert fault.struck == 1 and fault.used_up
    assert run.get_status() == "Completed"
    faults.clear()
    again = submit("import os; assert os.environ['LOCALAML_ATTEMPT'] == '1'", cluster)
    again.wait_for_completion(show_output=False)


def test_a_notice_lets_a_script_save(amlcompute: Callable[..., Any], submit: Any, faults: Any) -> None:
    cluster = amlcompute(max_nodes=1, vm_priority="lowpriority")
    script = """
import os, pathlib, signal, sys, time
if pathlib.Path("outputs/saved").exists():
    sys.exit(0)
def save(*_):
    pathlib.Path("outputs/saved").write_text("in time")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
pathlib.Path("outputs/there").write_text("x")
time.sleep(600)
"""
    run = submit(script, cluster)
    wait_for_state(run, "Running")
    until_written(run, faults, "there")
    faults.add("node-evicted", cluster=cluster.name, notice_seconds=30)
    run.wait_for_completion(show_output=False)
    assert run.get_status() == "Completed"
    assert "outputs/saved" in run.get_file_names()
    faults.clear()


def test_dedicated_nodes_are_not_evicted(amlcompute: Callable[..., Any], faults: Any) -> None:
    cluster = amlcompute(max_nodes=1)
    with pytest.raises(Exception, match="dedicated"):
        faults.add("node-evicted", cluster=cluster.name)


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("node-lost", "NODE_LOST", "was lost"),
        ("out-of-memory", "OUT_OF_MEMORY", "OutOfMemory"),
        ("process-killed", "PROCESS_KILLED", "killed by a signal"),
    ],
)
def test_runs_that_end_badly(
    amlcompute: Callable[..., Any], submit: Any, faults: Any, kind: str, code: str, said: str
) -> None:
    cluster = amlcompute(max_nodes=1)
    run = submit(WAIT, cluster)
    wait_for_state(run, "Running")
    first = node(cluster)
    faults.add(kind, run=run.id)
    run.wait_for_completion(show_output=False, raise_on_error=False)
    assert run.get_status() == "Failed"
    error = run.get_details()["error"]["error"]
    assert said in error["message"] and f"localaml events --run {run.id}" in error["message"]
    assert error["code"] in (code, "UserError")
    faults.clear()
    again = submit("print('fine')", cluster)
    again.wait_for_completion(show_output=False)
    assert again.get_status() == "Completed"
    assert (node(cluster)["nodeId"] == first["nodeId"]) == (kind != "node-lost")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("provisioning-failed", "AllocationFailed"),
        ("out-of-quota", "ClusterCoreQuotaReached"),
        ("sku-not-available", "SkuNotAvailable"),
    ],
)
def test_nodes_that_cannot_be_had(
    amlcompute: Callable[..., Any], submit: Any, faults: Any, kind: str, said: str
) -> None:
    cluster = amlcompute(max_nodes=1)
    faults.add(kind, cluster=cluster.name)
    run = submit("print('fine')", cluster)
    wait_until(lambda: bool(cluster.get_status().errors), 10, "an error in the status")
    assert said in str(cluster.get_status().serialize()["errors"])
    assert run.get_status() == "Queued"
    faults.clear()
    run.wait_for_completion(show_output=False)
    assert run.get_status() == "Completed"
    assert not cluster.get_status().errors, "nothing is left"


def test_clusters_that_cannot_be_made(amlcompute: Callable[..., Any], faults: Any) -> None:
    faults.add("sku-not-available", vm_size="Standard_NC6*")
    with pytest.raises(ComputeTargetException, match="SkuNotAvailable"):
        amlcompute(vm_size="STANDARD_NC6", max_nodes=1)
    amlcompute(vm_size="STANDARD_D2_V2", max_nodes=1)
    faults.add("out-of-quota", vm_size="Standard_D3_v2")
    with pytest.raises(ComputeTargetException, match="ClusterCoreQuotaReached"):
        amlcompute(vm_size="STANDARD_D3_V2", min_nodes=1, max_nodes=1)
    faults.clear()
    amlcompute(vm_size="STANDARD_NC6", max_nodes=1)
    amlcompute(vm_size="STANDARD_D3_V2", min_nodes=1, max_nodes=1)


def test_an_image_that_cannot_be_built(amlcompute: Callable[..., Any], submit: Any, faults: Any) -> None:
    cluster = amlcompute(max_nodes=1)
    faults.add("image-build-failed", cluster=cluster.name, count=1)
    run = submit("print('fine')", cluster)
    run.wait_for_completion(show_output=False, raise_on_error=False)
    assert run.get_status() == "Failed" and "image" in run.get_details()["error"]["error"]["message"]
    faults.clear()
    again = submit("print('fine')", cluster)
    again.wait_for_completion(show_output=False)
    assert again.get_status() == "Completed"


@pytest.mark.parametrize(("kind", "said"), [("disk-full", "no room"), ("datastore-unreachable", "cannot be reached")])
def test_files_of_a_run_that_cannot_be_kept(
    amlcompute: Callable[..., Any], submit: Any, faults: Any, kind: str, said: str
) -> None:
    faults.add(kind, store="artifacts")
    run = submit("open('outputs/model', 'w').write('m')")
    run.wait_for_completion(show_output=False, raise_on_error=False)
    assert run.get_status() == "Failed" and said in run.get_details()["error"]["error"]["message"]
    faults.clear()
    again = submit("open('outputs/model', 'w').write('m')")
    again.wait_for_completion(show_output=False)
    assert "outputs/model" in again.get_file_names()


def test_quotas_through_the_sdk(workspace: Workspace, amlcompute: Callable[..., Any], submit: Any) -> None:
    from azureml.core.compute import AmlCompute

    AmlCompute.update_quotas(workspace, "standardDv2Family", 2)
    limits = {quota["name"]["value"]: quota["limit"] for quota in AmlCompute.list_quotas(workspace)}
    assert limits["standardDv2Family"] == 2 and limits["standardNCFamily"] > 1000
    with pytest.raises(ComputeTargetException, match="ClusterMinNodesExceedCoreQuota"):
        amlcompute(min_nodes=2, max_nodes=2)
    cluster = amlcompute(min_nodes=1, max_nodes=2)
    with pytest.raises(ComputeTargetException, match="ClusterMinNodesExceedCoreQuota"):
        cluster.update(min_nodes=2)
    [usage] = AmlCompute.list_usages(workspace)
    assert (usage["name"]["value"], usage["currentValue"], usage["limit"]) == ("standardDv2Family", 2, 2)
    assert len(AmlCompute.list_usages(workspace, show_all=True)) > 5
    run = submit(WAIT, cluster, node_count=2, communicator="OpenMpi", mpi=MpiConfiguration())
    wait_until(lambda: bool(cluster.get_status().errors), 10, "an error in the status")
    assert "ClusterCoreQuotaReached" in str(cluster.get_status().errors)
    run.cancel()
    AmlCompute.update_quotas(workspace, ["standardDv2Family"], [100])
    cluster.update(min_nodes=2)
    cluster.wait_for_completion()
    with pytest.raises(ComputeTargetException, match="standardDv2Family"):
        AmlCompute.update_quotas(workspace, "nothing", 1)


@pytest.mark.docker
@pytest.mark.localaml(docker_base_image=HOST_FILESYSTEM_TAG)
def test_a_partition_between_containers(
    host_filesystem_image: str, amlcompute: Callable[..., Any], submit: Any, faults: Any
) -> None:
    plain = amlcompute(max_nodes=1)
    with pytest.raises(Exception, match="network partition"):
        faults.add("partition", cluster=plain.name)
    cluster = amlcompute(max_nodes=1, tags={"localaml.runtime": "docker"})
    run = submit(WAIT, cluster)
    wait_for_state(run, "Running")
    first = node(cluster)
    assert faults.add("partition", run=run.id).struck == 1
    run.wait_for_completion(show_output=False, raise_on_error=False)
    error = run.get_details()["error"]["error"]
    assert error["code"] == "NODE_LOST" and "network" in error["message"]
    again = submit("print('fine')", cluster)
    again.wait_for_completion(show_output=False)
    assert again.get_status() == "Completed" and node(cluster)["nodeId"] != first["nodeId"]
