"""`python -m benchmarks.user_tests`: 200 tests of a sample project, as users write them, with two workers.

Repeats the whole session and prints the time of each, and the processor time of all its processes, which a busy machine
changes less; a single failed test makes the exit code 1. First, what a fresh workspace costs a test. Not a part of CI.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL_SECONDS = 20.0
GOAL_MILLISECONDS = 30.0

_EMPTY = """
import pytest

@pytest.mark.parametrize("number", range(200))
def test_nothing({fixture}number):
    pass
"""

_CONFTEST = """
import sys
import pytest
from azureml.core import Experiment, ScriptRunConfig

@pytest.fixture
def submit(workspace, tmp_path):
    def submit(text, target="local", **arguments):
        (tmp_path / "train.py").write_text(text)
        config = ScriptRunConfig(str(tmp_path), "train.py", compute_target=target, **arguments)
        config.run_config.environment.python.user_managed_dependencies = True
        config.run_config.environment.python.interpreter_path = sys.executable
        return Experiment(workspace, "bench").submit(config)
    return submit
"""

# 20 kinds of tests, each with 10 numbers: runs that complete, fail and are cancelled, clusters, data, models of time.
_TESTS = '''
import pytest
from azureml.core import Experiment
from localaml.testing import *

TRAIN = """
import sys
from azureml.core import Run
run = Run.get_context()
run.log("number", int(sys.argv[1]))
open("outputs/model.txt", "w").write(sys.argv[1])
print("trained", sys.argv[1])
"""
pytestmark = pytest.mark.parametrize("number", range(10))


def test_completes(submit, number):
    assert_completed(submit(TRAIN, arguments=[number]))

def test_metrics(submit, number):
    run = submit(TRAIN, arguments=[number])
    assert_completed(run)
    assert_metrics(run, {"number": number})

def test_artifacts(submit, number):
    run = submit(TRAIN, arguments=[number])
    assert_completed(run)
    assert_artifacts(run, "outputs/model.txt", exactly=True)

def test_log(submit, number):
    run = submit(TRAIN, arguments=[number])
    assert_completed(run)
    assert_log_contains(run, f"trained {number}")

def test_fails(submit, number):
    run = submit(f"raise SystemExit({number + 1})")
    assert wait_for_state(run, "Failed") == "Failed"

def test_is_canceled(submit, number):
    run = submit("import time; time.sleep(60)")
    wait_for_state(run, "Running")
    run.cancel()
    wait_for_state(run, "Canceled")

def test_on_a_cluster(submit, amlcompute, number):
    assert_completed(submit(TRAIN, amlcompute(max_nodes=2), arguments=[number]))

def test_queue(submit, amlcompute, number):
    cluster = amlcompute(max_nodes=1)
    first, second = (submit(TRAIN, cluster, arguments=[number]) for _ in range(2))
    assert_completed(second)
    assert first.get_status() == "Completed"

def test_idle(submit, amlcompute, clock, number):
    cluster = amlcompute(max_nodes=1, idle_seconds_before_scaledown=1800)
    assert_completed(submit("pass", cluster))
    clock.advance(minutes=29 + number / 10)
    assert len(cluster.list_nodes()) == 1
    clock.advance(minutes=1)
    assert cluster.list_nodes() == []

@pytest.mark.localaml(latency="cloud")
def test_latency(submit, amlcompute, clock, number):
    run = submit("pass", amlcompute(max_nodes=1))
    clock.advance(minutes=4)
    assert run.get_status() == "Queued"
    clock.advance(minutes=2)
    assert_completed(run)

def test_nodes(amlcompute, number):
    assert len(amlcompute(min_nodes=3, max_nodes=3).list_nodes()) == 3

def test_resize(amlcompute, number):
    cluster = amlcompute(max_nodes=4)
    cluster.update(min_nodes=2)
    cluster.wait_for_completion()
    assert len(cluster.list_nodes()) == 2

def test_interactive(workspace, number):
    run = Experiment(workspace, "bench").start_logging()
    run.log("number", number)
    run.complete()
    assert_metrics(run, {"number": number})

def test_children(workspace, number):
    run = Experiment(workspace, "bench").start_logging()
    for _ in range(3):
        run.child_run().complete()
    run.complete()
    assert len(list(run.get_children())) == 3

def test_data(workspace, tmp_path, number):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text(str(number))
    store = workspace.get_default_datastore()
    store.upload(str(tmp_path / "data"), "in", show_progress=False)
    store.download(str(tmp_path / "back"), "in", show_progress=False)
    assert (tmp_path / "back" / "in" / "x.csv").read_text() == str(number)

def test_outcome(submit, number):
    runs = [submit(TRAIN, arguments=[number]) for _ in range(2)]
    for run in runs:
        assert_completed(run)
    assert outcome(runs[0]) == outcome(runs[1])

def test_calls(workspace, number):
    experiment = Experiment(workspace, "none")
    with count_calls() as calls:
        list(experiment.get_runs())
    assert dict(calls) == {"RunService/ListRuns": 1}

def test_tags(workspace, number):
    run = Experiment(workspace, "bench").start_logging()
    run.tag("number", str(number))
    assert [found.id for found in Experiment(workspace, "bench").get_runs(tags={"number": str(number)})] == [run.id]
    run.complete()

def test_limit(submit, clock, number):
    run = submit("import time; time.sleep(60)")
    wait_for_state(run, "Running")
    clock.advance(hours=number)
    assert run.get_status() == "Running"

def test_files(workspace, tmp_path, number):
    run = Experiment(workspace, "bench").start_logging()
    (tmp_path / "a.txt").write_text(str(number))
    run.upload_file("outputs/a.txt", str(tmp_path / "a.txt"))
    run.complete()
    assert_artifacts(run, "outputs/a.txt", exactly=True)
'''


def measure(folder: Path, workers: int, tests: str = _TESTS) -> tuple[float, str]:
    """Seconds of one session, and what pytest said."""
    (folder / "conftest.py").write_text(_CONFTEST)
    (folder / "test_sample.py").write_text(tests)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-n", str(workers)]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return time.perf_counter() - began, done.stdout + done.stderr


def overhead(times: int = 3) -> float:
    """Milliseconds that a fresh workspace costs a test: the difference of two sessions, the start of the emulator in
    it; of several attempts the least."""
    best = float("inf")
    for _ in range(times):
        seconds = []
        for fixture in ("", "workspace, "):
            with tempfile.TemporaryDirectory() as folder:
                seconds.append(measure(Path(folder), 0, _EMPTY.format(fixture=fixture))[0])
        best = min(best, (seconds[1] - seconds[0]) / 200 * 1000)
    return best


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Returns 1 when a test failed in any of the sessions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(f"a fresh workspace: {overhead():.1f} ms for each test, goal {GOAL_MILLISECONDS:g} ms", flush=True)
    taken, flakes = [], 0
    for number in range(options.sessions):
        with tempfile.TemporaryDirectory() as folder:
            before = _processor_seconds()
            seconds, said = measure(Path(folder), options.workers)
            processor = _processor_seconds() - before
        passed = int(match[1]) if (match := re.search(r"(\d+) passed", said)) else 0
        taken.append(seconds)
        used = f"{processor:.1f} s of processor time, load {os.getloadavg()[0]:.1f}"
        print(f"session {number + 1}: {passed} passed in {seconds:.1f} s, {used}", flush=True)
        if passed != 200:
            flakes += 1
            print(said)
    print(f"median {statistics.median(taken):.1f} s, goal {GOAL_SECONDS:g} s; sessions with a failure: {flakes}")
    return 1 if flakes else 0


if __name__ == "__main__":
    sys.exit(main())
