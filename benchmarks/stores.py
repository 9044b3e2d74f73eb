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
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import Figure
from localaml.clock import RealClock
from localaml.jobs.mount_view import MountViews
from localaml.storage.s3 import S3Store
from localaml.storage.s3_client import S3Account

_PARALLEL = 8
# What one of the two does before it is the other's turn.
_TURN = 500
_PREFIX = "localaml/bench-store/"
_SERVER = """
import sys
from localaml.storage.moto_cloud import MotoCloud
cloud = MotoCloud(0, 8 << 30)
print(cloud.endpoint, flush=True)
sys.stdin.read()
cloud.close()
"""
_GOAL = "within twice boto3's time"


def measure(small_files: int, large_mib: int) -> list[Figure]:
    """Uploads, lists, mounts and downloads on S3.

    Args:
        small_files: how many files of 4 KiB.
        large_mib: size of the large file. moto keeps it in memory, twice.
    """
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
    small, large, back = folder / "small", folder / "large", folder / "back"
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
    views = MountViews(store, folder / "views", folder / "control", RealClock())
    ours = await _time(lambda: views.mount(_PREFIX, "many", adopt=False, notes=[]))
    figures.append(_figure(f"S3: mount {count} files of 4 KiB", count / ours, "files/s", count / floor))

    with large.open("wb") as file:
        for _ in range(mib):
            file.write(b"y" * 2**20)
    memory = psutil.Process().memory_info().rss
    ours = await _time(lambda: store.put_file(_PREFIX + "large", large))
    grown = (psutil.Process().memory_info().rss - memory) / 2**20
    floor = _boto([""], lambda _: client.upload_file(str(large), "bench-boto3", "large"))
    figures.append(_figure(f"S3: {mib} MiB up", mib / ours, "MiB/s", mib / floor, f"memory {grown:+.0f} MiB"))
    memory = psutil.Process().memory_info().rss
    ours = await _time(lambda: store.get_file(_PREFIX + "large", back / "large"))
    grown = (psutil.Process().memory_info().rss - memory) / 2**20
    floor = _boto([""], lambda _: client.download_file("bench-boto3", "large", str(back / "large")))
    note = f"memory {grown:+.0f} MiB; boto3 asks for ranges, for each of which moto reads the whole object"
    figures.append(_figure(f"S3: {mib} MiB down", mib / ours, "MiB/s", mib / floor, note))
    client.close()
    store.close()
    return figures


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


def _figure(name: str, value: float, unit: str, floor: float, note: str = "") -> Figure:
    return Figure(name, value, unit, floor, "boto3, 8 threads", _GOAL, value >= floor / 2, "", note)
