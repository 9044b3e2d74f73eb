"""Ports: as asked, else where the last emulator was, else anywhere; never another's."""

from __future__ import annotations

import socket

import grpc.aio
import pytest

from localaml.errors import FailedPrecondition
from localaml.listening import bind_grpc_port, bind_http_port, check_host, url_host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_fine(host: str) -> None:
    check_host(host, False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", ""])
def test_others_only_when_allowed(host: str) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        check_host(host, False)
    assert caught.value.reason == "HOST_NOT_LOOPBACK"
    check_host(host, True)


def test_hosts_in_urls() -> None:
    hosts = ["127.0.0.1", "localhost", "::1", "0.0.0.0", "::"]
    assert [url_host(host) for host in hosts] == ["127.0.0.1", "localhost", "[::1]", "127.0.0.1", "[::1]"]


async def test_last_port_is_taken_again_unless_it_is_in_use() -> None:
    first = bind_http_port("127.0.0.1", 0, 0)
    port = first.getsockname()[1]
    first.listen()
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    other = bind_http_port("127.0.0.1", 0, port)
    assert other.getsockname()[1] not in (0, port)
    assert bind_grpc_port(server, "127.0.0.1", 0, port) not in (0, port)
    for bind in (lambda: bind_http_port("127.0.0.1", port, 0), lambda: bind_grpc_port(server, "127.0.0.1", port, 0)):
        with pytest.raises(FailedPrecondition) as caught:
            bind()
        assert caught.value.reason == "PORT_IN_USE"
        assert str(port) in caught.value.message
    first.close()
    again = bind_http_port("127.0.0.1", 0, port)
    assert again.getsockname()[1] == port
    again.close()
    assert bind_grpc_port(server, "127.0.0.1", 0, port) == port
    other.close()
    await server.stop(None)


async def test_two_grpc_servers_never_share_a_port() -> None:
    one, two = (grpc.aio.server(options=(("grpc.so_reuseport", 0),)) for _ in range(2))
    port = bind_grpc_port(one, "127.0.0.1", 0, 0)
    await one.start()
    with pytest.raises(FailedPrecondition):
        bind_grpc_port(two, "127.0.0.1", port, 0)
    assert bind_grpc_port(two, "127.0.0.1", 0, port) != port
    await one.stop(None)
    await two.stop(None)


def test_address_of_another_machine() -> None:
    with pytest.raises(FailedPrecondition) as caught:
        bind_http_port("192.0.2.1", 0, 0)
    assert caught.value.reason == "ADDRESS_NOT_AVAILABLE"


def test_the_socket_is_not_listening_yet() -> None:
    sock = bind_http_port("127.0.0.1", 0, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(sock.getsockname())
    sock.close()
