"""Rules of faults outlive the emulator's process, with all that they have counted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command_line import CommandLine
from tests.support.waiting import wait_until

from azureml.core import Experiment, ScriptRunConfig, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.exceptions import AzureMLException
from localaml.cli.failure import CliError
from localaml.testing import emulator
from localaml.testing.faults import Faults
from localaml_proto.admin.v1 import admin_pb2, event_pb2, fault_pb2, state_pb2

SLEEP = "import time; print('at work', flush=True); time.sleep(600)"


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    """An emulator that this module's tests kill."""
    with emulator(clock="virtual") as running:
        yield running


@pytest.fixture
def own(shared: Any) -> Iterator[Any]:
    yield shared
    with Faults(shared):
        pass
    shared.client.call(shared.client.admin.Reset, admin_pb2.ResetRequest())


@pytest.fixture
def faults(own: Any) -> Faults:
    return Faults(own)


@pytest.fixture
def workspace(own: Any) -> Workspace:
    return Workspace.create("restarts", subscription_id="s", resource_group="g", show_output=False)


def make_cluster(workspace: Workspace, **settings: Any) -> Any:
    configuration = AmlCompute.provisioning_configuration("STANDARD_D2_V2", **{"max_nodes": 1, **settings})
    cluster = ComputeTarget.create(workspace, "cpu", configuration)
    cluster.wait_for_completion()
    return cluster


def submit(workspace: Workspace, folder: Path, text: str, target: Any) -> Any:
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(text)
    config = ScriptRunConfig(str(folder), "train.py", compute_target=target)
    config.run_config.environment.python.user_managed_dependencies = True
    config.run_config.environment.python.interpreter_path = sys.executable
    return Experiment(workspace, "exp").submit(config)


def strikes(workspace: Workspace) -> bool:
    try:
        Experiment.list(workspace)
    except AzureMLException as error:
        assert "INJECTED_FAULT" in str(getattr(error, "reason", ""))
        return True
    return False


def listed(own: Any) -> list[fault_pb2.Fault]:
    return list(own.client.call(own.client.faults.ListFaults, fault_pb2.ListFaultsRequest()).faults)


def test_a_rule_goes_on_counting(own: Any, faults: Faults, workspace: Workspace) -> None:
    faults.add("error", method="ExperimentService/*", code="FAILED_PRECONDITION", skip=2, every=2, count=2)
    assert [strikes(workspace) for _ in range(4)] == [False, False, False, True]
    before = listed(own)
    own.restart()
    assert listed(own) == before, "nothing of it is lost, neither what it is nor when it was added"
    [fault] = faults.list()
    assert (fault.seen, fault.struck, fault.used_up) == (4, 1, False)
    assert [strikes(workspace) for _ in range(4)] == [False, True, False, False]
    own.restart()
    assert [fault.used_up for fault in faults.list()] == [True]
    assert not strikes(workspace)


def test_a_probability_repeats_across_restarts(own: Any, faults: Faults, workspace: Workspace) -> None:
    details = {"method": "ExperimentService/*", "code": "FAILED_PRECONDITION", "probability": 0.5, "seed": 11}
    faults.add("error", **details)
    expected = [strikes(workspace) for _ in range(12)]
    assert len(set(expected)) == 2
    faults.clear()
    faults.add("error", **details)
    told = []
    for number in range(12):
        if number % 4 == 3:
            own.restart()
        told.append(strikes(workspace))
    assert told == expected


def test_what_is_cleared_does_not_come_back(own: Any, faults: Faults, workspace: Workspace) -> None:
    first = faults.add("error", method="ExperimentService/*", code="FAILED_PRECONDITION")
    second = faults.add("disk-full")
    faults.clear(first.fault_id)
    own.restart()
    assert [fault.fault_id for fault in faults.list()] == [second.fault_id]
    assert not strikes(workspace)
    own.client.call(own.client.admin.Reset, admin_pb2.ResetRequest())
    own.restart()
    assert faults.list() == []
    third = faults.add("disk-full")
    assert third.fault_id not in (first.fault_id, second.fault_id), "the history tells them apart"


def test_a_node_at_work_counts_once(own: Any, faults: Faults, workspace: Workspace, tmp_path: Path) -> None:
    cluster = make_cluster(workspace, vm_priority="lowpriority")
    run = submit(workspace, tmp_path, SLEEP, cluster)
    wait_until(lambda: run.get_status() == "Running", 20, "Running", on_timeout=own.log)
    faults.add("node-evicted", cluster="cpu", skip=1)
    for _ in range(2):
        own.restart()
        own.clock.settle()
        [fault] = faults.list()
        assert (fault.seen, fault.struck) == (1, 0), "the emulator that adopts the run sees the same node at work"
    assert run.get_status() == "Running"
    run.cancel()


