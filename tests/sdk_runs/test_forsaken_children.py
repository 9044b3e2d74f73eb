"""Runs that a job begins and never ends: they end with it, and nobody waits for them for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_runs.conftest import Submit
from tests.support.waiting import wait_until

from azureml.exceptions import AzureMLException
from localaml.testing import wait_for_state

if TYPE_CHECKING:
    from azureml.core import Run

FORSAKES = """
import os, sys, time
from azureml.core import Run
run = Run.get_context()
with run.child_run("ended") as child:
    child.log("a", 1)
left = run.child_run("left")
left.log("a", 2)
left.flush()
left.child_run("deeper")
print("children are there", flush=True)
"""


def children(run: Run) -> dict[str, Any]:
    return {child.display_name: child for child in run.get_children(recursive=True)}


def why(run: Run) -> str:
    return str(run.get_details()["error"]["error"]["code"])


@pytest.mark.parametrize(
    ("ends", "state"),
    [("", "Completed"), ("sys.exit(3)", "Failed"), ("os.kill(os.getpid(), 9)", "Failed"), ("run.fail()", "Failed")],
    ids=["ends well", "fails", "is killed", "says that it failed"],
)
def test_they_fail_with_their_job(submit: Submit, ends: str, state: str) -> None:
    run = submit(FORSAKES + ends)
    assert wait_for_state(run, state) == state
    found = children(run)
    assert {name: child.get_status() for name, child in found.items()} == {
        "ended": "Completed",
        "left": "Failed",
        "deeper": "Failed",
    }
    assert why(found["left"]) == why(found["deeper"]) == "PARENT_RUN_ENDED"
    message = found["left"].get_details()["error"]["error"]["message"]
    assert run.id in message and "complete()" in message
    assert found["left"].get_metrics() == {"a": 2}, "what it had logged stays"
    story = found["left"].get_detailed_status()["details"]
    assert [change["state"] for change in story] == ["NotStarted", "Running", "Failed"]


def test_they_are_canceled_with_their_job(submit: Submit) -> None:
    run = submit(FORSAKES + "time.sleep(600)")
    wait_until(lambda: len(children(run)) == 3, 30, "children")
    run.cancel()
    wait_for_state(run, "Canceled")
    assert {name: child.get_status() for name, child in children(run).items()} == {
        "ended": "Completed",
        "left": "Canceled",
        "deeper": "Canceled",
    }


def test_what_others_perform_goes_on(submit: Submit) -> None:
    run = submit("import os, time\nwhile not os.path.exists('outputs/go'): time.sleep(0.01)")
    mine = run.child_run("mine")
    wait_for_state(run, "Running")
    run.cancel()
    wait_for_state(run, "Canceled")
    mine.log("a", 1)
    mine.complete()
    assert mine.get_status() == "Completed"


def test_a_submitted_child_goes_on(submit: Submit) -> None:
    run = submit(
        "import sys\n"
        "from azureml.core import Run, ScriptRunConfig\n"
        "open('child.py', 'w').write('import time; time.sleep(0.5)')\n"
        "config = ScriptRunConfig('.', 'child.py')\n"
        "config.run_config.environment.python.user_managed_dependencies = True\n"
        "config.run_config.environment.python.interpreter_path = sys.executable\n"
        "Run.get_context().submit_child(config)\n"
    )
    run.wait_for_completion()
    [child] = run.get_children()
    assert child.get_status() not in ("Failed", "Canceled")
    child.wait_for_completion()
    assert child.get_status() == "Completed"


def test_nobody_can_end_them_again(submit: Submit) -> None:
    run = submit(FORSAKES)
    wait_for_state(run, "Completed")
    with pytest.raises(AzureMLException, match="has ended"):
        children(run)["left"].complete()
