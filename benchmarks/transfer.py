"""Bytes: upload and download of 1 GiB beside `cp`, with the emulator's memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.emulator import EmulatorProcess
from benchmarks.report import Figure


class Peak:
    """The highest resident memory of the emulator while something goes on."""

    def __init__(self, emulator: EmulatorProcess) -> None:
        self._emulator = emulator
        self._stop = threading.Event()
        self.mib = 0.0
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.mib = max(self.mib, self._emulator.memory_mib)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def touch_memory(source: Path, folder: Path, copies_of_it: int = 4) -> None:
    """Fills, once, as much of the page cache as a round needs at most.

    A virtual machine gets memory from its host when it first touches it, which is several times slower than to write to
    it. Else whoever happened to come last in a round (always the download) paid for that.
    """
    copies = [folder / f"memory-{number}" for number in range(copies_of_it)]
    for copy in copies:
        subprocess.run(["cp", str(source), str(copy)], check=True)
    for copy in copies:
        copy.unlink()


def measure(emulator: EmulatorProcess, workspace: Any, size_mib: int) -> list[Figure]:
    """Upload and download through a datastore."""
    store = workspace.get_default_datastore()
    folder = Path(tempfile.mkdtemp(prefix="localaml-bench-", dir=emulator.state_dir.parent))
    try:
        source = folder / "source"
        source.mkdir()
        with (source / "big.bin").open("wb") as file:
            block = bytes(range(256)) * 4096
            for _ in range(size_mib):
                file.write(block)
        touch_memory(source / "big.bin", folder)
        before = emulator.memory_mib
        copies, uploads, downloads = [], [], []
        with Peak(emulator) as peak:
            for _ in range(5):
                started = time.perf_counter()
                subprocess.run(["cp", str(source / "big.bin"), str(folder / "copy.bin")], check=True)
                copies.append(time.perf_counter() - started)
                (folder / "copy.bin").unlink()
                with (source / "big.bin").open("r+b") as file:
                    file.write(os.urandom(16))  # what is the same would not travel
                started = time.perf_counter()
                store.upload(str(source), target_path="bench", overwrite=True, show_progress=False)
                uploads.append(time.perf_counter() - started)
                started = time.perf_counter()
                store.download(str(folder / "back"), prefix="bench", overwrite=True, show_progress=False)
                downloads.append(time.perf_counter() - started)
                found = next((folder / "back").rglob("big.bin"))
                if found.stat().st_size != size_mib * 2**20:
                    raise RuntimeError("the download has another size")
                shutil.rmtree(folder / "back")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cp = size_mib / min(copies)
    note = f"emulator's memory: {before:.0f} MiB before, {peak.mib:.0f} MiB at most"
    return [
        Figure(
            f"{name} {size_mib} MiB",
            size_mib / min(samples),
            "MiB/s",
            cp,
            "floor: cp (best of 5 each)",
            ">= 40 % of cp",
            size_mib / min(samples) >= 0.4 * cp,
            "",
            note,
        )
        for name, samples in (("upload", uploads), ("download", downloads))
    ]
