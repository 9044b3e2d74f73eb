"""HTTP/1.1 for control calls: a request with a body, an answer that is read whole. Nothing else of HTTP is understood.

A job's process starts for every run, and most of its time before the first line of a script is spent on imports. The
standard library's client costs 20 ms of them, this one 1 ms.
"""

from __future__ import annotations

import socket
from typing import BinaryIO, Dict, List, Mapping, NamedTuple, Optional, Tuple

from azureml._localaml.connection_pool import Address

_MAX_LINE_BYTES = 65536
_MAX_HEADERS = 200
_MAX_DIGITS = 15


class Garbled(OSError):
    """What came is not the answer that HTTP would have here; the connection is of no more use."""


class Answer(NamedTuple):
    """An answer. Names of headers are in lower case; of repeated ones the last counts."""

    status: int
    headers: Dict[str, str]
    body: bytes


class PlainConnection:
    """A connection, opened at its first request and kept as long as the other side keeps it.

    Args:
        timeout: seconds for each wait on it.

    Attributes:
        sock: the socket; None while there is none.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self._address = address
        self.timeout = timeout
        self.sock: Optional[socket.socket] = None
        self._reader: Optional[BinaryIO] = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Sends a body, returns what comes back. After any exception the caller has to `close` the connection.

        Raises:
            socket.timeout: nothing came for `timeout` seconds.
            OSError: the connection could not be made, or was lost.
        """
        if self.sock is None:
            self._open()
        assert self.sock is not None and self._reader is not None
        host, port = self._address
        lines = [
            "POST {} HTTP/1.1".format(path),
            "Host: {}:{}".format("[{}]".format(host) if ":" in host else host, port),
            "Accept-Encoding: identity",
            "Content-Length: {}".format(len(body)),
            *("{}: {}".format(name, value) for name, value in headers.items()),
        ]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("A line break in an HTTP header.")
        self.sock.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self._read_answer(self._reader)

    def close(self) -> None:
        """Ends it; the next request opens another one."""
        reader, self._reader = self._reader, None
        sock, self.sock = self.sock, None
        if reader is not None:
            reader.close()
        if sock is not None:
            sock.close()

    def _open(self) -> None:
        self.sock = _dial(self._address, self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self.sock.makefile("rb")

    def _read_answer(self, reader: BinaryIO) -> Answer:
        status = 100
        while 100 <= status < 200:  # interim answers come before the one that counts
            status, version = _status(_line(reader))
            headers = _headers(reader)
        closes = "close" in headers.get("connection", "").lower() or version == "HTTP/1.0"
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = _chunks(reader)
        elif status in (204, 304):
            body = b""
        elif "content-length" in headers:
            body = _exactly(reader, _number(headers["content-length"], 10))
        else:
            body, closes = reader.read(), True
        if closes:
            self.close()
        return Answer(status, headers, body)


def is_numeric(host: str) -> bool:
    """Whether it is an IPv4 address, not a name."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return False
    return True


def _dial(address: Address, timeout: float) -> socket.socket:
    if not is_numeric(address[0]):
        return socket.create_connection(address, timeout)
    # Without looking a name up, which loads the tables of international ones.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _line(reader: BinaryIO) -> str:
    line = reader.readline(_MAX_LINE_BYTES + 1)
    if not line.endswith(b"\n"):
        raise Garbled("a line is too long" if len(line) > _MAX_LINE_BYTES else "the connection was closed")
    return line.decode("latin-1").rstrip("\r\n")


def _status(line: str) -> Tuple[int, str]:
    version, _, rest = line.partition(" ")
    number = rest[:3]
    if not version.startswith("HTTP/1.") or not number.isdigit() or len(number) != 3:
        raise Garbled("what answers does not speak HTTP: {!r}".format(line[:80]))
    return int(number), version


def _headers(reader: BinaryIO) -> Dict[str, str]:
    headers: Dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = _line(reader)
        if not line:
            return headers
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    raise Garbled("too many headers")


def _chunks(reader: BinaryIO) -> bytes:
    parts: List[bytes] = []
    while True:
        size = _number(_line(reader).partition(";")[0].strip(), 16)
        if size == 0:
            _headers(reader)
            return b"".join(parts)
        parts.append(_exactly(reader, size))
        if _line(reader):
            raise Garbled("a chunk is longer than it says")


def _exactly(reader: BinaryIO, size: int) -> bytes:
    body = reader.read(size)
    if len(body) != size:
        raise Garbled("the answer broke off")
    return body


def _number(text: str, base: int) -> int:
    digits = "0123456789abcdefABCDEF" if base == 16 else "0123456789"
    if not 0 < len(text) <= _MAX_DIGITS or text.strip(digits):
        raise Garbled("{!r} is not a length".format(text[:40]))
    return int(text, base)
