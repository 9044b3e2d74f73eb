"""Start-up, import time and idle memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.emulator import ENVIRONMENT, EmulatorProcess
from benchmarks.report import Figure, median, spread

_EMPTY_SERVER = """
import asyncio, grpc
async def main():
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print("ready", flush=True)
    await server.stop(None)
asyncio.run(main())
"""


def _timed(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _empty_server() -> float:
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", _EMPTY_SERVER], stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - started


def measure(cache_dir: Path, repetitions: int) -> list[Figure]:
    """Emulator ready, SDK import, idle memory."""
    ready, floors, memory, imports, pythons = [], [], [], [], []
    for _ in range(repetitions):
        floors.append(_empty_server())
        emulator = EmulatorProcess(cache_dir)
        ready.append(emulator.ready_seconds)
        memory.append(emulator.memory_mib)
        emulator.close()
        imports.append(_timed([sys.executable, "-c", "import azureml.core"]))
        pythons.append(_timed([sys.executable, "-c", "pass"]))
    value, floor = median(ready), median(floors)
    return [
        Figure(
            "emulator ready",
            value,
            "s",
            floor,
            "floor: an empty grpc server process",
            "<= 4x, < 1 s",
            value <= 4 * floor and value < 1,
            spread(ready),
        ),
        Figure(
            "import azureml.core",
            median(imports),
            "s",
            median(pythons),
            "floor: python -c pass",
            "<= 0.25 s",
            median(imports) <= 0.25,
            spread(imports),
        ),
        Figure(
            "idle emulator, memory",
            median(memory),
            "MiB",
            None,
            "",
            "<= 120 MiB",
            median(memory) <= 120,
            spread(memory),
        ),
    ]
