"""A web page in a browser of this machine: it can send requests to the emulator; it gets nothing and does nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from campaigns.attacks.clients import Answer, http_request
from campaigns.attacks.scene import GROUP, Scene

LIST = "/localaml.v1.WorkspaceService/ListWorkspaces"
PAGE = "https://evil.example"


def _ask(scene: Scene, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
    answer = http_request(scene.http, method, target, body, headers)
    # Without this word no page of another origin may read an answer.
    assert not [name for name in answer.headers if name.startswith("access-control-")], answer.headers
    return answer


def _authorized(scene: Scene, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {scene.owner}", "content-type": "application/json", **more}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1.evil.example:8080",
        "localhost:80@evil.example",
        "localhost@evil.example",
        "127.0.0.1:80@evil.example",
        "[::1].evil.example",
        "[::1]evil.example",
        "[::1]:80.evil.example",
        "[::1",
        "::1.evil.example",
        "evil.example, localhost",
        "localhost, evil.example",
        "localhost evil.example",
        "localhost/evil.example",
        "localhost:evil.example",
        "localhost#.evil.example",
        "192.0.2.1",
        "0.0.0.0",
        "169.254.169.254",
        "2130706433",
        "0x7f000001",
        "",
    ],
)
def test_only_names_of_this_machine_are_answered(scene: Scene, host: str) -> None:
    """What a page gets whose own name was made to point here (DNS rebinding): not even with the token."""
    answer = _ask(scene, "POST", LIST, _authorized(scene, host=host), b"{}")
    assert answer.status in (400, 403, 421), answer
    assert b"mine" not in answer.body
    assert _ask(scene, "GET", "/", {"host": host}).status in (400, 403, 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.2:99", "[::1]", "[::1]:8080"])
def test_those_are_answered(scene: Scene, host: str) -> None:
    assert _ask(scene, "POST", LIST, _authorized(scene, host=host), b"{}").ok


def test_no_page_is_allowed_to_ask(scene: Scene) -> None:
    """What a browser asks before it sends a page's token or JSON to another origin."""
    asked = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
        "access-control-request-private-network": "true",
    }
    for target in (LIST, "/", "/healthz", "/bytes/datastore/a/b/c", "*"):
        assert _ask(scene, "OPTIONS", target, asked).status >= 400


def test_what_a_page_may_send_unasked_does_nothing(scene: Scene) -> None:
    """Forms, images and `no-cors` requests: no token, and only these types."""
    body = json.dumps({"parent": GROUP, "workspaceName": "forged"}).encode()
    target = "/localaml.v1.WorkspaceService/CreateWorkspace"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        headers = {"origin": PAGE, "content-type": kind} if kind else {"origin": PAGE}
        assert _ask(scene, "POST", target, headers, body).status >= 400
        # Nor with a token that the page has found out by some other means.
        headers["authorization"] = f"Bearer {scene.owner}"
        assert _ask(scene, "POST", target, headers, body).status >= 400
    for method in ("GET", "HEAD", "PUT"):
        assert _ask(scene, method, target, {"origin": PAGE}, body).status >= 400
    assert "forged" not in json.dumps(scene.ask("WorkspaceService/ListWorkspaces", {"parent": GROUP}))


def test_answers_are_not_taken_for_pages(scene: Scene) -> None:
    """A file that a job has left is bytes to a browser, whatever is in it."""
    page = b"<script>alert(1)</script>"
    assert scene.upload("data/page.html", page).status == 201
    request = {"name": f"{GROUP}/workspaces/mine/datastores/workspaceblobstore", "paths": ["data/page.html"]}
    url = scene.ask("DatastoreService/CreateDatastoreDownloadUrls", request)["urls"][0]["url"]
    answer = scene.transfer(url)
    assert answer.body == page
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for target in ("/<script>alert(1)</script>", "/localaml.<script>", "/bytes/<script>/x"):
        answer = _ask(scene, "GET", target, {})
        assert "html" not in answer.headers["content-type"], answer


def test_requests_within_requests(scene: Scene) -> None:
    """Two ways to say how long a body is: nothing that lies in a body is served as a request."""
    place = urlsplit(scene.http)
    smuggled = f"POST {LIST} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {scene.owner}\r\n"
    smuggled += "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    head = f"POST {LIST} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for lengths in (
        f"Content-Length: {len(smuggled)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"Content-Length: 0\r\nContent-Length: {len(smuggled)}\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 0x0\r\n\r\n",
    ):
        with socket.create_connection((place.hostname, place.port or 0), 20) as connection:
            connection.settimeout(20)
            connection.sendall((head + lengths + smuggled).encode())
            connection.shutdown(socket.SHUT_WR)
            told = b""
            try:
                while part := connection.recv(65536):
                    told += part
            except ConnectionResetError:
                pass
        assert b'"mine"' not in told and b" 200 " not in told, (lengths, told)
