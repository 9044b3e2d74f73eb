"""Datastores through the SDK, as users use them: many small files and a large one, on disk, beside `cp -r`.

A mount on disk is the datastore's own folder: it takes no time, whatever is in it; what is measured is a look at all of
its files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.emulator import EmulatorProcess
from benchmarks.report import Figure
from benchmarks.transfer import Peak, touch_memory

_CP = "floor: cp -r"
_NO_GOAL = "-"


def measure(emulator: EmulatorProcess, workspace: Any, small_files: int, large_mib: int) -> list[Figure]:
    """Uploads, a second upload of the same, lists, a look through a mount, and downloads.

    Args:
        small_files: how many files of 4 KiB.
        large_mib: size of the large file.
    """
    folder = Path(tempfile.mkdtemp(prefix="localaml-bench-", dir=emulator.state_dir.parent))
    try:
        return [
            *_small(emulator, workspace, folder, small_files),
            *_large(emulator, workspace, folder, large_mib),
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _small(emulator: EmulatorProcess, workspace: Any, folder: Path, count: int) -> list[Figure]:
    store = workspace.get_default_datastore()
    source = folder / "small"
    source.mkdir()
    for number in range(count):
        (source / f"{number:05}").write_bytes(b"x" * 4096)
    with Peak(emulator) as peak:
        before = emulator.memory_mib
        copied = _time(lambda: _cp(source, folder / "copy"))
        up = _time(lambda: store.upload(str(source), "many", show_progress=False))
        again = _time(lambda: store.upload(str(source), "many", show_progress=False))
        compared = _time(lambda: store.upload(str(source), "many", overwrite=True, show_progress=False))
        request = {"name": store._resource_name, "prefix": "many/"}
        pages = workspace._client.pages
        listed = _time(lambda: list(pages("DatastoreService", "ListDatastoreFiles", request, "files")))
        found = _time(lambda: subprocess.run(["find", source, "-size", "+0"], check=True, stdout=subprocess.DEVNULL))
        mount = emulator.state_dir / "objects" / store.account_name / store.container_name / "many"
        looked = _time(lambda: _cp(mount, folder / "mounted"))
        down = _time(lambda: store.download(str(folder / "down"), "many", show_progress=False))
    if sum(1 for _ in (folder / "down/many").iterdir()) != count:
        raise RuntimeError("the download is not complete")
    note = f"emulator's memory: {before:.0f} MiB before, {peak.mib:.0f} MiB at most"
    rows = (
        ("up", up, copied, _CP, note),
        ("up again, nothing missing", again, copied, _CP, "one listing"),
        ("up again, overwrite: compared", compared, copied, _CP, "SHA-256 on both sides, no bytes sent"),
        ("list", listed, found, "floor: find -size", ""),
        ("through a mount", looked, copied, _CP, "cp -r out of the mounted folder"),
        ("down", down, copied, _CP, ""),
    )
    what = f"disk: {count} files of 4 KiB"
    return [
        Figure(f"{what} {name}", count / ours, "files/s", count / floor, told, _NO_GOAL, True, "", more)
        for name, ours, floor, told, more in rows
    ]


def _large(emulator: EmulatorProcess, workspace: Any, folder: Path, mib: int) -> list[Figure]:
    store = workspace.get_default_datastore()
    source = folder / "large"
    source.mkdir()
    with (source / "big.bin").open("wb") as file:
        block = bytes(range(256)) * 4096
        for _ in range(mib):
            file.write(block)
    touch_memory(source / "big.bin", folder, 3)
    before = emulator.memory_mib
    copies, ups, downs = [], [], []
    with Peak(emulator) as peak:
        for _ in range(2):
            copies.append(_time(lambda: _cp(source, folder / "copied")))
            shutil.rmtree(folder / "copied")
            ups.append(_time(lambda: store.upload(str(source), "large", show_progress=False)))
            downs.append(_time(lambda: store.download(str(folder / "back"), "large", show_progress=False)))
            if (folder / "back/large/big.bin").stat().st_size != mib * 2**20:
                raise RuntimeError("the download has another size")
            same = _time(lambda: store.upload(str(source), "large", overwrite=True, show_progress=False))
            shutil.rmtree(folder / "back")
            (emulator.state_dir / "objects" / store.account_name / store.container_name / "large/big.bin").unlink()
    cp = mib / min(copies)
    # Linux slows writers down from about 15 % of the memory on: then the medium decides, for whoever meets it.
    note = f"emulator's memory: {before:.0f} MiB before, {peak.mib:.0f} MiB at most; bound by the medium when large"
    return [
        Figure(f"disk: {mib} MiB {name}", mib / ours, "MiB/s", cp, f"{_CP}, best of 2", ">= 40 % of cp", met, "", note)
        for name, ours, met in (
            ("up", min(ups), mib / min(ups) >= 0.4 * cp),
            ("down", min(downs), mib / min(downs) >= 0.4 * cp),
            ("up again, overwrite: compared", same, True),
        )
    ]


def _cp(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)


def _time(action: Callable[[], Any]) -> float:
    # What was written before is on its way to the medium: else this one is made to wait for that.
    os.sync()
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun
