"""Starts a program on another node of the job, as if it were here: output, exit code, signals; it dies with this one.

usage: python -I -S -X utf8 call.py HOST PORT TOKEN_FILE WORD...

This is how Open MPI's mpirun, and the supervisor of other runs, reach the nodes beside the first: by the agent there
(`agent.py`). Runs with the standard library of the image's Python, 3.7 or newer.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

# This process has it in its environment, so that it is not told to end when the program that it stands for is.
CALL = "LOCALAML_AGENT_CALL"
_OUTPUT, _EXIT = b"o", b"x"
_CONNECT_SECONDS = 20.0


def call(host: str, port: int, token: str, words: Sequence[str]) -> int:
    """Starts a program on another node and stays until it has ended; its exit code."""
    environment = dict(os.environ)
    environment.pop(CALL, None)
    try:
        connection = socket.create_connection((host, port), _CONNECT_SECONDS)
    except OSError as error:
        print(f"LocalAML: node {host} cannot be reached: {error.strerror or error}", file=sys.stderr)
        return 255
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A node that goes without a word is missed after some ten seconds.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda received, _: connection.sendall(bytes([received])))
    wanted = {"words": list(words), "environment": environment, "directory": str(Path.cwd())}
    request = json.dumps(wanted).encode("ascii")
    # When it has hung up, what it said before that is still to be read.
    with contextlib.suppress(OSError):
        connection.sendall(f"{token} {len(request)}\n".encode("ascii") + request)
    stream = connection.makefile("rb")
    while True:
        head = stream.read(5)
        data = stream.read(struct.unpack(">I", head[1:])[0]) if len(head) == 5 else b""
        kind = head[:1]
        if kind == _OUTPUT:
            os.write(1, data)
        elif kind == _EXIT:
            return int(struct.unpack(">I", data)[0])
        else:
            why = data.decode(errors="replace") or "the connection was lost"
            print(f"LocalAML: node {host}: {why}", file=sys.stderr)
            return 255


def main(arguments: Sequence[str]) -> int:
    """Exit code of the program; 255 when the node cannot be reached, or was lost."""
    host, port, token_file = arguments[:3]
    with open(token_file, encoding="ascii") as file:  # noqa: PTH123
        token = file.read()
    return call(host, int(port), token, arguments[3:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
