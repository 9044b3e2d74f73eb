"""Connections that are kept alive, one per thread and address, whatever they speak."""

import os
import re
import socket
import threading
import weakref
from typing import Any, Callable, Dict, Optional, Tuple

Address = Tuple[str, int]

# What nearly all addresses look like. For others `urllib.parse` is loaded, which takes a process some milliseconds.
_PLAIN_ADDRESS = re.compile(r"http://([A-Za-z0-9.-]+):([0-9]{1,5})/?\Z")


def split_address(url: str) -> "Address":
    """Host and port of an `http://` address. Raises ValueError for any other scheme."""
    plain = _PLAIN_ADDRESS.match(url)
    if plain is not None and int(plain.group(2)) < 65536:
        return plain.group(1).lower(), int(plain.group(2))
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("{!r} is not an http:// address.".format(url))
    return parts.hostname, parts.port or 80


def is_idle_dead(connection: Any) -> bool:
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


def leave_to_parent(sock: Optional[socket.socket]) -> None:
    """Gives up, in a forked child, its copy of a socket: the connection itself goes on in the parent."""
    if sock is not None:
        descriptor = sock.detach()
        if descriptor >= 0:
            os.close(descriptor)


class _Held:
    """The connections of one thread; closed when the thread ends or the pool is closed.

    They go also without that, when the thread is in the middle of a call: in a forked child, which has no other threads
    than the one that forked, and at the end of the process. What the thread reads with is locked then, for good, so
    that closing it would wait for ever.
    """

    def __init__(self) -> None:
        self.connections: Dict[Address, Any] = {}
        self._process_id = os.getpid()
        self._thread_id = threading.get_ident()

    def close(self) -> None:
        for connection in list(self.connections.values()):
            if self._process_id == os.getpid():
                connection.close()
            else:
                leave_to_parent(connection.sock)
        self.connections.clear()

    def __del__(self) -> None:
        if self._process_id != os.getpid() or self._thread_id == threading.get_ident():
            self.close()


class ConnectionPool:
    """Gives each thread its own connection to an address. Connections end with their thread or owner, or at `close`.

    Args:
        owner: what uses the pool. It may go in a cycle of objects, whose parts Python takes apart in any order: the
            pool is kept until it is closed, so that no socket is found open by then.
        new_connection: makes one to an address, with so many seconds for each wait on it. It has `sock` (None while it
            is not open), `timeout` and `close()`, as `http.client.HTTPConnection` has.
    """

    def __init__(self, owner: object, new_connection: "Callable[[Address, float], Any]") -> None:
        self._new_connection = new_connection
        self._local = threading.local()
        self._all: weakref.WeakSet[_Held] = weakref.WeakSet()
        weakref.finalize(owner, self.close).atexit = False

    def get(self, address: "Address", timeout: float) -> Any:
        """This thread's connection, with `timeout` seconds for each wait on it."""
        held: Optional[_Held] = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = _Held()
            self._all.add(held)
        connection = held.connections.get(address)
        if connection is None:
            connection = held.connections[address] = self._new_connection(address, timeout)
        elif is_idle_dead(connection):
            connection.close()
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection

    def close(self) -> None:
        """Closes all connections, also those of other threads: nobody may be in the middle of a call."""
        everyone = list(self._all)  # nobody else holds those of other threads once the next line is done
        self._local = threading.local()
        for held in everyone:
            held.close()
