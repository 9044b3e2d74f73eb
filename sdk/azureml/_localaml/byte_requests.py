"""Single requests of the plane of bytes, each made once: who asks (`transfer`) repeats what may be repeated."""

import base64
import binascii
import hashlib
from typing import IO, TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from azureml._localaml.byte_streams import Unreadable, receive, send
from azureml._localaml.connections import LOST, ConnectionPool, split_address
from azureml._localaml.errors import ConnectionFailed, ServiceError, transfer_error

if TYPE_CHECKING:
    from azureml._localaml.client import Client

# Seconds that one wait for the emulator may take; a transfer as a whole has no limit.
_STALL_SECONDS = 300.0
_DIGEST = "sha-256=:"

# Called with the position in the file, and the bytes that have just travelled. What it raises ends the transfer.
Moved = Callable[[int, int], None]


class Received:
    """How far a download has come."""

    def __init__(self) -> None:
        self.received = 0
        self.total: Optional[int] = None
        self.tag: Optional[str] = None
        # What the emulator has noted of the whole when it was stored, where it has.
        self.sha256: Optional[bytes] = None


class RangeDigest(NamedTuple):
    """What the emulator says of a range of an object: SHA-256 of `length` bytes; of the whole its size and
    version, and its SHA-256 when it was stored, where that was noted."""

    sha256: bytes
    length: int
    total: int
    tag: str
    stored: Optional[bytes] = None


class ByteRequests:
    """Requests on connections of a pool.

    Raises (all methods): ConnectionFailed, ServiceError, OSError of the file here, and what `moved` raises.
    """

    def __init__(self, client: "Client", connections: ConnectionPool) -> None:
        self._client = client
        self._pool = connections

    def put(self, url: str, stream: IO[bytes], size: int, moved: "Optional[Moved]" = None) -> None:
        """Sends `size` bytes of a stream."""
        connection, path = self._open(url)
        try:
            connection.putrequest("PUT", path, skip_accept_encoding=True)
            connection.putheader("Content-Length", str(size))
            connection.putheader("Content-Type", "application/octet-stream")
            connection.endheaders()
            refused: Optional[OSError] = None
            try:
                sent = 0
                for count in send(connection.sock, stream, size):
                    sent += count
                    if moved is not None:
                        moved(sent, count)
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

    def get(self, url: str, file: Any, state: "Received", moved: "Optional[Moved]" = None) -> int:
        """Writes the object to an unbuffered file, from where `state` says that it stands; returns its size."""
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
            state.sha256 = _sha256(response.getheader("Repr-Digest"))
            for count in receive(response, file, total):
                state.received += count
                if moved is not None:
                    moved(state.received, count)
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

    def read(self, url: str, headers: Dict[str, str]) -> bytes:
        """The body of an answer, in memory; what `headers` say of a range is kept to. Empty behind the end."""
        response, body = self._ask("GET", url, headers)
        if response.status == 416:
            return b""
        if response.status not in (200, 206):
            raise transfer_error(response.status, body, response.getheader("Retry-After"))
        stored = _sha256(response.getheader("Repr-Digest"))
        if response.status == 200 and stored is not None and stored != hashlib.sha256(body).digest():
            raise changed()
        if response.status == 200 and headers.get("Range"):
            first, _, last = headers["Range"][len("bytes=") :].partition("-")
            return body[int(first) : int(last) + 1 if last else None]
        return body

    def size(self, url: str) -> Optional[int]:
        """The size of an object; None when there is none."""
        response, body = self._ask("HEAD", url, {})
        if response.status == 404:
            return None
        if response.status != 200:
            raise transfer_error(response.status, body, response.getheader("Retry-After"))
        length = response.getheader("Content-Length")
        return None if length is None else int(length)

    def digest(self, url: str, offset: int, count: int) -> "Optional[RangeDigest]":
        """The emulator's digest of a range; None when there is nothing there, or it tells none (an older one)."""
        headers = {
            "Range": "bytes={}-{}".format(offset, offset + count - 1),
            "Want-Content-Digest": "sha-256=1",
        }
        response, body = self._ask("HEAD", url, headers)
        if response.status in (200, 404, 416):
            return None
        if response.status != 206:
            raise transfer_error(response.status, body, response.getheader("Retry-After"))
        total, told = _total(response.getheader("Content-Range")), response.getheader("Content-Digest") or ""
        length, tag = response.getheader("Content-Length"), response.getheader("ETag")
        sha256 = _sha256(told)
        if total is None or length is None or not tag or sha256 is None:
            return None
        return RangeDigest(sha256, int(length), total, tag, _sha256(response.getheader("Repr-Digest")))

    def _ask(self, method: str, url: str, headers: Dict[str, str]) -> Tuple[Any, bytes]:
        connection, path = self._open(url)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            body = response.read()
        except LOST as error:
            connection.close()
            raise ConnectionFailed(str(error) or type(error).__name__) from error
        except BaseException:
            connection.close()
            raise
        return response, body

    def _open(self, url: str) -> Tuple[Any, str]:
        parts = urlsplit(url)
        path = parts.path + ("?" + parts.query if parts.query else "")
        address = split_address(self._client.endpoint.http_address)
        return self._pool.get(address, _STALL_SECONDS), path


def changed() -> ServiceError:
    """The error for bytes that are not those that were stored."""
    return ServiceError(
        "FAILED_PRECONDITION",
        "The file is not what was stored any more: its bytes do not have the SHA-256 of its record. A job may have "
        "written to it through a mounted datastore. 'localaml storage fsck' names all such files.",
        "ARTIFACT_CHANGED",
    )


def _sha256(told: Optional[str]) -> Optional[bytes]:
    """The digest in a header of RFC 9530; None when there is none."""
    if not told or not told.startswith(_DIGEST):
        return None
    try:
        return base64.b64decode(told[len(_DIGEST) :].rstrip(":"))
    except (binascii.Error, ValueError):
        return None


def _total(content_range: Optional[str]) -> Optional[int]:
    total = (content_range or "").rpartition("/")[2]
    return int(total) if total.isdigit() else None
