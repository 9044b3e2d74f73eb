"""AmlCompute clusters, against a real emulator."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from tests.support.waiting import wait_until

from azureml.core import Workspace
from azureml.core.compute import AmlCompute, ComputeTarget, ComputeTargetException


def configuration(**changes: Any) -> Any:
    settings = {"vm_size": "STANDARD_D2_V2", "min_nodes": 0, "max_nodes": 4, **changes}
    return AmlCompute.provisioning_configuration(**settings)


def test_a_cluster_from_making_to_deleting(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = ComputeTarget.create(workspace, "cpu", configuration(min_nodes="2", tags={"a": 1}, description="d"))
    cluster.wait_for_completion(show_output=True, timeout_in_minutes=1)
    assert capsys.readouterr().out == (
        "Creating\nSucceeded\nAmlCompute wait for completion finished\n\n"
        "Minimum number of nodes requested have been provisioned\n"
    )
    found = ComputeTarget(workspace, "cpu")
    assert type(found) is AmlCompute
    assert (found.name, found.type, found.provisioning_state) == ("cpu", "AmlCompute", "Succeeded")
    assert (found.tags, found.description, found.vm_priority) == ({"a": "1"}, "d", "Dedicated")
    assert list(workspace.compute_targets) == ["cpu"]
    status = found.get_status().serialize()
    assert status["nodeStateCounts"]["idleNodeCount"] == status["currentNodeCount"] == 2
    assert status["scaleSettings"] == {
        "minNodeCount": 2, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT1800S",
    }  # fmt: skip
    assert [node["nodeState"] for node in found.list_nodes()] == ["idle", "idle"]
    again = AmlCompute.deserialize(workspace, found.serialize())
    assert again.serialize() == found.serialize()
    found.delete()
    found.wait_for_completion(is_delete_operation=True, timeout_in_minutes=1)
    with pytest.raises(ComputeTargetException, match="cpu") as caught:
        found.get_status()
    assert caught.value.reason == "COMPUTE_TARGET_NOT_FOUND"
    assert workspace.compute_targets == {}


def test_the_pattern_of_every_notebook(workspace: Workspace) -> None:
    """Take it when it is there, else make it."""
    for _ in range(2):
        try:
            cluster = ComputeTarget(workspace=workspace, name="cpucluster")
        except ComputeTargetException as error:
            assert "cpucluster" in error.message
            cluster = ComputeTarget.create(workspace, "cpucluster", configuration())
        cluster.wait_for_completion(show_output=False, min_node_count=None, timeout_in_minutes=20)
        assert cluster.get_status().serialize()["currentNodeCount"] == 0


def test_the_same_settings_give_the_same_cluster_and_others_are_refused(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ComputeTarget.create(workspace, "cpu", configuration())
    again = ComputeTarget.create(workspace, "cpu", configuration())
    assert again.created_on == first.created_on
    again.wait_for_completion(show_output=True)
    assert capsys.readouterr().out.startswith("Succeeded\n")
    with pytest.raises(ComputeTargetException, match="other settings"):
        ComputeTarget.create(workspace, "cpu", configuration(max_nodes=5))


@pytest.mark.parametrize("name", ["a/b", "..", "1a", "a\x00b", "x" * 300, "a-"])
def test_bad_names_are_compute_errors(workspace: Workspace, name: str) -> None:
    with pytest.raises(ComputeTargetException):
        ComputeTarget.create(workspace, name, configuration())
    with pytest.raises(ComputeTargetException):
        ComputeTarget(workspace, name)


def test_an_unknown_vm_size_is_told_with_what_is_close(workspace: Workspace) -> None:
    with pytest.raises(ComputeTargetException, match="Standard_D2_v2"):
        ComputeTarget.create(workspace, "cpu", configuration(vm_size="STANDARD_DD2_V2"))
    with pytest.raises(ComputeTargetException, match="vm_size is missing"):
        ComputeTarget.create(workspace, "cpu", configuration(vm_size=""))
    sizes = {size["name"]: size for size in AmlCompute.supported_vmsizes(workspace)}
    assert sizes["Standard_D2_v2"]["vCPUs"] == 2
    assert sizes["Standard_NC6"]["gpus"] == 1


def test_update_moves_the_nodes(workspace: Workspace) -> None:
    cluster = ComputeTarget.create(workspace, "cpu", configuration())
    cluster.update(min_nodes="3", idle_seconds_before_scaledown=60)
    cluster.wait_for_completion(timeout_in_minutes=1)
    status = cluster.get_status()
    assert status.current_node_count == 3
    assert status.scale_settings.idle_seconds_before_scaledown == 60
    with pytest.raises(ComputeTargetException, match="min_nodes"):
        cluster.update(min_nodes=9)


def test_waiting_in_vain_ends_at_the_time_out(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = ComputeTarget.create(workspace, "cpu", configuration(min_nodes=1))
    cluster.wait_for_completion(timeout_in_minutes=1)
    begin = time.monotonic()
    cluster.wait_for_completion(show_output=True, min_node_count=2, timeout_in_minutes=0.2 / 60)
    assert 0.2 <= time.monotonic() - begin < 5
    told = capsys.readouterr().out
    assert "Waiting for cluster to scale. 1 out of 2 nodes ready." in told
    assert 'Wait timeout has been reached\nCurrent provisioning state of AmlCompute is "Succeeded"' in told
    assert 'current node count is "1"' in told


def test_a_waiter_wakes_when_the_nodes_come_and_learns_of_a_deletion(workspace: Workspace) -> None:
    cluster = ComputeTarget.create(workspace, "cpu", configuration())
    outcome: list[Any] = []

    def wait(count: int) -> None:
        try:
            outcome.append(ComputeTarget(workspace, "cpu").wait_for_completion(min_node_count=count))
        except ComputeTargetException as error:
            outcome.append(error)

    waiter = threading.Thread(target=wait, args=(2,))
    waiter.start()
    cluster.update(min_nodes=2)
    waiter.join(20)
    assert outcome == [None]
    waiter = threading.Thread(target=wait, args=(4,))
    waiter.start()
    cluster.delete()
    waiter.join(20)
    wait_until(lambda: len(outcome) == 2, 20, "the waiter to learn of the deletion")
    assert isinstance(outcome[1], ComputeTargetException)


def test_default_clusters_are_made_with_the_workspace(connected: object) -> None:
    made = Workspace.create(
        "with-defaults", subscription_id="tests", resource_group="group", show_output=False,
        default_cpu_compute_target=configuration(),
    )  # fmt: skip
    try:
        cpu = made.get_default_compute_target("CPU")
        assert cpu is not None
        assert cpu.name == "cpu-cluster"
        assert made.get_default_compute_target("GPU") is None
    finally:
        made.delete()


def test_what_clusters_lack_is_named(workspace: Workspace) -> None:
    cluster = ComputeTarget.create(workspace, "cpu", configuration())
    with pytest.raises(ComputeTargetException, match="delete"):
        cluster.detach()
    for method in ("add_identity", "remove_identity"):
        with pytest.raises(Exception, match=f"AmlCompute.{method}"):
            getattr(cluster, method)("SystemAssigned")
