"""Objects on S3 against plain boto3: many small files, and a large one.

moto serves in a process of its own. Ours and the floor take turns with the same work, so that both meet the same load
of the machine, and buckets of the same size.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import Figure
from localaml.clock import RealClock
from localaml.jobs.mount_view import MountViews
from localaml.paths import RunPaths
from localaml.storage.s3 import S3Store
from localaml.storage.s3_client import S3Account

_PARALLEL = 8
# What one of the two does before it is the other's turn.
_TURN = 500
_PREFIX = "localaml/bench-store/"
_SERVER = """
import sys
from localaml.storage.moto_cloud import MotoCloud
cloud = MotoCloud(0, 64 << 30)
print(cloud.endpoint, flush=True)
sys.stdin.read()
cloud.close()
"""
_GOAL = "within twice boto3's time"
_BOTO = "boto3, 8 threads"
_BLOCK = 2**20
# Of the machine's memory, in sizes of the large file: there are two of them, ours and the floor's.
_MEMORY_FOR_LARGE = 3


def measure(small_files: int, large_mib: int) -> list[Figure]:
    """Uploads, lists, mounts and downloads on S3.

    Args:
        small_files: how many files of 4 KiB.
        large_mib: size of the large file; smaller where moto, which keeps all of it in memory for a while, could not.
    """
    available = psutil.virtual_memory().available // 2**20
    large_mib = min(large_mib, available // _MEMORY_FOR_LARGE)
    server = subprocess.Popen([sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    folder = Path(tempfile.mkdtemp(prefix="localaml-bench-"))
    try:
        assert server.stdout is not None
        account = S3Account(server.stdout.readline().strip(), access_key="test", secret_key="test")  # noqa: S106
        return asyncio.run(_measure(account, folder, small_files, large_mib))
    finally:
        server.communicate("")
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(account: S3Account, folder: Path, count: int, mib: int) -> list[Figure]:
    store, client = S3Store(account), account.client()
    client.create_bucket(Bucket="bench-boto3")
    small, back = folder / "small", folder / "back"
    small.write_bytes(b"x" * 4096)
    names = [f"many/{number:05}" for number in range(count)]
    figures = []

    ours = floor = 0.0
    for turn in _turns(names):
        ours += await _each(turn, lambda name: store.put_file(_PREFIX + name, small))
        floor += _boto(turn, lambda name: client.upload_file(str(small), "bench-boto3", name))
    figures.append(_figure(f"S3: {count} files of 4 KiB up", count / ours, "files/s", count / floor))

    begun = time.perf_counter()
    after, seen = "", 0
    while page := await store.list(_PREFIX, after):
        seen, after = seen + len(page), page[-1].key
    ours = time.perf_counter() - begun
    begun = time.perf_counter()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="bench-boto3")
    plain = sum(len(page["Contents"]) for page in pages)
    floor = time.perf_counter() - begun
    assert seen == plain == count
    figures.append(_figure(f"S3: list {count} files", count / ours, "files/s", count / floor))

    back.mkdir()
    ours = floor = 0.0
    for turn in _turns(names):
        ours += await _each(turn, lambda name: store.get_file(_PREFIX + name, back / name[5:]))
        floor += _boto(turn, lambda name: client.download_file("bench-boto3", name, str(back / name[5:])))
    figures.append(_figure(f"S3: {count} files of 4 KiB down", count / ours, "files/s", count / floor))
    # What a run does before it starts: the same files, with folders, times and an index of what was synchronised.
    views = MountViews(store, RunPaths(folder / "runs" / "bench" / "run"), RealClock())
    ours = await _time(lambda: views.mount(_PREFIX, "many", adopt=False, notes=[]))
    figures.append(_figure(f"S3: mount {count} files of 4 KiB", count / ours, "files/s", count / floor))

    figures += await _large(store, client, folder, mib)
    client.close()
    store.close()
    return figures


async def _large(store: S3Store, client: Any, folder: Path, mib: int) -> list[Figure]:
    """One large file, up and down."""
    source, ours_back, floor_back = folder / "large", folder / "ours", folder / "floor"
    with source.open("wb") as file:
        for _ in range(mib):
            file.write(b"y" * _BLOCK)

    def stream(_: str) -> None:
        # Not `download_file`: it asks for ranges, for each of which moto reads the whole object.
        body = client.get_object(Bucket="bench-boto3", Key="large")["Body"]
        with floor_back.open("wb") as file:
            while block := body.read(_BLOCK):
                file.write(block)

    with _Growth() as up_growth:
        ours = await _time(lambda: store.put_file(_PREFIX + "large", source))
    floor = _boto([""], lambda _: client.upload_file(str(source), "bench-boto3", "large"))
    figures = [
        _figure(f"S3: {mib} MiB up", mib / ours, "MiB/s", mib / floor, f"memory +{up_growth.mib:.0f} MiB at most")
    ]
    with _Growth() as down_growth:
        ours = await _time(lambda: store.get_file(_PREFIX + "large", ours_back))
    floor = _boto([""], stream)
    if not ours_back.stat().st_size == floor_back.stat().st_size == mib * _BLOCK:
        raise RuntimeError("a download has another size")
    note = f"memory +{down_growth.mib:.0f} MiB at most"
    figures.append(_figure(f"S3: {mib} MiB down", mib / ours, "MiB/s", mib / floor, note, "boto3, one stream"))
    return figures


class _Growth:
    """By how much this process grows at most while something goes on."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self._highest = self._before
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    @property
    def mib(self) -> float:
        """How much, in MiB."""
        return (self._highest - self._before) / 2**20

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self._highest = max(self._highest, self._process.memory_info().rss)

    def __enter__(self) -> _Growth:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _turns(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[at : at + _TURN] for at in range(0, len(names), _TURN)]


async def _each(names: Sequence[str], action: Callable[[str], Awaitable[Any]]) -> float:
    gate = asyncio.Semaphore(_PARALLEL)

    async def one(name: str) -> None:
        async with gate:
            await action(name)

    begun = time.perf_counter()
    await asyncio.gather(*(one(name) for name in names))
    return time.perf_counter() - begun


async def _time(action: Callable[[], Awaitable[Any]]) -> float:
    begun = time.perf_counter()
    await action()
    return time.perf_counter() - begun


def _boto(names: Sequence[str], action: Callable[[str], Any]) -> float:
    begun = time.perf_counter()
    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(action, names))
    return time.perf_counter() - begun


def _figure(name: str, value: float, unit: str, floor: float, note: str = "", told: str = _BOTO) -> Figure:
    return Figure(name, value, unit, floor, told, _GOAL, value >= floor / 2, "", note)
