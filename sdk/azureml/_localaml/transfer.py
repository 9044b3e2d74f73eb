"""The plane of bytes: files to and from signed URLs over HTTP, in constant memory at any size.

A signed URL names the address that the emulator had when it signed. It stays good when the emulator comes back on
another port (the signature covers the path alone), so an interrupted transfer goes on at the address of now: a download
where it stopped, an upload from its start. What is there already, complete and the same, does not travel at all when
the caller wants it compared (`comparing`), and a download can go on with what an earlier process has left.
"""

import os
import tempfile
import threading
from typing import IO, TYPE_CHECKING, Any, Callable, Iterable, Iterator, NamedTuple, Optional, Union

from azureml._localaml.byte_requests import ByteRequests, Moved, Received, changed
from azureml._localaml.byte_streams import seekable
from azureml._localaml.comparing import match, sha256_of
from azureml._localaml.connections import BLOCK_SIZE, ConnectionPool
from azureml._localaml.errors import ConnectionFailed, ServiceError, sdk_exception
from azureml._localaml.part_files import WORTH_KEEPING, PartFile

if TYPE_CHECKING:
    from azureml._localaml.client import Client

_PARALLEL = 4
# After these errors it is worth to go on where a download stopped: they may be over the next time.
_PASSING_CODES = (None, "", "UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAUTHENTICATED")

Source = Union[str, "os.PathLike[str]", IO[bytes], bytes]
Path = Union[str, "os.PathLike[str]"]


class Upload(NamedTuple):
    """One file to send: the signed URL and what to send to it.

    Attributes:
        compare_url: URL to read what is there under this name: only another content is sent. `source` is a path then.
    """

    url: str
    source: "Source"
    size: Optional[int] = None
    compare_url: Optional[str] = None


class Download(NamedTuple):
    """One file to fetch: the signed URL and the path that it gets here.

    Attributes:
        resume: go on with what an earlier process left of it, and leave what there is of it when this one is ended.
        compare: fetch it only when the file here has another content.
    """

    url: str
    target: str
    resume: bool = False
    compare: bool = False


class Watcher:
    """What happens to each of many files, by its index. Does nothing by itself."""

    def started(self, index: int) -> None:
        """It is begun. Called in the thread that moves it."""

    def moved(self, index: int, position: int, count: int) -> None:
        """It has got up to `position`; `count` bytes have just travelled. Called in the thread that moves it."""

    def done(self, index: int) -> None:
        """It has arrived. Called in the caller's thread."""

    def kept(self, index: int) -> None:
        """It was there already, with the same content. Called in the caller's thread."""


class _Stopped(Exception):
    """The other transfers of this call are to end: one has failed, or the caller was interrupted."""


