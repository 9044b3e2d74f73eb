"""`RemoteStore`: objects in the buckets of a cloud. What clouds have in common; a `Driver` says what is different.

Which bucket an object is in says `bucket_names`. Buckets are made when something is first written to them. An object
appears whole or not at all: no cloud shows a write that was cut off, nor parts without their completion.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument, LocalAmlError, NotFound
from localaml.storage.bucket_names import Place
from localaml.storage.disk import check_key
from localaml.storage.files import copy_to_file, open_source
from localaml.storage.object_store import ObjectInfo
from localaml.storage.part_senders import PartSenders
from localaml.storage.remote_folders import RemoteFolders
from localaml.storage.remote_streams import RemoteReader, RemoteWriter
from localaml.storage.retrying import Patience
from localaml.storage.safe_tree import not_found
from localaml.storage.taking import check_same, let_go

if TYPE_CHECKING:
    from localaml.storage.driver import Driver, Entry, Unfinished

_CHUNK = 1024 * 1024
_PAGE = 1000
_THREADS = 16
# A listing goes on at least with so many: some of what is listed may be left out.
_SMALLEST_PAGE = 50
# From so many objects on that are asked for at once, and lie close together, a listing is quicker than asking for each.
_WORTH_LISTING = 8
# Where one of these is in a name, some clouds list it (by UTF-16) in another place than Python sorts it.
_LISTED_DIFFERENTLY = re.compile("[\ud800-\U0010ffff]")
_T = TypeVar("_T")


class RemoteStore:
    """An `ObjectStore` in a cloud.

    Args:
        driver: the cloud.
        patience_seconds: how long it may be away before callers are told.
    """

    def __init__(self, driver: Driver, *, patience_seconds: float = 60.0) -> None:
        self.driver = driver
        self.names = driver.names
        self.patience = Patience(patience_seconds, driver.is_transient)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="object-store")
        self.parts = PartSenders()
        self.folders = RemoteFolders(self)

    def close(self) -> None:
        """Ends waiting and closes connections. Idempotent."""
        self.patience.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        # After the writers, which wait for their parts.
        self.parts.close()
        self.driver.close()

    # -- one object ---------------------------------------------------------------------------------------------------

    async def open_writer(self, key: str) -> RemoteWriter:
        return RemoteWriter(self, check_key(key))

    async def open_reader(self, key: str) -> RemoteReader:
        check_key(key)
        return await self.in_thread(lambda: RemoteReader.open(self, key))

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        reader = await self.open_reader(key)
        try:
            size = reader.info.size_bytes
            end = size if end is None else min(end, size)
            while start < end:
                buffer = bytearray(min(_CHUNK, end - start))
                count = await self.in_thread(partial(reader.read_into, memoryview(buffer), start))
                start += count
                yield bytes(buffer[:count])
        finally:
            reader.close()

    async def stat(self, key: str) -> ObjectInfo:
        check_key(key)
        return await self.in_thread(lambda: self.head(key))

    async def stat_many(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        wanted: Sequence[str] = sorted({check_key(key) for key in keys})
        found: dict[str, ObjectInfo] = {}
        if len(wanted) >= _WORTH_LISTING:
            found, wanted = await self.in_thread(partial(self._look_for, wanted))

        def head(key: str) -> None:
            with suppress(NotFound):
                found[key] = self.head(key)

        await asyncio.gather(*(self.in_thread(partial(head, key)) for key in wanted))
        return found

    async def put_file(self, key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        check_key(key)
        return await self.in_thread(lambda: self._put_file(key, source, move))

    async def get_file(self, key: str, target: Path) -> None:
        check_key(key)

        def get() -> None:
            with RemoteReader.open(self, key) as reader:
                copy_to_file(reader, target)

        await self.in_thread(get)

    async def copy(self, source: str, key: str) -> ObjectInfo:
        return await self.in_thread(lambda: self._copy(check_key(source), check_key(key)))

    async def delete(self, key: str) -> None:
        place = self.names.place(check_key(key))

        def delete() -> None:
            with suppress(NotFound):
                self.ask("remove an object", key, lambda: self.driver.delete(place))

        await self.in_thread(delete)

    # -- many objects -------------------------------------------------------------------------------------------------

    async def list(self, prefix: str, start_after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        if limit <= 0:
            return []
        return await self.in_thread(lambda: list(islice(self._iterate(prefix, start_after, limit), limit)))

    async def delete_prefix(self, prefix: str) -> int:
        return await self.in_thread(lambda: self._delete_prefix(prefix))

    def local_folder(self, prefix: str) -> Path | None:
        return None

    # -- uploads that nobody completed --------------------------------------------------------------------------------

    async def unfinished(self, prefix: str) -> Sequence[tuple[str, Unfinished]]:
        """Uploads in parts that were begun below a prefix of one bucket, with the keys that they were to have."""
        return await self.in_thread(lambda: self._unfinished(prefix))

    async def abort(self, key: str, upload: Unfinished) -> None:
        """Removes the parts; an upload that is over meanwhile is fine."""
        place = self.names.place(key)

        def abort() -> None:
            with suppress(NotFound):
                self.ask("abort an upload", key, lambda: self.driver.abort(place, upload.upload))

        await self.in_thread(abort)

    # -- the same, blocking: also for readers and writers -------------------------------------------------------------

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def ask(self, what: str, key: str, call: Callable[[], _T]) -> _T:
        """The answer to one request; while the store is away it is repeated.

        Raises NotFound, Unavailable, PermissionDenied, ResourceExhausted, FailedPrecondition.
        """
        try:
            return self.patience.call(call, what)
        except LocalAmlError:
            raise
        except Exception as error:
            if self.driver.is_missing(error):
                raise not_found(key) from None
            raise self.driver.refused(error, what) from error

    def head(self, key: str) -> ObjectInfo:
        place = self.names.place(key)
        found = self.ask("look an object up", key, lambda: self.driver.head(place))
        return ObjectInfo(key, found.size_bytes, found.modified_at)

    def write(self, what: str, key: str, call: Callable[[], _T]) -> _T:
        """`ask` for the first request of a write: makes the bucket when there is none."""
        bucket = self.names.place(key).bucket
        try:
            return self.ask(what, key, call)
        except NotFound:
            self._make_bucket(bucket)
            return self.ask(what, key, call)

    def _make_bucket(self, bucket: str) -> None:
        self.ask(f"make the bucket {bucket!r}", bucket, lambda: self.driver.make_bucket(bucket))

    def _put_file(self, key: str, source: Path, move: bool) -> ObjectInfo:
        writer = RemoteWriter(self, key)
        digest = hashlib.sha256()
        try:
            with open_source(source) as file:
                left = file.size
                # What is there now: the file may be growing.
                while left and (data := file.read(min(_CHUNK, left))):
                    digest.update(data)
                    writer.write_blocking(data)
                    left -= len(data)
                if move:
                    check_same(source, file.status, source)
                info = writer.commit_blocking()
                if move:
                    let_go(source, file.status)
        except BaseException:
            writer.discard_blocking()
            raise
        return replace(info, sha256=digest.hexdigest())

    def _copy(self, source: str, key: str) -> ObjectInfo:
        self.head(source)
        self.folders.check(key)
        origin, place = self.names.place(source), self.names.place(key)
        self.write("copy an object", key, lambda: self.driver.copy(origin, place))
        self.folders.written(key)
        return self.head(key)

    def _look_for(self, keys: Sequence[str]) -> tuple[dict[str, ObjectInfo], Sequence[str]]:
        """Lists where sorted keys lie. Returns those that are there, and those that the listing did not come to: it is
        given up where there is too much between them."""
        prefix = os.path.commonprefix(keys)  # noqa: RUF071 - of strings, as stores mean it
        found: dict[str, ObjectInfo] = {}
        if self.names.prefix_place(prefix) is None or any(_LISTED_DIFFERENTLY.search(key) for key in keys):
            return found, keys
        missing, budget, last = set(keys), len(keys) + _PAGE, ""
        # A word before the first key, and as little as possible before it.
        for info in islice(self._iterate(prefix, keys[0][:-1] if keys[0] > prefix else "", budget), budget):
            if info.key > keys[-1]:
                return found, []
            if info.key in missing:
                found[info.key] = info
            budget -= 1
            last = info.key
        return found, [key for key in keys if key > last] if budget == 0 else []

    # -- listing ------------------------------------------------------------------------------------------------------

    def _iterate(self, prefix: str, start_after: str, limit: int) -> Iterator[ObjectInfo]:
        if any(part in ("", ".", "..") for part in prefix.split("/")[:-1]):
            return iter(())
        place = self.names.prefix_place(prefix)
        if place is not None:
            return self._keys(place, prefix[: len(prefix) - len(place.key)], start_after, limit)
        streams = []
        for bucket in self._all_buckets():
            base = self.names.key_prefix(bucket)
            if base is not None and (base.startswith(prefix) or prefix.startswith(base)):
                streams.append(self._keys(Place(bucket, prefix[len(base) :]), base, start_after, limit))
        return merge(*streams, key=lambda info: info.key)

    def _keys(self, place: Place, base: str, start_after: str, limit: int) -> Iterator[ObjectInfo]:
        """The objects of one bucket; those whose names could not be keys are left out."""
        after = ""
        if start_after.startswith(base):
            after = start_after[len(base) :]
        elif start_after > base:
            return
        for name, size, modified_at in self.entries(place.bucket, place.key, after, limit):
            key = base + name
            if self.names.place(key).bucket == place.bucket and _is_key(key):
                yield ObjectInfo(key, size, modified_at)

    def entries(self, bucket: str, prefix: str, after: str, limit: int) -> Iterator[Entry]:
        """What the bucket has; nothing when it is not there. `limit`: how many the caller is going to take."""
        left = limit
        while True:
            ask = partial(self.driver.page, bucket, prefix, after, max(1, min(left, _PAGE)))
            try:
                page = self.ask("list objects", bucket, ask)
            except NotFound:
                return
            yield from page.entries
            if not page.next_after:
                return
            after = page.next_after
            left = max(_SMALLEST_PAGE, left - len(page.entries))

    def _unfinished(self, prefix: str) -> Sequence[tuple[str, Unfinished]]:
        place = self.names.prefix_place(prefix)
        if place is None:
            return ()
        base = prefix[: len(prefix) - len(place.key)]
        try:
            found = self.ask("list uploads", prefix, lambda: self.driver.unfinished(place.bucket, place.key))
        except NotFound:
            return ()
        return [(base + each.name, each) for each in found if self.names.place(base + each.name).bucket == place.bucket]

    def _all_buckets(self) -> Sequence[str]:
        return self.ask("list buckets", "", self.driver.buckets)

    def _delete_prefix(self, prefix: str) -> int:
        count = 0
        while found := list(islice(self._iterate(prefix, "", _PAGE), _PAGE)):
            by_bucket: dict[str, Any] = {}
            for info in found:
                bucket, name = self.names.place(info.key)
                by_bucket.setdefault(bucket, []).append(name)
            for bucket, keys in by_bucket.items():
                self.ask("remove objects", bucket, partial(self.driver.delete_many, bucket, keys))
            count += len(found)
        place = self.names.prefix_place(prefix)
        if place is not None and not place.key and place.bucket.startswith("azureml-"):
            # The container of a workspace that is gone. One that holds something else stays.
            with suppress(Exception):
                self.driver.remove_bucket(place.bucket)
        return count


def _is_key(key: str) -> bool:
    try:
        return check_relative_path(key) == key
    except InvalidArgument:
        return False
