"""Moves bytes between a socket and a store in a thread, a mebibyte at a time.

A thread that reads the socket into one buffer and writes that to the file is faster than an event loop that is handed
256 KiB pieces, and a slow disk stops nobody else. (Measured on loopback with a client that sends 1 MiB at a time, 1
GiB, `cp` 0.27 s: a bare loop of this kind 0.28 s; uvicorn 1.2 s in a busier run, 0.93 s with a client that uses
`sendfile`.)
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import TypeVar

from localaml.gateway.admission import PROGRESS_BYTES
from localaml.gateway.messages import ClientGone, Sink
from localaml.storage.object_store import ObjectReader

_BUFFER = 1024 * 1024
_T = TypeVar("_T")


class _Progress:
    """Whether a peer lets enough through: `PROGRESS_BYTES` for so many seconds of waiting for it. How long the store
    takes is not the peer's fault."""

    def __init__(self, stall_seconds: float) -> None:
        self._seconds = stall_seconds
        self._count = 0
        self._left = stall_seconds

    def note(self, count: int) -> None:
        """So many bytes went through."""
        self._count += count
        if self._count >= PROGRESS_BYTES:
            self._count = 0
            self._left = self._seconds

    def wait(self, poll: select.poll) -> None:
        """Returns when the socket may be tried again. Raises ClientGone."""
        began = time.monotonic()
        if self._left <= 0 or not poll.poll(self._left * 1000):
            raise ClientGone(f"nothing moved for {self._seconds:g} seconds")
        self._left -= time.monotonic() - began


def receive(sock: socket.socket, first: Sequence[bytes], rest: int, sink: Sink, stall_seconds: float) -> None:
    """Gives `first`, then `rest` bytes from the non-blocking socket, to `sink`.

    Args:
        stall_seconds: a peer that lets next to nothing through for so long is gone.

    Raises ClientGone, or what `sink` raises.
    """
    progress = _Progress(stall_seconds)
    for piece in first:
        sink(memoryview(piece))
    buffer = memoryview(bytearray(min(_BUFFER, rest)))
    readable = select.poll()
    readable.register(sock, select.POLLIN)
    while rest:
        try:
            count = sock.recv_into(buffer[: min(_BUFFER, rest)])
        except BlockingIOError:
            progress.wait(readable)
            continue
        except OSError as error:
            raise ClientGone(str(error)) from None
        if count == 0:
            raise ClientGone(f"{rest} bytes were still to come")
        sink(buffer[:count])
        rest -= count
        progress.note(count)


def send(sock: socket.socket, reader: ObjectReader, start: int, count: int, stall_seconds: float) -> None:
    """Sends `count` bytes of an object through the non-blocking socket. Raises ClientGone, or OSError of the reader."""
    progress = _Progress(stall_seconds)
    buffer = memoryview(bytearray(min(_BUFFER, count)))
    writable = select.poll()
    writable.register(sock, select.POLLOUT)
    end = start + count
    while start < end:
        read = reader.read_into(buffer[: min(_BUFFER, end - start)], start)
        if read == 0:
            raise EOFError(f"{reader.info.key} became shorter while it was sent")
        start += read
        piece = buffer[:read]
        while piece:
            try:
                sent = sock.send(piece)
                progress.note(sent)
                piece = piece[sent:]
            except BlockingIOError:
                progress.wait(writable)
            except OSError as error:
                raise ClientGone(str(error)) from None


def borrowed_socket(transport: asyncio.Transport) -> socket.socket:
    """The transport's socket under a descriptor of its own: it stays valid when the transport closes meanwhile."""
    return socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))


async def in_thread(executor: Executor, sock: socket.socket, work: Callable[[], _T]) -> _T:
    """Runs `work` on the socket in a thread. Cancelling shuts the connection down and waits for the thread."""
    future = asyncio.get_running_loop().run_in_executor(executor, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        await asyncio.wait([future])
        with suppress(BaseException):
            future.result()
        raise
