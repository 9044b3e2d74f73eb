"""The plane of bytes: files to and from signed URLs over HTTP, in constant memory at any size.

A signed URL names the address that the emulator had when it signed. It stays good when the emulator comes back on
another port (the signature covers the path alone), so an interrupted transfer goes on at the address of now: a download
where it stopped, an upload from its start.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Callable, Iterable, Iterator, NamedTuple, Optional, Tuple, Union
from urllib.parse import urlsplit

from azureml._localaml.byte_streams import Unreadable, receive, seekable, send
from azureml._localaml.connections import BLOCK_SIZE, LOST, ConnectionPool, split_address
from azureml._localaml.errors import ConnectionFailed, ServiceError, transfer_error

if TYPE_CHECKING:
    from azureml._localaml.client import Client

# Seconds that one wait for the emulator may take; a transfer as a whole has no limit.
_STALL_SECONDS = 300.0
_PARALLEL = 4

Source = Union[str, "os.PathLike[str]", IO[bytes], bytes]


class Upload(NamedTuple):
    """One file to send: the signed URL and what to send to it."""

    url: str
    source: Source
    size: Optional[int] = None


class Download(NamedTuple):
    """One file to fetch: the signed URL and the path that it gets here."""

    url: str
    target: str


class Transfer:
    """Uploads and downloads of one client. Safe to use from several threads.

    Raises (all methods):
        AzureMLException: a subclass that fits: expired or altered URL, nothing there, disk full on the other side.
        OSError: the file here cannot be read or written.
    """

    def __init__(self, client: Client, connections: ConnectionPool) -> None:
        self._client = client
        self._pool = connections

    def upload_file(self, url: str, source: Source, size: Optional[int] = None) -> int:
        """Sends a file, stream or bytes; when it returns, the emulator has all of it under its final name.

        Args:
            source: a path, a binary stream (sent from its position to its end) or bytes.
            size: bytes to send, when the source is a stream whose length cannot be asked for.

        Returns:
            The number of bytes sent.
        """
        if isinstance(source, (str, os.PathLike)):
            with open(source, "rb") as file:
                return self._upload_stream(url, file, os.fstat(file.fileno()).st_size)
        if isinstance(source, (bytes, bytearray, memoryview)):
            import io

            return self._upload_stream(url, io.BytesIO(source), len(source))
        if size is not None:
            return self._upload_stream(url, source, size)
        if seekable(source):
            start = source.tell()
            end = source.seek(0, os.SEEK_END)
            source.seek(start)
            return self._upload_stream(url, source, end - start)
        # Its length is only known at its end, and it could not be sent twice: to a file first.
        with tempfile.TemporaryFile() as spool:
            for block in iter(lambda: source.read(BLOCK_SIZE), b""):
                spool.write(block)
            length = spool.tell()
            spool.seek(0)
            return self._upload_stream(url, spool, length)

    def upload_files(
        self,
        uploads: Iterable[Upload],
        done: Optional[Callable[[int], None]] = None,
        started: Optional[Callable[[int], None]] = None,
    ) -> int:
        """Sends many files, a few at a time.

        Args:
            done: called in this thread with the index of each that has arrived.
            started: called in the sending thread with the index of each that is begun.

        Returns:
            The number of bytes sent.
        """
        return sum(self._each(lambda item: self.upload_file(item.url, item.source, item.size), uploads, done, started))

    def download_file(self, url: str, target: Union[str, os.PathLike[str]]) -> int:
        """Fetches a file. `target` appears complete or not at all; folders above it are made.

        Returns:
            The number of bytes of the file.
        """
        target = os.path.abspath(os.fspath(target))
        folder = os.path.dirname(target)
        os.makedirs(folder, exist_ok=True)
        if os.path.isdir(target):
            raise IsADirectoryError("{} is a folder: name the file to write.".format(target))
        # Not made by `tempfile`: the file is to have the rights that the user's umask gives.
        part = os.path.join(folder, ".{}.{}.part".format(os.path.basename(target)[:80], os.urandom(6).hex()))
        try:
            with open(part, "xb", buffering=0) as file:
                size = self._download_to(url, file)
            os.replace(part, target)
        except BaseException:
            _remove(part)
            raise
        return size

    def download_files(
        self,
        downloads: Iterable[Download],
        done: Optional[Callable[[int], None]] = None,
        started: Optional[Callable[[int], None]] = None,
    ) -> int:
        """Fetches many files, a few at a time; `done` and `started` as for `upload_files`.

        Returns:
            The number of bytes of all files.
        """
        return sum(self._each(lambda item: self.download_file(item.url, item.target), downloads, done, started))

    def read(self, url: str, offset: int = 0, length: Optional[int] = None) -> bytes:
        """Fetches bytes into memory: for small things, or a range of a big one."""
        headers = {}
        if offset or length is not None:
            headers["Range"] = "bytes={}-{}".format(offset, "" if length is None else offset + length - 1)
        return self._client.retrying(lambda: self._read_once(url, headers))

    def _upload_stream(self, url: str, stream: IO[bytes], size: int) -> int:
        start = stream.tell() if seekable(stream) else None
        attempts = iter(range(1 << 30))

        def attempt() -> None:
            if next(attempts):
                if start is None:
                    raise ServiceError("ABORTED", "The connection was lost, and this stream cannot be sent again.")
                stream.seek(start)
            self._put(url, stream, size)

        self._client.retrying(attempt)
        return size

    def _put(self, url: str, stream: IO[bytes], size: int) -> None:
        connection, path = self._open(url)
        try:
            connection.putrequest("PUT", path, skip_accept_encoding=True)
            connection.putheader("Content-Length", str(size))
            connection.putheader("Content-Type", "application/octet-stream")
            connection.endheaders()
            refused: Optional[OSError] = None
            try:
                send(connection.sock, stream, size)
            except (BrokenPipeError, ConnectionResetError) as error:
                refused = error  # perhaps it has said why before it hung up
            try:
                response = connection.getresponse()
                body = response.read()
            except LOST:
                if refused is not None:
                    raise refused from None
                raise
            if refused is not None or response.will_close:
                connection.close()
        except Unreadable as error:
            connection.close()
            raise error.cause from None
        except LOST as error:
            connection.close()
            raise ConnectionFailed(str(error) or type(error).__name__) from error
        except BaseException:
            connection.close()
            raise
        if not 200 <= response.status < 300:
            raise transfer_error(response.status, body, response.getheader("Retry-After"))

    def _download_to(self, url: str, file: Any) -> int:
        state = _Progress()

        def attempt() -> int:
            before = state.received
            try:
                return self._get(url, file, state)
            except ConnectionFailed as error:
                error.progressed = state.received > before
                raise

        return self._client.retrying(attempt)

    def _get(self, url: str, file: Any, state: _Progress) -> int:
        connection, path = self._open(url)
        headers = {"Accept-Encoding": "identity"}
        if state.received:
            headers["Range"] = "bytes={}-".format(state.received)
            if state.tag:
                headers["If-Range"] = state.tag
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if response.status == 206 and state.received:
                total = _total(response.getheader("Content-Range"))
            elif response.status == 200:
                length = response.getheader("Content-Length")
                total = None if length is None else int(length)
                state.received = 0
                if file.tell():
                    # Not for a fresh file: ext4 takes a truncated one for a replacement and writes it out at close.
                    file.seek(0)
                    file.truncate()
            else:
                body = response.read()
                if response.status == 416 and state.total == state.received:
                    return state.received
                raise transfer_error(response.status, body, response.getheader("Retry-After"))
            if state.received and state.total is not None and total != state.total:
                state.received = 0  # another content than before: from the start, in the next attempt
                raise ConnectionFailed("the file has changed on the way")
            state.total = total
            state.tag = response.getheader("ETag")
            for count in receive(response, file, total):
                state.received += count
            if response.will_close:
                connection.close()
        except Unreadable as error:
            connection.close()
            raise error.cause from None
        except LOST as error:
            connection.close()
            raise ConnectionFailed(str(error) or type(error).__name__) from error
        except BaseException:
            connection.close()
            raise
        if state.total is not None and state.received < state.total:
            connection.close()
            raise ConnectionFailed("the answer broke off after {} of {} bytes".format(state.received, state.total))
        return state.received

    def _read_once(self, url: str, headers: Any) -> bytes:
        connection, path = self._open(url)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
        except LOST as error:
            connection.close()
            raise ConnectionFailed(str(error) or type(error).__name__) from error
        except BaseException:
            connection.close()
            raise
        if response.status == 416:
            return b""
        if response.status not in (200, 206):
            raise transfer_error(response.status, body, response.getheader("Retry-After"))
        if response.status == 200 and headers.get("Range"):
            first, _, last = headers["Range"][len("bytes=") :].partition("-")
            return body[int(first) : int(last) + 1 if last else None]
        return body

    def _open(self, url: str) -> Tuple[Any, str]:
        parts = urlsplit(url)
        path = parts.path + ("?" + parts.query if parts.query else "")
        address = split_address(self._client.endpoint.http_address)
        return self._pool.get(address, _STALL_SECONDS), path

    def _each(
        self,
        action: Callable[[Any], int],
        items: Iterable[Any],
        done: Optional[Callable[[int], None]],
        started: Optional[Callable[[int], None]],
    ) -> Iterator[int]:
        work = list(items)

        def perform(index: int) -> int:
            if started is not None:
                started(index)
            return action(work[index])

        if len(work) < 2:
            for index in range(len(work)):
                yield perform(index)
                if done is not None:
                    done(index)
            return
        from concurrent.futures import ThreadPoolExecutor, as_completed

        with ThreadPoolExecutor(min(_PARALLEL, len(work)), thread_name_prefix="azureml-transfer") as pool:
            futures = {pool.submit(perform, index): index for index in range(len(work))}
            try:
                for future in as_completed(futures):
                    yield future.result()
                    if done is not None:
                        done(futures[future])
            finally:
                for future in futures:
                    future.cancel()


class _Progress:
    """How far a download has come."""

    def __init__(self) -> None:
        self.received = 0
        self.total: Optional[int] = None
        self.tag: Optional[str] = None


def _total(content_range: Optional[str]) -> Optional[int]:
    total = (content_range or "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def _remove(path: str) -> None:
    with suppress(OSError):
        os.remove(path)
