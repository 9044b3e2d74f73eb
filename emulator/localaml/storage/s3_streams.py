"""Reading and writing one object on S3, in little memory."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from localaml.errors import FailedPrecondition
from localaml.storage.bucket_names import S3_NAMES
from localaml.storage.object_store import ObjectInfo
from localaml.storage.s3_errors import code_of, is_missing, refused, status_of
from localaml.storage.safe_tree import not_found

if TYPE_CHECKING:
    from types import TracebackType

    from localaml.storage.s3 import S3Store

_PART = 8 * 1024 * 1024
# S3 takes 10,000 parts: they grow, so that 5 TiB fit.
_PARTS_OF_A_SIZE = 1000
# Objects up to this size are read at once: no second request, and no waiting where nobody may wait.
_WHOLE = 1024 * 1024
_SKIP = 256 * 1024


class S3Writer:
    """An `ObjectWriter`: one PUT for what is small, else parts of 8 MiB and more, made an object by `commit`."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._store = store
        self._key = key
        self._place = S3_NAMES.place(key)
        # A caller may be cancelled while a thread still writes for it.
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._size = 0
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []
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
            self._store.check_conflicts(self._key)
            if self._upload is None:
                answer = self._put(bytes(self._buffer))
            else:
                if self._buffer:
                    self._send_part(bytes(self._buffer))
                answer = self._complete()
            self._ended = True
            self._buffer.clear()
        self._store.written(self._key)
        return ObjectInfo(self._key, self._size, _date(answer) or self._store.head(self._key).modified_at)

    async def discard(self) -> None:
        await self._store.in_thread(self.discard_blocking)

    def discard_blocking(self) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._buffer.clear()
            if self._upload is not None:
                # Nobody sees the parts; `localaml storage fsck` finds those that stay when this fails.
                with suppress(Exception):
                    self._store.client.abort_multipart_upload(UploadId=self._upload, **self._where)

    @property
    def _where(self) -> dict[str, str]:
        return {"Bucket": self._place.bucket, "Key": self._place.key}

    def _put(self, data: bytes) -> Any:
        client = self._store.client
        return self._store.write("store an object", self._key, lambda: client.put_object(Body=data, **self._where))

    def _send_part(self, data: bytes) -> None:
        client, store = self._store.client, self._store
        if self._upload is None:
            begun = store.write(
                "begin an upload",
                self._key,
                lambda: client.create_multipart_upload(ChecksumAlgorithm="CRC32", **self._where),
            )
            self._upload = begun["UploadId"]
        number = len(self._parts) + 1
        answer = store.ask(
            "store a part of an object",
            self._key,
            lambda: client.upload_part(
                UploadId=self._upload, PartNumber=number, Body=data, ChecksumAlgorithm="CRC32", **self._where
            ),
        )
        part = {"PartNumber": number, "ETag": answer["ETag"]}
        if "ChecksumCRC32" in answer:
            part["ChecksumCRC32"] = answer["ChecksumCRC32"]
        self._parts.append(part)

    def _complete(self) -> Any:
        client = self._store.client

        def complete() -> Any:
            try:
                return client.complete_multipart_upload(
                    UploadId=self._upload, MultipartUpload={"Parts": self._parts}, **self._where
                )
            except client.exceptions.ClientError as error:
                # The answer to our first try was lost, and it had worked.
                if code_of(error) != "NoSuchUpload" or self._store.head(self._key).size_bytes != self._size:
                    raise
                return {}

        return self._store.ask("complete an upload", self._key, complete)


class S3Reader:
    """An `ObjectReader`: what is small is read at once, the rest streams and goes on where a connection was lost.

    An object that is replaced while it is read gives an error, never bytes of both.
    """

    def __init__(self, store: S3Store, key: str, answer: dict[str, Any]) -> None:
        self._store = store
        self._key = key
        self._place = S3_NAMES.place(key)
        self._tag = answer["ETag"]
        self.info = ObjectInfo(key, answer["ContentLength"], answer["LastModified"])
        self.version = f"{self._tag.strip(chr(34))}-{answer['LastModified'].timestamp():.0f}"
        self._whole: bytes | None = None
        self._body: Any = answer["Body"]
        self._at = 0

    @classmethod
    def open(cls, store: S3Store, key: str) -> S3Reader:
        """Raises NotFound, and what `S3Store.ask` raises."""
        place = S3_NAMES.place(key)

        def begin() -> S3Reader:
            reader = cls(store, key, store.client.get_object(Bucket=place.bucket, Key=place.key))
            if reader.info.size_bytes <= _WHOLE:
                reader._whole = reader._body.read()
                reader.close()
            return reader

        return store.ask("read an object", key, begin)

    @property
    def is_at_hand(self) -> bool:
        return self._whole is not None

    def __enter__(self) -> S3Reader:
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
                self._seek(offset)
                data = self._body.read(count)
                if data:
                    break
                raise self._broken_off()
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

    def _seek(self, offset: int) -> None:
        if self._body is not None and 0 < offset - self._at <= _SKIP:
            while self._at < offset and (skipped := self._body.read(offset - self._at)):
                self._at += len(skipped)
        if self._body is not None and self._at == offset:
            return
        self.close()
        answer = self._store.client.get_object(
            Bucket=self._place.bucket, Key=self._place.key, Range=f"bytes={offset}-", IfMatch=self._tag
        )
        self._body, self._at = answer["Body"], offset

    def _broken_off(self) -> Exception:
        from botocore.exceptions import IncompleteReadError

        error: Exception = IncompleteReadError(actual_bytes=self._at, expected_bytes=self.info.size_bytes)
        return error

    def _check_known(self, error: Exception) -> None:
        """Raises our own error for one that no waiting mends."""
        if is_missing(error):
            raise not_found(self._key, " any more") from None
        if type(error).__name__ == "FlexibleChecksumError":
            # What was given out before may be wrong as well.
            raise FailedPrecondition(
                "OBJECT_DAMAGED", f"The bytes of {self._key!r} do not fit to their checksum: read it again."
            ) from error
        if status_of(error) == 412:
            raise FailedPrecondition(
                "OBJECT_REPLACED", f"{self._key!r} was replaced while it was read: read it again from its start."
            ) from None
        if status_of(error) and status_of(error) < 500:
            raise refused(error, "read an object") from error


def _date(answer: dict[str, Any]) -> datetime | None:
    """When the store answered: it saves a request for the time that the object gets."""
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
