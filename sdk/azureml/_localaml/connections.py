"""Plain HTTP/1.1 connections of the standard library, kept alive, one per thread and address."""

from __future__ import annotations

import http.client
import socket
import threading
import weakref
from typing import Any, Dict, Optional, Tuple
from urllib.parse import urlsplit

# What a lost or refused connection looks like. A time-out is told apart first: `socket.timeout` is an OSError, too.
LOST = (OSError, http.client.HTTPException)

BLOCK_SIZE = 1 << 20


def split_address(url: str) -> Tuple[str, int]:
    """Host and port of an `http://` address. Raises ValueError for any other scheme."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("{!r} is not an http:// address.".format(url))
    return parts.hostname, parts.port or 80


def is_idle_dead(connection: http.client.HTTPConnection) -> bool:
    """Whether a kept connection was closed by the other side meanwhile (it has something to read: the end)."""
    if connection.sock is None:
        return False
    connection.sock.setblocking(False)
    try:
        return len(connection.sock.recv(1, socket.MSG_PEEK)) <= 1
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True


class _Held:
    """The connections of one thread; closed when the thread ends or the pool is closed."""

    def __init__(self) -> None:
        self.connections: Dict[Tuple[str, int], http.client.HTTPConnection] = {}

    def close(self) -> None:
        for connection in list(self.connections.values()):
            connection.close()
        self.connections.clear()

    __del__ = close


class ConnectionPool:
    """Gives each thread its own connection to an address. Connections end with their thread or owner, or at `close`.

    Args:
        owner: what uses the pool. It may go in a cycle of objects, whose parts Python takes apart in any order: the
            pool is kept until it is closed, so that no socket is found open by then.
    """

    def __init__(self, owner: object) -> None:
        self._local = threading.local()
        self._all: weakref.WeakSet[_Held] = weakref.WeakSet()
        weakref.finalize(owner, self.close).atexit = False

    def get(self, address: Tuple[str, int], timeout: float) -> http.client.HTTPConnection:
        """This thread's connection, with `timeout` seconds for each wait on it."""
        held: Optional[_Held] = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = _Held()
            self._all.add(held)
        connection = held.connections.get(address)
        if connection is None:
            connection = held.connections[address] = new_connection(address, timeout)
        elif is_idle_dead(connection):
            connection.close()
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection

    def close(self) -> None:
        """Closes all connections, also those of other threads: nobody may be in the middle of a call."""
        self._local = threading.local()
        for held in list(self._all):
            held.close()


def new_connection(address: Tuple[str, int], timeout: Any) -> http.client.HTTPConnection:
    """A connection that is opened at its first request. The environment's proxies are not asked: it is this machine."""
    return http.client.HTTPConnection(address[0], address[1], timeout=timeout, blocksize=BLOCK_SIZE)
