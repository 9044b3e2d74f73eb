"""Which ports of this machine's loopback address the owner's own settings name as a way to packages. Pure.

Where environments are made in containers, `127.0.0.1` is the container itself. What the owner's settings name there is
reached all the same, port by port (`compute.docker.agent.reach`); nothing else of this machine's loopback address is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"\b(?:https?|socks[45]h?)://[^\s'\"<>,;]+", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def loopback_ports(texts: Iterable[str]) -> list[int]:
    """The ports of all addresses on the loopback address that are in `texts`, each once."""
    found: dict[int, None] = {}
    for text in texts:
        for match in _ADDRESS.finditer(text):
            try:
                parts = urlsplit(match[0])
                port = parts.port or _PORTS.get(parts.scheme, 1080)
            except ValueError:
                continue
            if is_loopback(parts.hostname or ""):
                found[port] = None
    return list(found)


def is_loopback(host: str) -> bool:
    """Whether a name or an address means the machine itself."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
