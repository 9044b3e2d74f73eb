"""Files of the web come from no server that only the emulator's machine reaches, unless its owner names it."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaml.errors import PermissionDenied
from localaml.jobs.web_files import fetch_url
from localaml.jobs.web_hosts import is_only_ours

SECRET = b"what only this machine shall see"


class Server(http.server.ThreadingHTTPServer):
    """Counts what it is asked for; `/to/URL` leads on to URL."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                self.send_response(302 if self.path.startswith("/to/") else 200)
                if self.path.startswith("/to/"):
                    self.send_header("Location", self.path[4:])
                self.send_header("Content-Length", str(len(SECRET)))
                self.end_headers()
                self.wfile.write(SECRET)

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
    ],
)
async def test_this_machine_is_asked_for_nothing(server: Server, tmp_path: Path, host: str) -> None:
    with pytest.raises(PermissionDenied, match="LOCALAML_ALLOWED_WEB_HOSTS") as caught:
        await fetch_url(f"http://{host}:{server.port}/x", tmp_path / "x")
    assert caught.value.reason == "WEB_HOST_NOT_ALLOWED"
    assert server.asked == [] and list(tmp_path.iterdir()) == []


async def test_a_name_that_leads_here_is_no_way_in(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = socket.getaddrinfo

    def lying(host: str, *arguments: object, **more: object) -> object:
        return found("127.0.0.1" if host == "files.example.org" else host, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    with pytest.raises(PermissionDenied):
        await fetch_url(f"http://files.example.org:{server.port}/x", tmp_path / "x")
    assert server.asked == []


async def test_nor_is_a_redirect(server: Server, tmp_path: Path) -> None:
    for target in (f"http://127.0.0.1:{server.port}/x", f"ftp://127.0.0.1:{server.port}/x"):
        with pytest.raises(Exception) as caught:
            await fetch_url(f"http://localhost:{server.port}/to/{target}", tmp_path / "x", ["localhost"])
        assert "127.0.0.1" in str(caught.value) or "ftp" in str(caught.value)
    assert [path[:4] for path in server.asked] == ["/to/", "/to/"]
    assert list(tmp_path.iterdir()) == []


async def test_a_proxy_is_the_owner_s_and_gives_nobody_this_machine(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    await fetch_url("http://unknown.invalid/x", tmp_path / "x")
    assert server.asked == ["http://unknown.invalid/x"]
    for host in ("127.0.0.1:1", "localhost:1", "169.254.169.254"):
        with pytest.raises(PermissionDenied):
            await fetch_url(f"http://{host}/x", tmp_path / "y")
    assert len(server.asked) == 1


async def test_what_the_owner_allows_is_fetched(server: Server, tmp_path: Path) -> None:
    await fetch_url(f"http://LOCALHOST:{server.port}/x", tmp_path / "x", ["localhost"])
    assert (tmp_path / "x").read_bytes() == SECRET


def test_addresses_that_only_we_reach() -> None:
    ours = ["127.9.9.9", "::1", "::", "0.0.0.0", "0.1.2.3", "169.254.169.254", "fe80::1%eth0", "::ffff:127.0.0.1"]
    ours += ["::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "ff02::1"]
    assert [address for address in ours if not is_only_ours(address)] == []
    others = ["8.8.8.8", "10.0.0.1", "192.168.1.1", "2001:db8::1", "fd00::1", "::ffff:8.8.8.8"]
    assert [address for address in others if is_only_ours(address)] == []
