"""Metrics that children of multiprocessing log, however they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sdk_runs.conftest import Submit

# The end of the `with` block terminates the pool's processes.
_POOLS = """
import multiprocessing
from azureml.core import Run
run = Run.get_context()

def work(number):
    run.log("pool", number)

def work_and_die(number):
    import os
    Run.get_context().log("killed", number)
    os._exit(0)

if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    for first in range(0, 60, 20):
        with context.Pool(2) as pool:
            pool.map(work, range(first, first + 20))
    for number in range(5):
        process = context.Process(target=work_and_die, args=(number,))
        process.start()
        process.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_nothing_is_lost_when_a_pool_is_terminated_or_a_child_exits_at_once(submit: Submit, method: str) -> None:
    run = submit(_POOLS.replace("{method}", method))
    run.wait_for_completion()
    metrics = run.get_metrics()
    assert sorted(metrics["pool"]) == list(range(60))
    assert sorted(metrics["killed"]) == list(range(5))


def test_what_is_older_than_two_seconds_outlives_os_exit(submit: Submit) -> None:
    run = submit(
        "import os, time\nfrom azureml.core import Run\nrun = Run.get_context()\n"
        "for number in range(50):\n    run.log('m', number)\ntime.sleep(2)\nos._exit(0)\n"
    )
    run.wait_for_completion()
    assert run.get_metrics()["m"] == list(range(50))
