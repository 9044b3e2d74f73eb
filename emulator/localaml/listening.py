"""The ports that an emulator listens on."""

from __future__ import annotations

import errno
import ipaddress
import math
import socket
from contextlib import suppress

import grpc.aio

from localaml.descriptors import connection_shares
from localaml.errors import FailedPrecondition
from localaml.settings import Settings

# Calls of one connection at a time; more wait for their turn.
_MOST_STREAMS = 1000


def connection_options(settings: Settings) -> list[tuple[str, int]]:
    """Options of the gRPC server: what one client may cost the others.

    Connections beyond their share are closed at once, idle ones after a while, so that others have their turn.
    """
    return [
        ("grpc.max_allowed_incoming_connections", connection_shares().grpc),
        ("grpc.server_handshake_timeout_ms", math.ceil(settings.request_head_seconds * 1000)),
        ("grpc.max_connection_idle_ms", math.ceil(settings.idle_connection_seconds * 1000)),
        ("grpc.max_concurrent_streams", _MOST_STREAMS),
    ]


def check_host(host: str, allow_remote: bool) -> None:
    """Whether we may listen there.

    Raises:
        FailedPrecondition: ``HOST_NOT_LOOPBACK``: other machines may reach the address, and that is not allowed.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not allow_remote:
        raise FailedPrecondition(
            "HOST_NOT_LOOPBACK",
            f"{host!r} is not a loopback address: other machines could run programs here. Use 127.0.0.1, or allow it "
            "with the setting allow_remote (LOCALAML_ALLOW_REMOTE=true).",
            {"host": host},
        )


def url_host(host: str) -> str:
    """A host as clients on this machine write it in a URL."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (compared, not bound)
    return f"[{address}]" if ":" in address else address


def bind_http_port(host: str, port: int, last: int) -> socket.socket:
    """A bound socket, not yet listening: on `port`, or (0) where the last emulator was, or anywhere.

    Raises:
        FailedPrecondition: ``PORT_IN_USE`` or ``ADDRESS_NOT_AVAILABLE``.
    """
    return _bind("HTTP", host, _choose("HTTP", host, port, last))


def bind_grpc_port(server: grpc.aio.Server, host: str, port: int, last: int) -> int:
    """Binds a gRPC server as `bind_http_port` does; returns the port.

    The server must not share its port (option ``grpc.so_reuseport`` 0).
    """
    chosen = _choose("gRPC", host, port, last)
    try:
        return server.add_insecure_port(f"[{host}]:{chosen}" if ":" in host else f"{host}:{chosen}")
    except RuntimeError as error:
        raise FailedPrecondition("PORT_IN_USE", f"The gRPC port {chosen} of {host} cannot be had: {error}") from error


def _choose(what: str, host: str, port: int, last: int) -> int:
    """The port to ask for. Tried out first: gRPC writes to stderr by itself when a port is taken."""
    if port:
        _bind(what, host, port).close()
        return port
    if last:
        with suppress(FailedPrecondition):
            _bind(what, host, last).close()
            return last
    return 0


def _bind(what: str, host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise FailedPrecondition(
                "PORT_IN_USE",
                f"The {what} port {port} of {host} is in use. Choose another, or 0 for any free one.",
                {"port": str(port)},
            ) from None
        raise FailedPrecondition(
            "ADDRESS_NOT_AVAILABLE", f"Port {port} of {host} cannot be used for {what}: {error.strerror}."
        ) from None
    return sock
