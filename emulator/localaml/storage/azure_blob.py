"""`AzureBlobStore`: objects in an account of Azure Blob Storage, or of Azurite.

azure-storage-blob is asked for when a store is made, and by nobody else: it is an extra, and takes long to import.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localaml.errors import FailedPrecondition, LocalAmlError, PermissionDenied, disk_full
from localaml.storage.azure_marks import Marks, in_order
from localaml.storage.bucket_names import AZURE_NAMES, BucketNames, Place
from localaml.storage.driver import BrokenOff, Entry, Found, Opened, Page, Replaced, Unfinished, check_range
from localaml.storage.endpoints import has_secrets, without_secrets
from localaml.storage.remote import RemoteStore

# The account that every Azurite has; its key is public.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# The least that azure-storage-blob 12.19 and every Azurite since 2022 know.
_API_VERSION = "2021-12-02"
AZURITE_ENDPOINT = f"http://127.0.0.1:10000/{AZURITE_ACCOUNT}"
_CONNECT_SECONDS = 5
_READ_SECONDS = 60
# Of the library itself, for what is over at once and without waiting: that is `Patience`'s, which counts it.
_RETRIES = 2
_COPY_CHUNK = 8 * 1024 * 1024
_TRANSIENT_STATUS = (408, 429)
_FOR_GOOD = (501, 505, 507)


@dataclass(frozen=True, slots=True)
class AzureAccount:
    """A storage account.

    Attributes:
        endpoint: URL of its blob service.
        account_name, account_key: who we are there.
        sas_token: instead of a key.
        connection_string: instead of all of them.
        read_seconds: how long the next bytes of an answer may take.
    """

    endpoint: str = ""
    account_name: str = ""
    account_key: str = field(default="", repr=False)
    sas_token: str = field(default="", repr=False)
    connection_string: str = field(default="", repr=False)
    read_seconds: float = _READ_SECONDS

    def client(self) -> Any:
        """A `BlobServiceClient`. Raises FailedPrecondition ``EXTRA_MISSING``, ``AZURE_CREDENTIALS_INVALID``."""
        try:
            from azure.storage.blob import BlobServiceClient, LinearRetry
        except ImportError:
            raise FailedPrecondition(
                "EXTRA_MISSING",
                "Object stores on Azure Blob Storage need azure-storage-blob: install it with pip install "
                "'localaml[azure]'.",
            ) from None
        if has_secrets(self.endpoint):
            raise FailedPrecondition(
                "AZURE_CREDENTIALS_INVALID",
                f"The endpoint {without_secrets(self.endpoint)!r} was given with a user, a password or a signature: "
                "leave them out; an account has its key, its SAS token or its connection string.",
            )
        options: dict[str, Any] = {
            # Not the library's newest: Azurite refuses versions that are newer than itself.
            "api_version": _API_VERSION,
            "retry_policy": LinearRetry(backoff=0, retry_total=_RETRIES, random_jitter_range=0),
            "connection_timeout": _CONNECT_SECONDS,
            "read_timeout": self.read_seconds,
            "max_single_get_size": _COPY_CHUNK,
            "max_chunk_get_size": _COPY_CHUNK,
            # The library would send the bytes that we store to whatever host an answer names. Azure names none.
            "permit_redirects": False,
            # Every request on its own would be written to the log.
            "logging_enable": False,
        }
        try:
            if self.connection_string:
                return BlobServiceClient.from_connection_string(self.connection_string, **options)
            credential: Any = self.sas_token or None
            if self.account_key:
                credential = {"account_name": self.account_name, "account_key": self.account_key}
            return BlobServiceClient(self.endpoint, credential=credential, **options)
        except ValueError as error:
            raise FailedPrecondition(
                "AZURE_CREDENTIALS_INVALID", f"The Azure storage account cannot be used: {error}."
            ) from None


class AzureBlobStore(RemoteStore):
    """An `ObjectStore` on Azure Blob Storage.

    Args:
        account: where it is, and who we are there.
        names: which container an object is in.
        patience_seconds: how long it may be away before callers are told.
    """

    def __init__(
        self, account: AzureAccount, *, names: BucketNames = AZURE_NAMES, patience_seconds: float = 60.0
    ) -> None:
        self.account = account
        super().__init__(AzureDriver(account, names), patience_seconds=patience_seconds)


class _Body:
    """The bytes of a blob from an offset on, fetched a piece at a time, each of the same blob."""

    def __init__(self, client: Any, tag: str, offset: int, size: int, first: bytes = b"") -> None:
        self._client = client
        self._tag = tag
        self._at = offset
        self._size = size
        self._data = memoryview(first)

    def read(self, count: int, /) -> bytes:
        if not self._data and self._at < self._size:
            piece = _piece(self._client, self._tag, self._at, min(_COPY_CHUNK, self._size - self._at))
            self._data = memoryview(piece)
        data, self._data = bytes(self._data[:count]), self._data[count:]
        self._at += len(data)
        return data

    def close(self) -> None:
        self._data = memoryview(b"")


def _piece(client: Any, tag: str, offset: int, count: int) -> bytes:
    from azure.core import MatchConditions

    def look_at(response: Any) -> None:
        """The library fetches some MiB at a time; it looks at neither of these."""
        answer = response.http_response
        if answer.status_code not in (200, 206):
            return
        first, _, _ = response.http_request.headers["x-ms-range"].removeprefix("bytes=").partition("-")
        try:
            check_range(int(first), answer.status_code, answer.headers.get("Content-Range", ""))
            if answer.headers.get("ETag", "") != tag:
                raise Replaced
        except BaseException:
            answer.internal_response.close()
            raise

    options = {"etag": tag, "match_condition": MatchConditions.IfNotModified, "raw_response_hook": look_at}
    return bytes(client.download_blob(offset, count, **options).readall())


class AzureDriver:
    """A `Driver` with azure-storage-blob."""

    def __init__(self, account: AzureAccount, names: BucketNames) -> None:
        self.names = names
        self.client: Any = account.client()
        self._marks = Marks()

    def close(self) -> None:
        self.client.close()

    # -- one object ---------------------------------------------------------------------------------------------------

    def head(self, place: Place) -> Found:
        return _found(self._blob(place).get_blob_properties())

    def open(self, place: Place, offset: int, tag: str | None) -> Opened:
        blob = self._blob(place)
        found = _found(blob.get_blob_properties())
        wanted = tag or found.tag
        return Opened(found, _Body(blob, wanted, offset, found.size_bytes))

    def put(self, place: Place, data: bytes) -> datetime | None:
        answer = self._blob(place).upload_blob(data, overwrite=True, validate_content=True)
        return _date(answer)

    def begin(self, place: Place) -> str:
        # Blocks without their list are no object; there is nothing to begin but the container must be there.
        self._container(place.bucket).get_container_properties()
        return uuid.uuid4().hex

    def part(self, place: Place, upload: str, number: int, data: bytes) -> str:
        word = base64.b64encode(f"{upload}-{number:08}".encode()).decode()
        self._blob(place).stage_block(word, data, validate_content=True)
        return word

    def complete(self, place: Place, upload: str, parts: Sequence[Any], size_bytes: int) -> datetime | None:
        from azure.storage.blob import BlobBlock

        return _date(self._blob(place).commit_block_list([BlobBlock(word) for word in parts]))

    def abort(self, place: Place, upload: str) -> None:
        return None  # Azure forgets blocks that nobody lists after a week.

    def copy(self, source: Place, target: Place) -> None:
        # By way of us: a copy in the cloud may go on after its answer, and asks for a readable URL of the source.
        opened = self.open(source, 0, None)
        upload, words, number = uuid.uuid4().hex, [], 0
        while data := opened.body.read(_COPY_CHUNK):
            number += 1
            words.append(self.part(target, upload, number, data))
        self.complete(target, upload, words, opened.found.size_bytes)

    def delete(self, place: Place) -> None:
        self._blob(place).delete_blob(delete_snapshots="include")

    # -- many ---------------------------------------------------------------------------------------------------------

    def delete_many(self, bucket: str, names: Sequence[str]) -> None:
        for name in names:
            try:
                self.delete(Place(bucket, name))
            except Exception as error:
                if not self.is_missing(error):
                    raise

    def page(self, bucket: str, prefix: str, after: str, limit: int) -> Page:
        """`after` is a marker of Azure's behind a line end, or a name: Azure itself cannot begin behind a name."""
        name, _, marker = after.partition("\n")
        begun = marker or self._marks.find(bucket, prefix, name)
        try:
            return self._page(bucket, prefix, name, begun, limit)
        except Exception as error:
            if marker or not begun or _status(error) != 400:
                raise
            self._marks.forget(bucket, prefix)  # it is not taken any more
            return self._page(bucket, prefix, name, "", limit)

    def _page(self, bucket: str, prefix: str, name: str, marker: str, limit: int) -> Page:
        blobs = self._container(bucket).list_blobs(name_starts_with=prefix or None, results_per_page=limit)
        pages = blobs.by_page(continuation_token=marker or None)
        entries: list[Entry] = []
        for page in pages:
            found = [Entry(each.name, each.size, each.last_modified) for each in page]
            if found:
                self._marks.note(bucket, prefix, found[0].name, marker)
            entries += [each for each in found if in_order(each.name) > in_order(name)]
            marker = pages.continuation_token or ""
            if len(entries) >= limit or not marker:
                break
        return Page(entries, f"{name}\n{marker}" if marker else "")

    def unfinished(self, bucket: str, prefix: str) -> Sequence[Unfinished]:
        # Azure forgets blocks that nobody has listed after a week. To do so earlier, one would have to make the blob
        # and to remove it again: it would be seen, and a blob that is there would be lost.
        return ()

    def buckets(self) -> Sequence[str]:
        return [container.name for container in self.client.list_containers()]

    def make_bucket(self, bucket: str) -> None:
        try:
            self._container(bucket).create_container()
        except Exception as error:
            if _code(error) != "ContainerAlreadyExists":
                raise

    def remove_bucket(self, bucket: str) -> None:
        if next(iter(self._container(bucket).list_blobs(results_per_page=1)), None) is None:
            self._container(bucket).delete_container()

    def _container(self, bucket: str) -> Any:
        return self.client.get_container_client(bucket)

    def _blob(self, place: Place) -> Any:
        return self.client.get_blob_client(place.bucket, place.key)

    # -- errors -------------------------------------------------------------------------------------------------------

    def is_missing(self, error: Exception) -> bool:
        return _status(error) == 404

    def is_transient(self, error: Exception) -> bool:
        from azure.core import exceptions

        if isinstance(error, BrokenOff):
            return True
        status = _status(error)
        if status:
            return (status >= 500 and status not in _FOR_GOOD) or status in _TRANSIENT_STATUS
        lost = (exceptions.ServiceRequestError, exceptions.ServiceResponseError, exceptions.IncompleteReadError)
        return isinstance(error, (*lost, ConnectionError, TimeoutError))

    def is_replaced(self, error: Exception) -> bool:
        return isinstance(error, Replaced) or _status(error) == 412

    def is_damaged(self, error: Exception) -> bool:
        return False

    def refused(self, error: Exception, what: str) -> LocalAmlError:
        if isinstance(error, LocalAmlError):
            return error
        if _status(error) == 507:
            return disk_full()
        if _status(error) in (401, 403):
            return PermissionDenied(
                "OBJECT_STORE_DENIED", f"The storage account does not let LocalAML {what}: {_code(error)}."
            )
        text = str(error).partition("\n")[0]
        return FailedPrecondition("OBJECT_STORE_REFUSED", f"The storage account did not {what}: {text[:500]}")


def _status(error: Exception) -> int:
    return int(getattr(error, "status_code", None) or 0)


def _code(error: Exception) -> str:
    return str(getattr(error, "error_code", "") or "")


def _found(properties: Any) -> Found:
    return Found(properties.size, properties.last_modified, properties.etag)


def _date(answer: Any) -> datetime | None:
    found = answer.get("last_modified") if isinstance(answer, dict) else None
    return found if isinstance(found, datetime) else None
