"""Under which names the HTTP port answers, and to whose pages: a browser on this machine reaches it, too."""

from __future__ import annotations

import ipaddress
import re

# host, or [IPv6 address]; then, perhaps, a port. Neither userinfo nor anything behind it is part of a name.
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z.-]+))(?::(?P<port>[0-9]{1,5}))?")
# localhost and what is below it: no name of anybody else's (RFC 6761).
_LOCALHOST = re.compile(r"(?:[0-9a-z](?:[0-9a-z-]*[0-9a-z])?\.)*localhost", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://(?P<authority>[^/?#]*)")


def is_loopback_name(authority: str) -> bool:
    """Whether the whole text (``name``, ``name:port``, ``[::1]:port``) names this machine's loopback interface."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not (match["port"] is None or 0 < int(match["port"]) < 65536):
        return False
    try:
        if match["six"] is not None:
            return ipaddress.IPv6Address(match["six"]).is_loopback
        return bool(_LOCALHOST.fullmatch(match["name"])) or ipaddress.IPv4Address(match["name"]).is_loopback
    except ValueError:
        return False


def is_own_origin(origin: str, host: str) -> bool:
    """Whether a request that a browser sent for a page (header ``Origin``) comes from a page of this server itself.

    Args:
        host: under which name the server was asked (header ``Host``).
    """
    match = _ORIGIN.fullmatch(origin)
    return match is not None and match["authority"].lower() == host.lower()