def test_a_rule_of_later_begins_in_time(own: Any, faults: Faults, workspace: Workspace) -> None:
    cluster = make_cluster(workspace, min_nodes=1, vm_priority="lowpriority")
    [known] = cluster.list_nodes()
    faults.add("node-evicted", cluster="cpu", start_seconds=600)
    own.restart()
    own.clock.advance(minutes=9)
    assert [node["nodeId"] for node in cluster.list_nodes()] == [known["nodeId"]]
    own.clock.advance(minutes=1)
    [fault] = faults.list()
    assert fault.struck == 1, "idle nodes are looked at when it begins"
    own.restart()
    own.clock.settle()
    assert known["nodeId"] not in [node["nodeId"] for node in cluster.list_nodes()]
    [fault] = faults.list()
    assert (fault.seen, fault.struck) == (1, 1), "it begins once"


def test_a_crash_can_come_back_with_the_next_emulator(
    own: Any, faults: Faults, workspace: Workspace, tmp_path: Path
) -> None:
    faults.add("crash", point="before-finalize", count=2)
    run = submit(workspace, tmp_path, "print('hello')", "local")
    wait_until(lambda: not own.is_running, 20, "the first crash", on_timeout=own.log)
    with suppress(CliError):  # it may crash again before it serves
        own.start()
    wait_until(lambda: not own.is_running, 20, "the second crash", on_timeout=own.log)
    own.start()
    run.wait_for_completion(show_output=False)
    [fault] = faults.list()
    assert (fault.struck, fault.used_up) == (2, True)
    request = event_pb2.ListEventsRequest(filter=event_pb2.EventFilter(kind="fault"))
    states = [event.new_state for event in own.client.call(own.client.events.ListEvents, request).events]
    assert states == ["added", "struck", "struck"]


def test_a_crash_without_end_is_refused(faults: Faults) -> None:
    with pytest.raises(CliError, match="count must be at least 1"):
        faults.add("crash", point="placed", count=0)


def test_after_a_test_nothing_is_left_also_of_crashes(own: Any, workspace: Workspace, tmp_path: Path) -> None:
    with Faults(own) as faults:
        faults.add("crash", point="before-finalize", count=3)
        run = submit(workspace, tmp_path, "print('hello')", "local")
        wait_until(lambda: not own.is_running, 20, "the crash", on_timeout=own.log)
    assert Faults(own).list() == []
    run.wait_for_completion(show_output=False)


def test_a_cluster_that_is_refused_at_a_submit_is_remembered(
    own: Any, faults: Faults, workspace: Workspace, tmp_path: Path
) -> None:
    faults.add("sku-not-available", vm_size="*D2*", count=1)
    (tmp_path / "train.py").write_text("")
    config = ScriptRunConfig(str(tmp_path), "train.py")
    config.run_config.target = "amlcompute"
    config.run_config.amlcompute.vm_size = "STANDARD_D2_V2"
    with pytest.raises(AzureMLException, match="SkuNotAvailable"):
        Experiment(workspace, "exp").submit(config)
    own.restart()
    [fault] = faults.list()
    assert (fault.struck, fault.used_up) == (1, True)
    request = event_pb2.ListEventsRequest(filter=event_pb2.EventFilter(kind="fault"))
    states = [event.new_state for event in own.client.call(own.client.events.ListEvents, request).events]
    assert states == ["added", "struck"]


def test_no_archive_holds_faults(own: Any, faults: Faults, workspace: Workspace, tmp_path: Path) -> None:
    faults.add("error", method="ExperimentService/*", code="FAILED_PRECONDITION")
    path = str(tmp_path / "state")
    own.client.call(own.client.state.SaveState, state_pb2.SaveStateRequest(path=path))
    own.client.call(own.client.state.LoadState, state_pb2.LoadStateRequest(path=path))
    assert faults.list() == [], "loading replaces all that was there"
    assert not strikes(workspace)
    own.restart()
    assert faults.list() == [] and not strikes(workspace)


def test_the_command_line_shows_them(tmp_path: Path) -> None:
    command_line = CommandLine(tmp_path)
    command_line.succeed("start", "-d")
    try:
        command_line.succeed("fault", "add", "throttle", "--method", "bytes/*", "--count", "3")
        command_line.succeed("stop")
        command_line.succeed("start", "-d")
        shown = command_line.succeed("fault", "list")
        assert "throttle" in shown and "0 of 3" in shown and "bytes/*" in shown
    finally:
        command_line.succeed("stop")
