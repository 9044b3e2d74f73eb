"""moto's S3 on loopback, inside this process: a cloud that goes with the emulator.

It keeps everything in memory and in temporary files, and asks for no credentials. So it takes no more than it is told,
answers only who calls it by a loopback name, and forgets its buckets when it stops.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from localaml.errors import FailedPrecondition

_HOST = "127.0.0.1"
_LOOPBACK_NAMES = ("127.0.0.1", "localhost")
_STOP_SECONDS = 10.0
# Writes after which the buckets are counted anew: what was replaced or removed meanwhile makes room.
_COUNT_AFTER = 1000

_Environ = dict[str, Any]
_Start = Callable[..., Any]


class MotoCloud:
    """A server in a thread.

    Args:
        port: 0 for any free one.
        limit_bytes: what all buckets together may hold.

    Raises FailedPrecondition ``EXTRA_MISSING`` or ``PORT_IN_USE``.
    """

    def __init__(self, port: int, limit_bytes: int) -> None:
        try:
            from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
            from werkzeug.serving import make_server
        except ImportError:
            raise FailedPrecondition(
                "EXTRA_MISSING", "--cloud moto needs moto: install it with pip install 'localaml[moto]'."
            ) from None

        class Quiet(MotoRequestHandler):  # type: ignore[misc]
            """Keeps connections, writes no log."""

            protocol_version = "HTTP/1.1"

            def log_request(self, *_: object, **__: object) -> None:
                return None

        self._guard = _Guard(create_backend_app("s3"), limit_bytes)
        try:
            server: Any = make_server(_HOST, port, self._guard, threaded=True, request_handler=Quiet)
        except (OSError, SystemExit) as error:
            raise FailedPrecondition("PORT_IN_USE", f"Port {port} for moto is taken: {error}.") from None
        server.daemon_threads = True
        self._server = server
        self.port: int = self._server.server_address[1]
        self.endpoint = f"http://{_HOST}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="moto", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops, and forgets all buckets that were made here. Idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_STOP_SECONDS)
        self._guard.forget()


class _Guard:
    """Stands before moto: whom it answers, and how much it takes."""

    def __init__(self, app: Callable[[_Environ, _Start], Iterable[bytes]], limit_bytes: int) -> None:
        self._app = app
        self._limit = limit_bytes
        self._lock = threading.Lock()
        # What may still come before the buckets have to be counted again.
        self._room = limit_bytes
        self._since_count = 0
        self._names: set[str] = set()

    def __call__(self, environ: _Environ, start: _Start) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
        if host not in _LOOPBACK_NAMES and not host.endswith(".localhost"):
            return _refuse(start, "421 Misdirected Request", "HostNotAllowed", "Only loopback names are answered.")
        if environ["REQUEST_METHOD"] in ("PUT", "POST"):
            with self._lock:
                self._names.add(environ.get("PATH_INFO", "").strip("/").partition("/")[0])
            if not self._fits(self._wanted(environ)):
                # The body is not read: the connection cannot be used for another request.
                text = f"This mock cloud holds at most {self._limit} bytes (LOCALAML_MOTO_LIMIT_BYTES)."
                return _refuse(start, "507 Insufficient Storage", "InsufficientStorage", text)
        return self._app(environ, start)

    def _wanted(self, environ: _Environ) -> int:
        try:
            length = int(environ.get("CONTENT_LENGTH") or 0)
        except ValueError:
            length = 0
        source = environ.get("HTTP_X_AMZ_COPY_SOURCE")
        if source:
            bucket, _, name = source.lstrip("/").partition("?")[0].partition("/")
            length += _size_of(bucket, name)
        return length

    def _fits(self, count: int) -> bool:
        with self._lock:
            self._since_count += 1
            if count > self._room or self._since_count > _COUNT_AFTER:
                self._room = self._limit - _stored(self._names)
                self._since_count = 0
            if count > self._room:
                return False
            self._room -= count
            return True

    def forget(self) -> None:
        """Removes the buckets that were made through this server; other servers of this process keep theirs."""
        for backend in _backends():
            for name in self._names:
                bucket = backend.buckets.pop(name, None)
                if bucket is None:
                    continue
                for key in _keys(bucket):
                    key.dispose()
                from moto.s3.models import s3_backends

                s3_backends.bucket_accounts.pop(name, None)


def _backends() -> Iterator[Any]:
    from moto.s3.models import s3_backends

    for account in list(s3_backends.values()):
        yield from list(account.values())


def _keys(bucket: Any) -> list[Any]:
    """All that has content: objects, the parts that they were made of (moto keeps them), parts of open uploads."""
    found = [key for _, versions in list(bucket.keys.lists()) for key in list(versions)]
    found += [part for key in found for part in getattr(getattr(key, "multipart", None), "parts", {}).values()]
    for upload in list(bucket.multiparts.values()):
        found += list(upload.parts.values())
    return [key for key in found if hasattr(key, "dispose")]


def _stored(names: Iterable[str]) -> int:
    from moto.s3.models import FakeKey

    # moto remembers every object that there ever was.
    FakeKey.instances_tracked[:] = [key for key in FakeKey.instances_tracked if not key.disposed]
    total = 0
    for backend in _backends():
        for name in list(names):
            bucket = backend.buckets.get(name)
            if bucket is not None:
                total += sum(int(getattr(key, "contentsize", 0)) for key in _keys(bucket))
    return total


def _size_of(bucket_name: str, name: str) -> int:
    from urllib.parse import unquote

    for backend in _backends():
        bucket = backend.buckets.get(bucket_name)
        key = None if bucket is None else bucket.keys.get(unquote(name))
        if key is not None:
            return int(getattr(key, "contentsize", 0))
    return 0


def _refuse(start: _Start, status: str, code: str, text: str) -> Iterable[bytes]:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body))), ("Connection", "close")]
    start(status, headers)
    return [body]