class Transfer:
    """Uploads and downloads of one client. Safe to use from several threads.

    Raises (all methods):
        AzureMLException: a subclass that fits: expired or altered URL, nothing there, disk full on the other side.
        OSError: the file here cannot be read or written.
    """

    def __init__(self, client: "Client", connections: ConnectionPool) -> None:
        self._client = client
        self._requests = ByteRequests(client, connections)

    def upload_file(self, url: str, source: "Source", size: Optional[int] = None, moved: Optional[Moved] = None) -> int:
        """Sends a file, stream or bytes; when it returns, the emulator has all of it under its final name.

        Args:
            source: a path, a binary stream (sent from its position to its end) or bytes.
            size: bytes to send, when the source is a stream whose length cannot be asked for.
            moved: called with the position and the bytes that have just left.

        Returns:
            The number of bytes sent.
        """
        if isinstance(source, (str, os.PathLike)):
            with open(source, "rb") as file:
                return self._upload_stream(url, file, os.fstat(file.fileno()).st_size, moved)
        if isinstance(source, (bytes, bytearray, memoryview)):
            import io

            return self._upload_stream(url, io.BytesIO(source), len(source), moved)
        if size is not None:
            return self._upload_stream(url, source, size, moved)
        if seekable(source):
            start = source.tell()
            end = source.seek(0, os.SEEK_END)
            source.seek(start)
            return self._upload_stream(url, source, end - start, moved)
        # Its length is only known at its end, and it could not be sent twice: to a file first.
        with tempfile.TemporaryFile() as spool:
            for block in iter(lambda: source.read(BLOCK_SIZE), b""):
                spool.write(block)
            length = spool.tell()
            spool.seek(0)
            return self._upload_stream(url, spool, length, moved)

    def upload_files(self, uploads: "Iterable[Upload]", watcher: "Optional[Watcher]" = None) -> int:
        """Sends many files, a few at a time.

        Returns:
            The number of bytes sent.
        """

        def upload(item: "Upload", moved: Moved) -> Optional[int]:
            source, there = item.source, item.compare_url
            if there is not None and isinstance(source, (str, os.PathLike)) and self.is_same(there, source):
                return None
            return self.upload_file(item.url, source, item.size, moved)

        return sum(self._each(upload, uploads, watcher or Watcher()))

    def download_file(self, url: str, target: "Path", moved: Optional[Moved] = None, resume: bool = False) -> int:
        """Fetches a file. `target` appears complete or not at all; folders above it are made.

        Args:
            moved: called with the position and the bytes that have just come.
            resume: see `Download`.

        Returns:
            The number of bytes of the file.
        """
        target = os.path.abspath(os.fspath(target))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(target):
            raise IsADirectoryError("{} is a folder: name the file to write.".format(target))
        part = PartFile(target, resume)
        try:
            state = Received()
            if part.kept:
                found = match(self._asker(url), part.file, part.kept, whole=False)
                part.keep(found.length)
                state.received, state.total, state.tag = found.length, found.total, found.tag
                state.sha256 = found.stored
                if moved is not None:
                    moved(found.length, 0)
            if not part.kept or state.received != state.total:
                self._download_to(url, part.file, state, moved)
            if state.sha256 is not None and sha256_of(part.path) != state.sha256:
                raise sdk_exception(changed())
            part.finish()
        except BaseException as error:
            part.give_up(not isinstance(error, OSError) and getattr(error, "grpc_code", None) in _PASSING_CODES)
            raise
        return state.received

    def download_files(self, downloads: "Iterable[Download]", watcher: "Optional[Watcher]" = None) -> int:
        """Fetches many files, a few at a time.

        Returns:
            The number of bytes of the files that were fetched.
        """

        def download(item: "Download", moved: Moved) -> Optional[int]:
            if item.compare and os.path.isfile(item.target) and self.is_same(item.url, item.target):
                return None
            return self.download_file(item.url, item.target, moved, item.resume)

        return sum(self._each(download, downloads, watcher or Watcher()))

    def is_same(self, url: str, path: "Path") -> bool:
        """Whether a file here has the size and the SHA-256 of what the URL (to read) stands for."""
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < WORTH_KEEPING:
                if size:
                    return match(self._asker(url), file, size, whole=True).length == size
                return self._client.retrying(lambda: self._requests.size(url)) == 0
            # To work out digests of something else is not worth its time.
            if self._client.retrying(lambda: self._requests.size(url)) != size:
                return False
            return match(self._asker(url), file, size, whole=True).length == size

    def read(self, url: str, offset: int = 0, length: Optional[int] = None) -> bytes:
        """Fetches bytes into memory: for small things, or a range of a big one."""
        headers = {}
        if offset or length is not None:
            headers["Range"] = "bytes={}-{}".format(offset, "" if length is None else offset + length - 1)
        return self._client.retrying(lambda: self._requests.read(url, headers))

    def _asker(self, url: str) -> Callable[[int, int], Any]:
        return lambda offset, count: self._client.retrying(lambda: self._requests.digest(url, offset, count))

    def _upload_stream(self, url: str, stream: IO[bytes], size: int, moved: Optional[Moved]) -> int:
        start = stream.tell() if seekable(stream) else None
        attempts = iter(range(1 << 30))

        def attempt() -> None:
            if next(attempts):
                if start is None:
                    raise ServiceError("ABORTED", "The connection was lost, and this stream cannot be sent again.")
                stream.seek(start)
            self._requests.put(url, stream, size, moved)

        self._client.retrying(attempt)
        return size

    def _download_to(self, url: str, file: Any, state: Received, moved: Optional[Moved]) -> int:
        def attempt() -> int:
            before = state.received
            try:
                return self._requests.get(url, file, state, moved)
            except ConnectionFailed as error:
                error.progressed = state.received > before
                raise

        return self._client.retrying(attempt)

    def _each(
        self, action: Callable[[Any, Moved], Optional[int]], items: Iterable[Any], watcher: "Watcher"
    ) -> Iterator[int]:
        work = list(items)
        stopped = threading.Event()

        def perform(index: int) -> Optional[int]:
            def moved(position: int, count: int) -> None:
                if stopped.is_set():
                    raise _Stopped
                watcher.moved(index, position, count)

            watcher.started(index)
            return action(work[index], moved)

        def tell(index: int, size: Optional[int]) -> int:
            if size is None:
                watcher.kept(index)
            else:
                watcher.done(index)
            return size or 0

        if len(work) < 2:
            for index in range(len(work)):
                yield tell(index, perform(index))
            return
        from concurrent.futures import ThreadPoolExecutor, as_completed

        with ThreadPoolExecutor(min(_PARALLEL, len(work)), thread_name_prefix="azureml-transfer") as pool:
            futures = {pool.submit(perform, index): index for index in range(len(work))}
            try:
                for future in as_completed(futures):
                    yield tell(futures[future], future.result())
            finally:
                # After an error, or Ctrl-C: what is under way ends with its next piece, whatever is still to come.
                stopped.set()
                for future in futures:
                    future.cancel()
