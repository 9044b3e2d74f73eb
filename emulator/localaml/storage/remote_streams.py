"""Reading and writing one object in a cloud, in little memory."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from localaml.errors import FailedPrecondition
from localaml.storage.driver import Body, BrokenOff, Opened
from localaml.storage.object_store import ObjectInfo
from localaml.storage.safe_tree import not_found

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from localaml.storage.remote import RemoteStore

_PART = 8 * 1024 * 1024
# S3 takes 10,000 parts: they grow, so that 400 GiB fit.
_PARTS_OF_A_SIZE = 1000
# Of one object. One more is being filled meanwhile.
_PARTS_UNDER_WAY = 3
# Objects up to this size are read at once: no second request, and no waiting where nobody may wait.
_WHOLE = 1024 * 1024
_SKIP = 256 * 1024


class RemoteWriter:
    """An `ObjectWriter`: one PUT for what is small, else parts of 8 MiB and more, made an object by `commit`.

    While parts travel, what follows them is taken in already: a few parts at a time, of all writers together (`parts`).
    """

    def __init__(self, store: RemoteStore, key: str) -> None:
        self._store = store
        self._key = key
        self._place = store.names.place(key)
        # A caller may be cancelled while a thread still writes for it.
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._size = 0
        self._upload: str | None = None
        self._parts: list[Future[Any]] = []
        self._ended = False

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await self._store.in_thread(lambda: self.write_blocking(data))

    def write_blocking(self, data: bytes | bytearray | memoryview) -> None:
        with self._lock:
            assert not self._ended, "written after its end"
            self._buffer += data
            self._size += len(data)
            size = _PART * (1 + len(self._parts) // _PARTS_OF_A_SIZE)
            while len(self._buffer) > size:
                with memoryview(self._buffer) as view:
                    part = bytes(view[:size])
                self._send_part(part)
                del self._buffer[:size]

    async def commit(self) -> ObjectInfo:
        return await self._store.in_thread(self.commit_blocking)

    def commit_blocking(self) -> ObjectInfo:
        with self._lock:
            assert not self._ended, "ended twice"
            self._store.folders.check(self._key)
            if self._upload is None:
                written_at = self._put(bytes(self._buffer))
            else:
                if self._buffer:
                    self._send_part(bytes(self._buffer))
                written_at = self._complete()
            self._ended = True
            self._buffer.clear()
        self._store.folders.written(self._key)
        return ObjectInfo(self._key, self._size, written_at or self._store.head(self._key).modified_at)

    async def discard(self) -> None:
        await self._store.in_thread(self.discard_blocking)

    def discard_blocking(self) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._buffer.clear()
            # A part that came after the end of its upload would stay for ever.
            wait([part for part in self._parts if not part.cancel()])
            if self._upload is not None:
                # Nobody sees the parts. Those that stay when this fails, too, are for the bucket's rules to remove.
                with suppress(Exception):
                    self._store.driver.abort(self._place, self._upload)

    def _put(self, data: bytes) -> datetime | None:
        driver = self._store.driver
        return self._store.write("store an object", self._key, lambda: driver.put(self._place, data))

    def _send_part(self, data: bytes) -> None:
        driver, store = self._store.driver, self._store
        if self._upload is None:
            self._upload = store.write("begin an upload", self._key, lambda: driver.begin(self._place))
        ask = partial(driver.part, self._place, self._upload, len(self._parts) + 1, data)
        send = partial(store.ask, "store a part of an object", self._key, ask)
        under_way = [part for part in self._parts if not part.done()]
        if len(under_way) >= _PARTS_UNDER_WAY:
            wait(under_way, return_when=FIRST_COMPLETED)
        for part in self._parts:
            if part.done():
                part.result()  # its error, if it met one
        self._parts.append(store.parts.send(send))

    def _complete(self) -> datetime | None:
        parts = [part.result() for part in self._parts]
        ask = partial(self._store.driver.complete, self._place, self._upload or "", parts, self._size)
        return self._store.ask("complete an upload", self._key, ask)


class RemoteReader:
    """An `ObjectReader`: what is small is read at once, the rest streams and goes on where a connection was lost.

    An object that is replaced while it is read gives an error, never bytes of both.
    """

    def __init__(self, store: RemoteStore, key: str, opened: Opened) -> None:
        self._store = store
        self._key = key
        self._place = store.names.place(key)
        self._tag = opened.found.tag
        self.info = ObjectInfo(key, opened.found.size_bytes, opened.found.modified_at)
        self.version = f"{self._tag.strip(chr(34))}-{opened.found.modified_at.timestamp():.0f}"
        self._whole: bytes | None = None
        self._body: Body | None = opened.body
        self._at = 0

    @classmethod
    def open(cls, store: RemoteStore, key: str) -> RemoteReader:
        """Raises NotFound, and what `RemoteStore.ask` raises."""
        place = store.names.place(key)

        def begin() -> RemoteReader:
            opened = store.driver.open(place, 0, None)
            reader = cls(store, key, opened)
            size = reader.info.size_bytes
            if size <= _WHOLE:
                reader._whole = _all_of(opened.body, size)
                reader.close()
            return reader

        return store.ask("read an object", key, begin)

    @property
    def is_at_hand(self) -> bool:
        return self._whole is not None

    def __enter__(self) -> RemoteReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read_into(self, buffer: memoryview, offset: int) -> int:
        count = max(0, min(len(buffer), self.info.size_bytes - offset))
        if count == 0:
            return 0
        if self._whole is not None:
            buffer[:count] = self._whole[offset : offset + count]
            return count
        attempt = self._store.patience.begin("read an object")
        while True:
            try:
                data = self._seek(offset).read(count)
                if data:
                    break
                raise BrokenOff(self._at, self.info.size_bytes)
            except Exception as error:
                self.close()
                self._check_known(error)
                attempt.failed(error)
        self._at += len(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            with suppress(Exception):
                body.close()

    def _seek(self, offset: int) -> Body:
        if self._body is not None and 0 < offset - self._at <= _SKIP:
            while self._at < offset and (skipped := self._body.read(offset - self._at)):
                self._at += len(skipped)
        if self._body is None or self._at != offset:
            self.close()
            self._body = self._store.driver.open(self._place, offset, self._tag).body
            self._at = offset
        return self._body

    def _check_known(self, error: Exception) -> None:
        """Raises our own error for one that no waiting mends."""
        driver = self._store.driver
        if driver.is_missing(error):
            raise not_found(self._key, " any more") from None
        if driver.is_replaced(error):
            raise FailedPrecondition(
                "OBJECT_REPLACED", f"{self._key!r} was replaced while it was read: read it again from its start."
            ) from None
        if driver.is_damaged(error):
            # What was given out before may be wrong as well.
            raise FailedPrecondition(
                "OBJECT_DAMAGED", f"The bytes of {self._key!r} do not fit to their checksum: read it again."
            ) from error
        if not driver.is_transient(error):
            raise driver.refused(error, "read an object") from error


def _all_of(body: Body, size: int) -> bytes:
    """A whole body. Reads beyond its end, too: that is where checksums are looked at."""
    data = b""
    while piece := body.read(size + 1 - len(data)):
        data += piece
        if len(data) > size:
            break
    if len(data) != size:
        raise BrokenOff(len(data), size)
    return data
