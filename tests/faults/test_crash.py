"""The emulator ends at a named point, and comes back: nothing accepted is lost, wherever that was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulator_process import processes_of
from tests.support.waiting import wait_until

from azureml.core import Experiment, ScriptRunConfig, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from localaml.domain.faults import CRASH_POINTS
from localaml.testing import emulator
from localaml.testing.faults import Faults
from localaml_proto.admin.v1 import event_pb2

SCRIPT = """
import pathlib
pathlib.Path("outputs/model").write_text("m")
print("hello")
"""


@pytest.fixture(scope="module")
def own() -> Iterator[Any]:
    """An emulator that this module's tests crash."""
    with emulator() as running:
        yield running


def submit(workspace: Workspace, folder: Path, text: str, target: Any) -> Any:
    (folder / "train.py").write_text(text)
    config = ScriptRunConfig(str(folder), "train.py", compute_target=target)
    config.run_config.environment.python.user_managed_dependencies = True
    config.run_config.environment.python.interpreter_path = sys.executable
    return Experiment(workspace, "exp").submit(config)


@pytest.mark.parametrize("point", [point for point in CRASH_POINTS if point != "evicted"])
def test_a_run_survives_a_crash_at_every_point(own: Any, tmp_path: Path, point: str) -> None:
    workspace = Workspace.create(f"ws-{point}", subscription_id="s", resource_group="g", show_output=False)
    configuration = AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=1)
    cluster = ComputeTarget.create(workspace, "cpu", configuration)
    faults = Faults(own)
    faults.add("crash", point=point, cluster="cpu")
    known = own.process_id
    if point == "submit-committed":
        # The answer to the submit is lost with the emulator: the SDK asks the next one, under the same request id.
        import threading

        restarter = threading.Thread(target=lambda: (own._process.wait(), own.start()))
        restarter.start()
        run = submit(workspace, tmp_path, SCRIPT, cluster)
        restarter.join()
    else:
        run = submit(workspace, tmp_path, SCRIPT, cluster)
        wait_until(lambda: not own.is_running, 20, f"the crash at {point}", on_timeout=own.log)
        own.start()
    assert own.process_id != known
    run.wait_for_completion(show_output=False)
    assert run.get_status() == "Completed"
    assert "outputs/model" in run.get_file_names()
    assert len(list(Experiment(workspace, "exp").get_runs())) == 1
    [fault] = faults.list()
    assert (fault.struck, fault.used_up) == (1, True), "a restart forgets no faults, nor that they have struck"
    assert faults.clear() == 1
    client = own.client
    request = event_pb2.ListEventsRequest(filter=event_pb2.EventFilter(kind="fault"))
    causes = [event.cause for event in client.call(client.events.ListEvents, request).events]
    assert f"crash: {point}" in causes, "the history outlives the crash"
    workspace.delete()
    assert processes_of(own.state_dir) in ([], [own.process_id])


def test_an_eviction_survives_a_crash(own: Any, tmp_path: Path) -> None:
    workspace = Workspace.create("ws-evicted", subscription_id="s", resource_group="g", show_output=False)
    configuration = AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=1, vm_priority="lowpriority")
    cluster = ComputeTarget.create(workspace, "cpu", configuration)
    faults = Faults(own)
    faults.add("crash", point="evicted")
    faults.add("node-evicted", cluster="cpu")
    text = "import os, time\nif os.environ['LOCALAML_ATTEMPT'] == '1': time.sleep(600)"
    run = submit(workspace, tmp_path, text, cluster)
    wait_until(lambda: not own.is_running, 20, "the crash", on_timeout=own.log)
    own.start()
    run.wait_for_completion(show_output=False, raise_on_error=False)
    assert run.get_status() == "Completed"
    workspace.delete()
