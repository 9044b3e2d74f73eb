"""Following files that grow, move, and are not there yet."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from localaml.jobs import file_watcher
from localaml.jobs.file_watcher import FileWatcher
from localaml.jobs.log_follow import CHUNK_BYTES, follow_file

DEADLINE_SECONDS = 30.0


class Log:
    """A log and its follower, driven step by step."""

    def __init__(self, path: Path, watcher: FileWatcher) -> None:
        self.path: Path | None = path
        self.over = False
        self.seen = b""
        self.chunks: list[int] = []
        self.grown = asyncio.Event()
        self._change = asyncio.Event()
        self._watcher = watcher

    def end(self) -> None:
        self.over = True
        self._change.set()

    async def changed(self) -> None:
        await self._change.wait()
        self._change.clear()

    async def follow(self, offset: int = 0) -> None:
        """Collects what comes, and checks that it has no gaps."""
        expected = offset
        found = follow_file(lambda: self.path, offset, lambda: self.over, self.changed, watcher=self._watcher)
        async for start, chunk in found:
            assert start == expected and 0 < len(chunk) <= CHUNK_BYTES
            expected += len(chunk)
            self.seen += chunk
            self.chunks.append(len(chunk))
            self.grown.set()

    async def more(self) -> None:
        """Returns when a chunk has come since the last call."""
        await asyncio.wait_for(self.grown.wait(), DEADLINE_SECONDS)
        self.grown.clear()

    async def until(self, length: int) -> None:
        while len(self.seen) < length:
            await self.more()


@pytest.fixture(params=["inotify", "polling"])
async def watcher(request: pytest.FixtureRequest) -> AsyncIterator[FileWatcher]:
    watcher = FileWatcher(use_inotify=request.param == "inotify")
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield watcher
    watcher.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.fixture
def log(tmp_path: Path, watcher: FileWatcher) -> Log:
    return Log(tmp_path / "log.txt", watcher)


async def _finish(task: asyncio.Task[None]) -> None:
    await asyncio.wait_for(task, DEADLINE_SECONDS)


async def test_an_ended_log(log: Log) -> None:
    assert log.path
    content = os.urandom(3 * CHUNK_BYTES + 17)
    log.path.write_bytes(content)
    log.over = True
    await asyncio.wait_for(log.follow(5), DEADLINE_SECONDS)
    assert log.seen == content[5:]
    assert log.chunks[:3] == [CHUNK_BYTES] * 3


async def test_a_log_that_never_comes(log: Log) -> None:
    task = asyncio.create_task(log.follow())
    await asyncio.sleep(0)
    log.end()
    await _finish(task)
    assert log.seen == b""


async def test_a_log_that_grows(log: Log) -> None:
    assert log.path
    task = asyncio.create_task(log.follow())
    # Not there yet; then there and empty; then line by line.
    await asyncio.sleep(0)
    with log.path.open("ab", buffering=0) as file:
        for number in range(20):
            file.write(b"line %02d\n" % number)
            await log.until((number + 1) * 8)
    log.end()
    await _finish(task)
    assert log.seen == log.path.read_bytes()


async def test_the_last_words_are_not_missed(log: Log) -> None:
    assert log.path
    for number in range(50):
        log.seen, log.over = b"", False
        log.path.write_bytes(b"first")
        task = asyncio.create_task(log.follow())
        await log.until(5)
        with log.path.open("ab") as file:
            file.write(b" and last %d" % number)
        log.end()
        await _finish(task)
        assert log.seen == b"first and last %d" % number


async def test_a_log_that_is_moved(log: Log, tmp_path: Path) -> None:
    assert log.path
    with log.path.open("ab", buffering=0) as file:
        file.write(b"before ")
        task = asyncio.create_task(log.follow())
        await log.until(7)
        log.path = log.path.rename(tmp_path / "artifact")
        file.write(b"after ")
        await log.until(13)
        log.path.unlink()
        file.write(b"gone")
        await log.until(17)
    log.end()
    await _finish(task)
    assert log.seen == b"before after gone"


async def test_a_log_that_was_moved_before_the_first_look(log: Log, tmp_path: Path) -> None:
    log.path = None
    task = asyncio.create_task(log.follow())
    await asyncio.sleep(0)
    artifact = tmp_path / "artifact"
    artifact.write_bytes(b"all of it")
    log.path = artifact
    log.end()
    await _finish(task)
    assert log.seen == b"all of it"


async def test_an_offset_beyond_the_end_is_waited_for(log: Log) -> None:
    assert log.path
    log.path.write_bytes(b"12345")
    task = asyncio.create_task(log.follow(8))
    with log.path.open("ab", buffering=0) as file:
        file.write(b"678")
        file.write(b"9")
        await log.until(1)
    log.end()
    await _finish(task)
    assert log.seen == b"9"


async def test_several_followers_of_one_log(tmp_path: Path, watcher: FileWatcher) -> None:
    logs = [Log(tmp_path / "log.txt", watcher) for _ in range(5)]
    tasks = [asyncio.create_task(log.follow()) for log in logs]
    with (tmp_path / "log.txt").open("ab", buffering=0) as file:
        for length in range(1, 30):
            file.write(b"x")
            for log in logs:
                await log.until(length)
            if length == 10:
                tasks[0].cancel()
                await asyncio.gather(tasks[0], return_exceptions=True)
                logs, tasks = logs[1:], tasks[1:]
    for log, task in zip(logs, tasks, strict=True):
        log.end()
        await _finish(task)
        assert log.seen == b"x" * 29


async def test_a_watcher_of_its_own(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    path = tmp_path / "log.txt"
    path.write_bytes(b"x")

    async def never() -> None:
        await asyncio.Event().wait()

    found = follow_file(lambda: path, 0, lambda: False, never)
    assert await anext(found) == (0, b"x")
    await found.aclose()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_no_inotify_instance_left(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        def inotify_init1(self, flags: int) -> int:
            return -1

    monkeypatch.setattr(file_watcher.ctypes, "CDLL", lambda *_, **__: Exhausted())
    assert log.path
    task = asyncio.create_task(log.follow())
    with log.path.open("ab", buffering=0) as file:
        for length in (1, 2, 3):
            file.write(b"x")
            await log.until(length)
    log.end()
    await _finish(task)


async def test_lines_are_seen_soon(tmp_path: Path) -> None:
    """Printed by another process every 5 ms: 95 of 100 lines are here within 20 ms."""
    path = tmp_path / "log.txt"
    script = "import time\nfor _ in range(200): print(time.time(), flush=True); time.sleep(0.005)"
    with path.open("ab") as output:
        process = subprocess.Popen([sys.executable, "-c", script], stdout=output)
    log = Log(path, FileWatcher())
    task = asyncio.create_task(log.follow())
    delays: list[float] = []
    while len(delays) < 200:
        await log.more()
        now = time.time()
        delays += [now - float(line) for line in log.seen.split(b"\n")[len(delays) : -1]]
    assert process.wait() == 0
    log.end()
    await _finish(task)
    assert sorted(delays)[189] < 0.02


async def test_a_busy_writer_is_read_in_large_chunks(tmp_path: Path) -> None:
    """50,000 lines, each in a write of its own: no loss, and far fewer chunks than lines."""
    path = tmp_path / "log.txt"
    script = "import os\nfor number in range(50000): os.write(1, b'line %d\\n' % number)"
    with path.open("ab") as output:
        process = subprocess.Popen([sys.executable, "-c", script], stdout=output)
    log = Log(path, FileWatcher())
    task = asyncio.create_task(log.follow())
    while not log.seen.endswith(b"line 49999\n"):
        await log.more()
    assert process.wait() == 0
    log.end()
    await _finish(task)
    assert log.seen == b"".join(b"line %d\n" % number for number in range(50000))
    assert len(log.chunks) < 1000
