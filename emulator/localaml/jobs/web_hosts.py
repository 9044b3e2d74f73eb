"""Which servers files of the web are fetched from: none that only this machine reaches, unless the owner names it.

A job can make a dataset of any address, and the emulator fetches it. So an address on the loopback address, or on the
local link (where clouds have their metadata), would show a job in a container what it does not reach itself. It is
where a connection really leads that counts, also after a redirect. Other private addresses are as near to containers
as to this machine.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import ipaddress
import socket
import urllib.request
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

SETTING = "LOCALAML_ALLOWED_WEB_HOSTS"


class HostNotAllowed(OSError):
    """An address leads to what only this machine reaches."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host[:200]} is an address that only the emulator's machine reaches; its owner can allow it by the "
            f"setting {SETTING}"
        )


def is_only_ours(address: str) -> bool:
    """Whether an IP address is reached from this machine alone: loopback, local link, or none at all."""
    # A zone ("%eth0") says which link.
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in ipaddress.IPv6Network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_only_ours(str(inner))
    return (
        found.is_loopback
        or found.is_link_local
        or found.is_unspecified
        or found.is_multicast
        or found in ipaddress.ip_network("0.0.0.0/8" if found.version == 4 else "::/96")
    )


def opener(allowed: Collection[str]) -> urllib.request.OpenerDirector:
    """Opens http and https addresses, through the proxies that the environment names.

    Args:
        allowed: names and addresses of hosts that may be on this machine.

    What it opens raises HostNotAllowed (in an URLError) for a host that is not allowed.
    """
    made = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Handler({name.lower() for name in allowed}),
    ):
        made.add_handler(handler)
    return made


def connect(host: str, port: int, timeout: float | None, allowed: Collection[str]) -> socket.socket:
    """Connects to the first address of a host that answers.

    Raises:
        HostNotAllowed: one of its addresses is only ours.
        OSError: it cannot be reached.
    """
    found = _addresses(host, port, allowed)
    failure = OSError(f"{host[:200]} has no address")
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout)
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            failure = error
    raise failure


def _addresses(host: str, port: int, allowed: Collection[str]) -> list[Any]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if host.lower().strip("[]") not in allowed and any(is_only_ours(str(address[0])) for *_, address in found):
        raise HostNotAllowed(host)
    return found


class _Handler(urllib.request.AbstractHTTPHandler):
    def __init__(self, allowed: set[str]) -> None:
        super().__init__()
        self._allowed = allowed

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        # Redirects come by here, too, each before a proxy takes the host's place.
        request.wanted_host = request.host  # type: ignore[attr-defined]
        return self.do_request_(request)

    https_request = http_request

    def http_open(self, request: urllib.request.Request) -> Any:
        return self._open(request, http.client.HTTPConnection)

    def https_open(self, request: urllib.request.Request) -> Any:
        return self._open(request, http.client.HTTPSConnection)

    def _open(self, request: urllib.request.Request, kind: type[http.client.HTTPConnection]) -> Any:
        wanted = request.wanted_host  # type: ignore[attr-defined]
        if request.host == wanted:
            return self.do_open(functools.partial(self._connection, kind), request)
        # The proxy is the owner's, wherever it is. What it reaches by a name that nobody knows here is its affair.
        with contextlib.suppress(socket.gaierror):
            _addresses(urlsplit(f"//{wanted}").hostname or "", 0, self._allowed)
        return self.do_open(kind, request)

    def _connection(self, kind: type[http.client.HTTPConnection], host: str, **more: Any) -> http.client.HTTPConnection:
        made = kind(host, **more)

        def create(address: tuple[str, int], timeout: float | None = None, *_: Any) -> socket.socket:
            return connect(*address, timeout, self._allowed)

        made._create_connection = create  # type: ignore[attr-defined]
        return made
