"""Logs and metrics: how soon a printed line is seen, how many lines and metrics get through."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, percentile, spread

_TICKER = """
import time
for number in range(300):
    print(time.time_ns(), flush=True)
    time.sleep(0.01)
"""
_FLOOD = """
import sys, time
line = "x" * 80 + "\\n"
print("begin", flush=True)
for _ in range(500):
    sys.stdout.write(line * 1000)
sys.stdout.flush()
print("end", flush=True)
"""
_METRICS = """
import time
from azureml.core import Run
run = Run.get_context()
count = 200000
started = time.perf_counter()
for number in range(count):
    run.log("loss", number * 0.5)
called = time.perf_counter() - started
run.flush()
flushed = time.perf_counter() - started
run.tag("called_per_second", str(count / called))
run.tag("accepted_per_second", str(count / flushed))
"""
_DRIVER_LOG = "azureml-logs/80_driver_log.txt"


def _follow(run: Any) -> Any:
    """Chunks of the run's driver log as the emulator sends them."""
    workspace = run.experiment.workspace
    request = {
        "name": f"{workspace._resource_name}/experiments/{run.experiment.name}/runs/{run.id}",
        "logName": _DRIVER_LOG,
        "follow": True,
    }
    return workspace._client.stream("RunService", "ReadRunLog", request)


def _data(chunk: dict[str, Any]) -> bytes:
    import base64

    data = chunk.get("data", b"")
    return base64.b64decode(data) if isinstance(data, str) else bytes(data)


def measure(workspace: Any, target: Any) -> list[Figure]:
    """Latency, throughput, metrics from one job and from eight."""
    from azureml.core import Experiment
    from azureml.train.estimator import Estimator

    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("ticker.py", _TICKER), ("flood.py", _FLOOD), ("metrics.py", _METRICS)):
            (Path(folder) / name).write_text(text)
        experiment = Experiment(workspace, "bench-logs")

        def estimator(script: str) -> Any:
            return Estimator(source_directory=folder, entry_script=script, compute_target=target)

        delays = []
        rest = b""
        run = experiment.submit(estimator("ticker.py"))
        for chunk in _follow(run):
            seen = time.time_ns()
            *lines, rest = (rest + _data(chunk)).split(b"\n")
            delays += [(seen - int(line)) / 1e9 for line in lines if line.isdigit()]
        if len(delays) != 300:
            raise RuntimeError(f"{len(delays)} of 300 lines arrived")
        p95 = percentile(delays, 95)
        figures.append(
            Figure("log line printed to seen, p95", p95, "s", None, "", "<= 0.05 s", p95 <= 0.05, spread(delays))
        )

        run = experiment.submit(estimator("flood.py"))
        first = last = 0.0
        lines_seen = 0
        for chunk in _follow(run):
            first = first or time.perf_counter()
            last = time.perf_counter()
            lines_seen += _data(chunk).count(b"\n")
        if lines_seen != 500_002:
            raise RuntimeError(f"{lines_seen} of 500002 lines arrived")
        rate = lines_seen / max(last - first, 1e-9)
        figures.append(Figure("log lines through", rate, "/s", None, "", ">= 50,000 /s", rate >= 50_000))

        run = experiment.submit(estimator("metrics.py"))
        run.wait_for_completion()
        accepted = _accepted(run)
        figures.append(
            Figure("run.log accepted, one job", accepted, "/s", None, "", ">= 50,000 /s", accepted >= 50_000)
        )

        started = time.perf_counter()
        runs = [experiment.submit(estimator("metrics.py")) for _ in range(8)]
        threads = [threading.Thread(target=run.wait_for_completion) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        total = sum(_accepted(run) for run in runs) / 8
        elapsed = time.perf_counter() - started
        overall = 8 * 200_000 / elapsed
        figures.append(
            Figure(
                "run.log accepted, eight jobs, all together",
                overall,
                "/s",
                None,
                "",
                ">= 50,000 /s",
                overall >= 50_000,
                "",
                f"mean of each job's own figure {total:,.0f} /s; includes starting the jobs",
            )
        )
    return figures


def _accepted(run: Any) -> float:
    values = run.get_metrics().get("loss")
    if not isinstance(values, list) or len(values) != 200_000 or values[-1] != 199_999 * 0.5:
        raise RuntimeError(f"{run.id}: {run.get_status()}, {len(values or [])} of 200000 metrics arrived")
    return float(run.get_tags()["accepted_per_second"])
