"""`python -m benchmarks`: measures and prints."""

from __future__ import annotations

import argparse
import signal
import sys

from benchmarks import containers, datastores, logs, runs, startup, stores, transfer
from benchmarks.emulator import EmulatorProcess
from benchmarks.report import show

_PARTS = ["startup", "runs", "containers", "logs", "transfer", "stores"]


def main() -> int:
    """Returns 1 when a goal was missed and `--check` was given."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures LocalAML against floors of this machine."
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, a shorter queue, smaller files")
    parser.add_argument("--only", choices=_PARTS, action="append")
    parser.add_argument("--large-mib", type=int, help="size of the large files of `stores`; default 4096")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    options = parser.parse_args()
    # What ends it also ends what it started, and removes its folders.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parts = options.only or _PARTS
    repetitions = 5 if options.quick else 15
    cache = runs.environment_cache()
    figures = []
    if "startup" in parts:
        figures += startup.measure(cache, repetitions)
    if "stores" in parts:
        large = options.large_mib or (128 if options.quick else 4096)
        figures += stores.measure(1000 if options.quick else 10_000, large)
    if "containers" in parts and (engine := containers.connect()) is not None:
        figures += containers.measure(engine, cache, repetitions)
    if set(parts) - {"startup", "containers"}:
        emulator = EmulatorProcess(cache)
        try:
            emulator.select()
            from azureml.core import Workspace

            workspace = Workspace.create("bench", subscription_id="bench", resource_group="bench", show_output=False)
            if "runs" in parts:
                figures += runs.measure(emulator, workspace, repetitions, 100 if options.quick else 1000)
            if "logs" in parts:
                figures += logs.measure(workspace, runs.cluster(workspace, "log-nodes", 2))
            if "stores" in parts:
                large = options.large_mib or (256 if options.quick else 4096)
                figures += datastores.measure(emulator, workspace, 1000 if options.quick else 10_000, large)
            if "transfer" in parts:
                figures += transfer.measure(emulator, workspace, 256 if options.quick else 1024)
        finally:
            emulator.close()
    show(figures, options.json)
    return 1 if options.check and not all(figure.met for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
