"""Addresses at which processes of a run can meet, where all nodes share this machine."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

from localaml.errors import ResourceExhausted

HOST = "127.0.0.1"
# The kernel gives ports from its range to whoever asks for any. Below it a port stays free until the process that it
# was chosen for has started, which takes TensorFlow seconds.
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_PORT, _LAST_PORT = 12000, 32000
_ATTEMPTS = 1000


def loopback_interface() -> str:
    """Name of the interface of the loopback address."""
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name in ("lo", "lo0")), names[0] if names else "lo")


def free_ports(count: int) -> list[int]:
    """Different TCP ports of this machine's loopback address that are free now, and that nobody gets by chance.

    Raises ResourceExhausted ``NO_FREE_PORTS``.
    """
    last = _LAST_PORT
    with contextlib.suppress(OSError, ValueError, IndexError):
        last = min(last, int(_EPHEMERAL_RANGE.read_text().split()[0]) - 1)
    found: list[int] = []
    for _ in range(_ATTEMPTS if last > _FIRST_PORT else 0):
        if len(found) == count:
            break
        # Not a secret: two runs that begin at the same time are to choose different ones.
        port = random.randint(_FIRST_PORT, last)  # noqa: S311
        if port not in found and _is_free(port):
            found.append(port)
    if len(found) < count:
        raise ResourceExhausted("NO_FREE_PORTS", f"The run needs {count} free TCP ports, and this machine has too few.")
    return found


def _is_free(port: int) -> bool:
    try:
        with socket.create_server((HOST, port)):
            return True
    except OSError:
        return False
