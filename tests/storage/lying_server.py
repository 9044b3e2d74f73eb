"""An HTTP server that answers as a store should not: for clients that must notice."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

_MODIFIED = "Mon, 23 Nov 2026 05:00:00 GMT"


@dataclass
class LyingServer:
    """One object, at every path.

    Attributes:
        content: its bytes.
        tag: its ETag.
        break_after: bytes of a whole answer after which the connection is lost, once; then `content` and `tag` become
            what `next_content` and `next_tag` say.
        ignores_range, ignores_condition: headers of requests that it does not know.
        range_shift: where ranges really begin, beside what was asked for.
        redirect_to: URL that every request is sent to.
        without: headers of answers that it leaves out.
        seen: method, path and headers of the requests.
    """

    content: bytes = b""
    tag: str = '"first"'
    break_after: int | None = None
    next_content: bytes | None = None
    next_tag: str | None = None
    ignores_range: bool = False
    ignores_condition: bool = False
    range_shift: int = 0
    redirect_to: str = ""
    without: tuple[str, ...] = ()
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def __enter__(self) -> LyingServer:
        lies = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *_: object) -> None:
                return None

            def do_HEAD(self) -> None:
                lies._answer(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                return None  # clients hang up when they have noticed

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.seen.append((request.command, request.path, {k.lower(): v for k, v in request.headers.items()}))
        if self.redirect_to:
            self._send(request, 307, {"Location": self.redirect_to + request.path}, b"")
            return
        condition = request.headers.get("If-Match")
        if condition is not None and condition != self.tag and not self.ignores_condition:
            self._send(request, 412, {}, b"")
            return
        headers = {
            "ETag": self.tag,
            "Last-Modified": _MODIFIED,
            "x-ms-blob-type": "BlockBlob",
            "Content-Type": "application/octet-stream",
        }
        wanted = request.headers.get("x-ms-range") or request.headers.get("Range") or ""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if found is None or self.ignores_range:
            self._send(request, 200, headers, self.content)
            return
        start, end = int(found[1]), int(found[2] or len(self.content) - 1)
        start, end = start + self.range_shift, min(end + self.range_shift, len(self.content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(self.content)}"
        self._send(request, 206, headers, self.content[start : end + 1])

    def _send(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            if name not in self.without:
                request.send_header(name, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        if self.break_after is not None and len(body) > self.break_after:
            request.wfile.write(body[: self.break_after])
            self.break_after = None
            self.content = self.content if self.next_content is None else self.next_content
            self.tag = self.tag if self.next_tag is None else self.next_tag
            request.close_connection = True
            request.connection.shutdown(2)
            return
        request.wfile.write(body)
