"""Work that several want is done once, and ends when nobody wants it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from localaml.compute.docker.shared_work import SharedWork


class Work:
    """Says a line at its begin and ends when it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.may_end = asyncio.Event()
        self.started = asyncio.Event()

    async def __call__(self, log: Callable[[str], None]) -> int:
        self.begun += 1
        log(f"begun {self.begun}")
        self.started.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        log("ended")
        return self.begun


async def test_everybody_gets_the_one_result_and_the_whole_log() -> None:
    shared, work = SharedWork[int](), Work()
    logs: list[list[str]] = [[], []]
    first = asyncio.ensure_future(shared.get("key", logs[0].append, work))
    await work.started.wait()
    second = asyncio.ensure_future(shared.get("key", logs[1].append, work))
    await asyncio.sleep(0)
    work.may_end.set()
    assert await asyncio.gather(first, second) == [1, 1]
    assert logs == [["begun 1", "ended"]] * 2
    assert await shared.get("key", logs[0].append, work) == 2


async def test_other_work_is_other_work() -> None:
    shared, one, two = SharedWork[int](), Work(), Work()
    one.may_end.set()
    two.may_end.set()
    await asyncio.gather(shared.get(1, str, one), shared.get(2, str, two))
    assert (one.begun, two.begun) == (1, 1)


async def test_who_leaves_does_not_take_it_from_the_others() -> None:
    shared, work = SharedWork[int](), Work()
    first = asyncio.ensure_future(shared.get("key", str, work))
    second = asyncio.ensure_future(shared.get("key", str, work))
    await work.started.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.may_end.set()
    assert await second == 1
    assert work.cancelled == 0


async def test_the_last_one_who_leaves_ends_it() -> None:
    shared, work = SharedWork[int](), Work()
    tasks = [asyncio.ensure_future(shared.get("key", str, work)) for _ in range(2)]
    await work.started.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert (work.begun, work.cancelled) == (1, 1)
    work.may_end.set()
    assert await shared.get("key", str, work) == 2


async def test_failures_are_everybodys() -> None:
    shared = SharedWork[int]()

    async def fail(log: Callable[[str], None]) -> int:
        raise ValueError("no")

    answers = await asyncio.gather(*(shared.get("key", str, fail) for _ in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["no"] * 3
