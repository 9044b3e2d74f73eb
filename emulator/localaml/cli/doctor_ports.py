"""What `localaml doctor` says of the ports: whether they can be had, and who has them."""

from __future__ import annotations

import errno
import socket

from localaml.cli.endpoint import Presence, is_healthy, look_up
from localaml.cli.failure import CliError
from localaml.cli.findings import Finding, Result
from localaml.listening import url_host
from localaml.settings import Settings


def examine_ports(settings: Settings) -> list[Finding]:
    """Tries the ports out. The emulator that runs on the state folder may have them: they are for it."""
    own = _own_addresses(settings)
    ports = (("gRPC", settings.port), ("HTTP", settings.http_port))
    return [_port(name, settings.host, port, own) for name, port in ports]


def _own_addresses(settings: Settings) -> set[str]:
    """`host:port` of what the running emulator listens on."""
    try:
        presence, endpoint = look_up(settings.state_dir)
    except CliError:  # `doctor` tells it where it looks for the emulator
        return set()
    if endpoint is None or presence is not Presence.RUNNING:
        return set()
    return {endpoint.grpc_address, endpoint.http_address.rpartition("//")[2]}


def _port(name: str, host: str, port: int, own: set[str]) -> Finding:
    check = f"{name} port"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        address = f"{url_host(host)}:{port}"
        taken = error.errno == errno.EADDRINUSE
        if taken and address in own:
            return Finding(check, Result.OK, f"{port} on {host} is in use by the emulator that is running")
        what = f"{host}:{port}" if port else host
        who = ""
        if taken and is_healthy(f"http://{address}"):
            who = "; an emulator of another state folder seems to answer there: choose another port, or stop it"
        return Finding(check, Result.MISSING, f"{what} cannot be had: {error.strerror}{who}")
    return Finding(check, Result.OK, f"{port} is free on {host}" if port else f"any free one on {host}")
