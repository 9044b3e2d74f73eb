"""Parts of large objects on their way to a cloud: beside each other, few in memory, none left behind."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localaml.errors import PermissionDenied
from localaml.storage.part_senders import PartSenders
from localaml.storage.s3 import S3Store
from localaml.storage.s3_client import S3Account

KEY = "localaml/my-container/large.bin"
PART = 8 * 1024 * 1024
SECONDS = 30


@pytest.fixture
def store(s3_account: S3Account) -> Iterator[S3Store]:
    made = S3Store(s3_account, patience_seconds=5)
    yield made
    made.close()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of five parts and a bit."""
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(5 * PART + 1))
    return path


def uploads(store: S3Store) -> list[Any]:
    client = store.account.client()
    try:
        found: list[Any] = client.list_multipart_uploads(Bucket="my-container").get("Uploads", [])
        return found
    finally:
        client.close()


async def test_parts_of_one_object_travel_beside_each_other_and_lie_in_order(
    store: S3Store, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting, send = threading.Barrier(2), store.driver.part

    def part(place: Any, upload: str, number: int, data: bytes) -> Any:
        if number <= 4:
            meeting.wait(SECONDS)  # for another one: breaks where they go one after the other
        return send(place, upload, number, data)

    monkeypatch.setattr(store.driver, "part", part)
    await store.put_file(KEY, large)
    await store.get_file(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()


async def test_an_object_whose_part_cannot_be_stored_is_not_there_and_leaves_no_parts(
    store: S3Store, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = store.driver.part

    def part(place: Any, upload: str, number: int, data: bytes) -> Any:
        if number == 2:
            raise PermissionDenied("TEST_REFUSED", "This part is not taken.")
        return send(place, upload, number, data)

    monkeypatch.setattr(store.driver, "part", part)
    with pytest.raises(PermissionDenied, match="This part is not taken"):
        await store.put_file(KEY, large)
    assert await store.list("localaml/my-container/") == []
    assert uploads(store) == []


async def test_what_is_discarded_ends_after_the_parts_that_are_under_way(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on, send = threading.Event(), threading.Event(), store.driver.part
    order: list[str] = []
    abort = store.driver.abort

    def part(place: Any, upload: str, number: int, data: bytes) -> Any:
        begun.set()
        assert may_go_on.wait(SECONDS)
        sent = send(place, upload, number, data)
        order.append("sent")
        return sent

    def end(place: Any, upload: str) -> None:
        order.append("aborted")
        abort(place, upload)

    monkeypatch.setattr(store.driver, "part", part)
    monkeypatch.setattr(store.driver, "abort", end)
    writer = await store.open_writer(KEY)
    await writer.write(bytes(PART + 1))
    assert begun.wait(SECONDS)
    discarding = asyncio.create_task(writer.discard())
    done, _ = await asyncio.wait([discarding], timeout=0.2)
    assert not done
    may_go_on.set()
    await discarding
    assert order == ["sent", "aborted"]
    assert uploads(store) == []


async def test_a_writer_holds_four_parts_at_most(store: S3Store, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on, send = threading.Event(), store.driver.part
    begun = threading.Semaphore(0)

    def part(place: Any, upload: str, number: int, data: bytes) -> Any:
        begun.release()
        assert may_go_on.wait(SECONDS)
        return send(place, upload, number, data)

    monkeypatch.setattr(store.driver, "part", part)
    putting = asyncio.create_task(store.put_file(KEY, large))
    for _ in range(3):
        assert await asyncio.to_thread(begun.acquire, True, SECONDS)
    assert not await asyncio.to_thread(begun.acquire, True, 0.3)
    may_go_on.set()
    assert (await putting).size_bytes == large.stat().st_size


def test_where_no_thread_is_free_the_caller_sends_it_itself() -> None:
    senders, may_go_on = PartSenders(2), threading.Event()
    try:
        others = [senders.send(lambda: may_go_on.wait(SECONDS) and threading.get_ident()) for _ in range(2)]
        mine = senders.send(threading.get_ident)
        assert mine.done()
        assert mine.result() == threading.get_ident()
        may_go_on.set()
        assert threading.get_ident() not in {other.result(SECONDS) for other in others}
        with pytest.raises(ZeroDivisionError):
            senders.send(lambda: 1 // 0).result(SECONDS)
        # Those that are done have made room, also the one that failed.
        assert senders.send(threading.get_ident).result(SECONDS) != threading.get_ident()
    finally:
        may_go_on.set()
        senders.close()
