"""A private image registry on 127.0.0.1 (which engines take without TLS) with one small image in it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USERNAME, PASSWORD = "somebody", "s3cret/of+mine ü"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """Serves `team/image:1` to those who show user and password, by the HTTP API that engines pull with.

    Args:
        hold: the layer is begun and never ended, so that a pull can be caught in the act.
    """

    def __init__(self, labels: Mapping[str, str], content: bytes, *, hold: bool = False) -> None:
        self.hold = hold
        self.requests: list[str] = []
        self.authorizations: set[str] = set()
        self.layer_begun = threading.Event()
        self.client_gone = threading.Event()
        self.stopped = threading.Event()
        layer_tar = _tar({"content": content})
        layer = gzip.compress(layer_tar, mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Labels": dict(labels), "Env": ["PATH=/usr/bin:/bin", "FROM_THE_REGISTRY=yes"]},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer_tar).hexdigest()}"]},
                "history": [{"created_by": "tests"}],
            }
        ).encode()
        self.layer, self.blobs = _digest(layer), {_digest(config): config, _digest(layer): layer}
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(config, "application/vnd.docker.container.image.v1+json"),
                "layers": [_descriptor(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
            }
        ).encode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def image(self) -> str:
        return f"{self.address}/team/image:1"

    def __enter__(self) -> Registry:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Tests read what was asked for, not standard error."""

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            registry.requests.append(f"{self.command} {self.path}")
            given = self.headers.get("Authorization", "")
            if given:
                registry.authorizations.add(given)
            if given != "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode():
                # Registries quote what they were given in more ways than one would like.
                said = {"errors": [{"code": "UNAUTHORIZED", "message": f"unauthorized: {given or 'nothing'} is wrong"}]}
                self._answer(401, json.dumps(said).encode(), {"WWW-Authenticate": 'Basic realm="tests"'})
            elif self.path == "/v2/":
                self._answer(200, b"{}", {})
            elif self.path in ("/v2/team/image/manifests/1", f"/v2/team/image/manifests/{_digest(registry.manifest)}"):
                headers = {"Docker-Content-Digest": _digest(registry.manifest), "Content-Type": _MANIFEST}
                self._answer(200, registry.manifest, headers)
            elif (digest := self.path.rpartition("/")[2]) in registry.blobs:
                if digest == registry.layer and registry.hold:
                    self._hold()
                else:
                    self._answer(200, registry.blobs[digest], {"Content-Type": "application/octet-stream"})
            else:
                said = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
                self._answer(404, json.dumps(said).encode(), {})

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _hold(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000000000")
            self.end_headers()
            # An engine that was told to stop closes the connection, once it has got something more to read.
            try:
                while not registry.stopped.wait(0.02):
                    self.wfile.write(b"\x1f\x8b")
                    registry.layer_begun.set()
            except OSError:
                registry.client_gone.set()
            self.close_connection = True

    return Handler


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(content: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(content), "digest": _digest(content)}
