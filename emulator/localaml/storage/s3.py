"""`S3Store`: objects in the buckets of S3, or of anything that speaks S3 (moto, LocalStack, MinIO, SeaweedFS).

Which bucket an object is in says `bucket_names`. Buckets are made when something is first written to them. An object
appears whole or not at all: S3 shows neither a PUT that was cut off nor parts without their completion.

boto3 is asked for when a store is made, and by nobody else: it is an extra, and takes long to import.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument, LocalAmlError, NotFound
from localaml.storage.bucket_names import S3_NAMES, Place
from localaml.storage.disk import check_key
from localaml.storage.files import copy_to_file, open_source
from localaml.storage.object_store import ObjectInfo
from localaml.storage.retrying import Patience
from localaml.storage.s3_errors import code_of, is_missing, is_transient, refused
from localaml.storage.s3_streams import S3Reader, S3Writer
from localaml.storage.safe_tree import conflict, not_found

if TYPE_CHECKING:
    from localaml.storage.s3_client import S3Account

_CHUNK = 1024 * 1024
_PAGE = 1000
_THREADS = 16
# Folders that are known to be no objects, so that not every write has to look.
_KNOWN_FOLDERS = 20_000
_T = TypeVar("_T")


class S3Store:
    """An `ObjectStore` on S3.

    Args:
        account: where it is, and who we are there.
        patience_seconds: how long it may be away before callers are told.
    """

    def __init__(self, account: S3Account, *, patience_seconds: float = 60.0) -> None:
        self.account = account
        self.client: Any = account.client()
        self.patience = Patience(patience_seconds, is_transient)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="object-store")
        self._lock = threading.Lock()
        self._buckets: set[str] = set()
        self._folders: OrderedDict[str, None] = OrderedDict()

    def close(self) -> None:
        """Ends waiting and closes connections. Idempotent."""
        self.patience.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.client.close()

    # -- one object ---------------------------------------------------------------------------------------------------

    async def open_writer(self, key: str) -> S3Writer:
        return S3Writer(self, check_key(key))

    async def open_reader(self, key: str) -> S3Reader:
        check_key(key)
        return await self.in_thread(lambda: S3Reader.open(self, key))

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

    async def put_file(self, key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        check_key(key)
        return await self.in_thread(lambda: self._put_file(key, source, move))

    async def get_file(self, key: str, target: Path) -> None:
        check_key(key)

        def get() -> None:
            with S3Reader.open(self, key) as reader:
                copy_to_file(reader, target)

        await self.in_thread(get)

    async def copy(self, source: str, key: str) -> ObjectInfo:
        return await self.in_thread(lambda: self._copy(check_key(source), check_key(key)))

    async def delete(self, key: str) -> None:
        place = S3_NAMES.place(check_key(key))

        def delete() -> None:
            with suppress(NotFound):
                self.ask("remove an object", key, lambda: self.client.delete_object(Bucket=place.bucket, Key=place.key))

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
            if is_missing(error):
                raise not_found(key) from None
            raise refused(error, what) from error

    def head(self, key: str) -> ObjectInfo:
        place = S3_NAMES.place(key)
        found = self.ask("look an object up", key, lambda: self.client.head_object(Bucket=place.bucket, Key=place.key))
        return ObjectInfo(key, found["ContentLength"], found["LastModified"])

    def write(self, what: str, key: str, call: Callable[[], _T]) -> _T:
        """`ask` for the first request of a write: makes the bucket when there is none."""
        bucket = S3_NAMES.place(key).bucket
        try:
            return self.ask(what, key, call)
        except NotFound:
            self._make_bucket(bucket)
            return self.ask(what, key, call)

    def check_conflicts(self, key: str) -> None:
        """Raises FailedPrecondition when what is there would make the key a file and a folder at once.

        S3 would take it; but it could not be mounted, nor downloaded.
        """
        place = S3_NAMES.place(key)
        base = key[: len(key) - len(place.key)]
        parts = place.key.split("/")
        for depth in range(len(parts) - 1, 0, -1):
            above = base + "/".join(parts[:depth])
            with self._lock:
                if above in self._folders:
                    self._folders.move_to_end(above)
                    break
            with suppress(NotFound):
                self.head(above)
                raise conflict(key, above, "a file or a link")
        if next(self._pages(place.bucket, place.key + "/", "", 1), None) is not None:
            raise conflict(key, key, "a folder")

    def written(self, key: str) -> None:
        """Notes that an object is there now."""
        with self._lock:
            self._folders.pop(key, None)
            parts = key.split("/")
            for depth in range(1, len(parts)):
                self._folders["/".join(parts[:depth])] = None
            while len(self._folders) > _KNOWN_FOLDERS:
                self._folders.popitem(last=False)

    def _make_bucket(self, bucket: str) -> None:
        arguments: dict[str, Any] = {"Bucket": bucket}
        if self.account.region != "us-east-1":
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self.account.region}
        try:
            self.patience.call(lambda: self.client.create_bucket(**arguments), "make a bucket")
        except Exception as error:
            # Somebody else was quicker, or our own request that seemed lost was not.
            if code_of(error) not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise refused(error, f"make the bucket {bucket!r}") from error
            if code_of(error) == "BucketAlreadyExists":
                self.ask(f"use the bucket {bucket!r}", bucket, lambda: self.client.head_bucket(Bucket=bucket))

    def _put_file(self, key: str, source: Path, move: bool) -> ObjectInfo:
        writer = S3Writer(self, key)
        try:
            with open_source(source) as file:
                left = file.size
                # What is there now: the file may be growing.
                while left and (data := file.read(min(_CHUNK, left))):
                    writer.write_blocking(data)
                    left -= len(data)
            info = writer.commit_blocking()
        except BaseException:
            writer.discard_blocking()
            raise
        if move:
            source.unlink()
        return info

    def _copy(self, source: str, key: str) -> ObjectInfo:
        self.head(source)
        self.check_conflicts(key)
        origin, place = S3_NAMES.place(source), S3_NAMES.place(key)
        # boto3's own: in parts when the object is too large for one request.
        self.write(
            "copy an object",
            key,
            lambda: self.client.copy({"Bucket": origin.bucket, "Key": origin.key}, place.bucket, place.key),
        )
        self.written(key)
        return self.head(key)

    # -- listing ------------------------------------------------------------------------------------------------------

    def _iterate(self, prefix: str, start_after: str, limit: int) -> Iterator[ObjectInfo]:
        if any(part in ("", ".", "..") for part in prefix.split("/")[:-1]):
            return iter(())
        place = S3_NAMES.prefix_place(prefix)
        if place is not None:
            return self._keys(place, prefix[: len(prefix) - len(place.key)], start_after, limit)
        streams = []
        for bucket in self._all_buckets():
            base = S3_NAMES.key_prefix(bucket)
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
        for found in self._pages(place.bucket, place.key, after, limit):
            key = base + found["Key"]
            if S3_NAMES.place(key).bucket == place.bucket and _is_key(key):
                yield ObjectInfo(key, found["Size"], found["LastModified"])

    def _pages(self, bucket: str, prefix: str, after: str, limit: int) -> Iterator[dict[str, Any]]:
        while True:
            arguments = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": max(1, min(limit, _PAGE))}
            if after:
                arguments["StartAfter"] = after
            ask = partial(self.client.list_objects_v2, **arguments)
            try:
                page = self.ask("list objects", bucket, ask)
            except NotFound:
                return
            yield from page.get("Contents", ())
            if not page.get("IsTruncated"):
                return
            after = page["Contents"][-1]["Key"]

    def _all_buckets(self) -> Sequence[str]:
        answer = self.ask("list buckets", "", self.client.list_buckets)
        return [bucket["Name"] for bucket in answer.get("Buckets", ())]

    def _delete_prefix(self, prefix: str) -> int:
        count = 0
        while found := list(islice(self._iterate(prefix, "", _PAGE), _PAGE)):
            by_bucket: dict[str, Any] = {}
            for info in found:
                bucket, name = S3_NAMES.place(info.key)
                by_bucket.setdefault(bucket, []).append(name)
            for bucket, keys in by_bucket.items():
                wish = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
                ask = partial(self.client.delete_objects, Bucket=bucket, Delete=wish)
                answer = self.ask("remove objects", bucket, ask)
                if errors := answer.get("Errors"):
                    raise refused(RuntimeError(errors[0].get("Message", "")), f"remove {errors[0].get('Key')!r}")
            count += len(found)
        place = S3_NAMES.prefix_place(prefix)
        if place is not None and not place.key and place.bucket.startswith("azureml-"):
            # The container of a workspace that is gone. One that holds something else stays: S3 refuses.
            with suppress(Exception):
                self.client.delete_bucket(Bucket=place.bucket)
        return count


def _is_key(key: str) -> bool:
    try:
        return check_relative_path(key) == key
    except InvalidArgument:
        return False
