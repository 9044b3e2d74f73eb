"""HTTP/1.1 for control calls: a request with a body, an answer that is read whole. Nothing else of HTTP is understood.

A job's process starts for every run, and most of its time before the first line of a script is spent on imports. The
standard library's client costs 20 ms of them, this one 1 ms.

Nothing here has a lock. `io.BufferedReader` has one and holds it as long as it waits: a process that forks meanwhile
leaves its child with a reader that cannot even be closed, and Python aborts a process that ends meanwhile.
"""

import socket
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

from azureml._localaml.connection_pool import Address

_MAX_LINE_BYTES = 65536
_MAX_HEADERS = 200
_MAX_DIGITS = 15
_READ_BYTES = 65536
_MOST_AT_ONCE = 1 << 20


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
        self._reader: Optional[_Reader] = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> "Answer":
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
        self._reader = None
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    def _open(self) -> None:
        self.sock = _dial(self._address, self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = _Reader(self.sock)

    def _read_answer(self, reader: "_Reader") -> "Answer":
        status = 100
        while 100 <= status < 200:  # interim answers come before the one that counts
            status, version = _status(reader.line())
            headers = _headers(reader)
        closes = "close" in headers.get("connection", "").lower() or version == "HTTP/1.0"
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = _chunks(reader)
        elif status in (204, 304):
            body = b""
        elif "content-length" in headers:
            body = reader.exactly(_number(headers["content-length"], 10))
        else:
            body, closes = reader.rest(), True
        if closes:
            self.close()
        return Answer(status, headers, body)


class _Reader:
    """Reads lines and lengths from a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._ahead = b""

    def line(self) -> str:
        """The next line, without its end. Raises Garbled when there is none."""
        while b"\n" not in self._ahead and len(self._ahead) <= _MAX_LINE_BYTES:
            more = self._socket.recv(_READ_BYTES)
            if not more:
                raise Garbled("the connection was closed")
            self._ahead += more
        line, _, ahead = self._ahead.partition(b"\n")
        if len(line) >= _MAX_LINE_BYTES:
            raise Garbled("a line is too long")
        self._ahead = ahead
        return line.decode("latin-1").rstrip("\r")

    def exactly(self, size: int) -> bytes:
        """So many bytes. Raises Garbled when there are less."""
        parts = [self._ahead[:size]]
        self._ahead = self._ahead[size:]
        left = size - len(parts[0])
        while left:
            part = self._socket.recv(min(left, _MOST_AT_ONCE))
            if not part:
                raise Garbled("the answer broke off")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def rest(self) -> bytes:
        """All until the other side closes the connection."""
        parts = [self._ahead]
        self._ahead = b""
        while parts[-1] or len(parts) == 1:
            parts.append(self._socket.recv(_READ_BYTES))
        return b"".join(parts)


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


def _status(line: str) -> Tuple[int, str]:
    version, _, rest = line.partition(" ")
    number = rest[:3]
    if not version.startswith("HTTP/1.") or not number.isdigit() or len(number) != 3:
        raise Garbled("what answers does not speak HTTP: {!r}".format(line[:80]))
    return int(number), version


def _headers(reader: "_Reader") -> Dict[str, str]:
    headers: Dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = reader.line()
        if not line:
            return headers
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    raise Garbled("too many headers")


def _chunks(reader: "_Reader") -> bytes:
    parts: List[bytes] = []
    while True:
        size = _number(reader.line().partition(";")[0].strip(), 16)
        if size == 0:
            _headers(reader)
            return b"".join(parts)
        parts.append(reader.exactly(size))
        if reader.line():
            raise Garbled("a chunk is longer than it says")


def _number(text: str, base: int) -> int:
    digits = "0123456789abcdefABCDEF" if base == 16 else "0123456789"
    if not 0 < len(text) <= _MAX_DIGITS or text.strip(digits):
        raise Garbled("{!r} is not a length".format(text[:40]))
    return int(text, base)
