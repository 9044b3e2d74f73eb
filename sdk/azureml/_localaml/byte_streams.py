"""Between files and sockets, a mebibyte at a time."""

import os
import socket
import stat
from http.client import HTTPResponse
from typing import IO, Any, Iterator, Optional

from azureml._localaml.connections import BLOCK_SIZE

# What the kernel is told to send at once: small enough to show progress and to stop, large enough to cost nothing.
_PIECE = 16 << 20


class Unreadable(Exception):
    """An error of the file on this side; kept apart from a lost connection, which is an OSError, too."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def send(sock: socket.socket, stream: IO[bytes], size: int) -> Iterator[int]:
    """Sends `size` bytes of a stream from its position on; gives the number of bytes of each piece that has left.

    Raises Unreadable, or OSError of the socket.
    """
    if _is_plain_file(stream, size):
        start, sent = stream.tell(), 0
        while sent < size:
            count = sock.sendfile(stream, start + sent, min(_PIECE, size - sent))
            if not count:
                raise Unreadable(_changed(sent, size))
            sent += count
            yield count
        return
    left = size
    while left:
        try:
            block = stream.read(min(left, BLOCK_SIZE))
        except Exception as error:
            raise Unreadable(error) from error
        if not block:
            raise Unreadable(_changed(size - left, size))
        sock.sendall(block)
        left -= len(block)
        yield len(block)


def _changed(sent: int, size: int) -> Exception:
    return OSError("The file became shorter while it was sent: {} of {} bytes could be read.".format(sent, size))


def _is_plain_file(stream: IO[bytes], size: int) -> bool:
    """Whether the kernel can copy it to the socket by itself (sendfile)."""
    if getattr(stream, "mode", None) not in ("rb", "rb+", "wb+", "xb+"):
        return False
    try:
        status = os.fstat(stream.fileno())
        return stat.S_ISREG(status.st_mode) and status.st_size - stream.tell() >= size
    except (OSError, ValueError, AttributeError):
        return False


def receive(response: HTTPResponse, file: Any, size: Optional[int]) -> Iterator[int]:
    """Writes the body of an answer to an unbuffered file; gives the number of bytes of each block that is written.

    Args:
        size: bytes to expect, or None.
    """
    block = memoryview(bytearray(BLOCK_SIZE if size is None else max(1, min(BLOCK_SIZE, size))))
    while True:
        count = response.readinto(block)
        if not count:
            return
        view = block[:count]
        try:
            while view:
                view = view[file.write(view) :]
        except OSError as error:
            raise Unreadable(error) from error
        yield count


def seekable(stream: IO[bytes]) -> bool:
    """Whether a stream can be sent twice."""
    try:
        return bool(stream.seekable())
    except AttributeError:
        return False
