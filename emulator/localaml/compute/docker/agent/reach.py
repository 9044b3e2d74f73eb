"""Runs a command in a container that reaches some ports of this machine's loopback address, and no others.

usage: python -I -S reach.py FOLDER PORT=SOCKET... -- COMMAND...

On each port of the container's own loopback address connections are taken, and led to the unix socket of that name in
FOLDER, behind which the emulator leads them on. Ends with the command's exit code. For Python 3.6 and newer, with
nothing but the standard library.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading

_CHUNK = 64 * 1024


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(_CHUNK)
            if not data:
                break
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _lead(connection: socket.socket, name: str) -> None:
    there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with connection, there:
        try:
            there.connect(name)
        except OSError:
            return
        back = threading.Thread(target=_copy, args=(there, connection), daemon=True)
        back.start()
        _copy(connection, there)
        back.join()


def _accept(listening: socket.socket, name: str) -> None:
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_lead, args=(connection, name), daemon=True).start()


def main(words: "list[str]") -> int:
    """Runs the command and returns its exit code."""
    end = words.index("--")
    folder, ports, command = words[0], words[1:end], words[end + 1 :]
    # The folder's path may be longer than the address of a socket.
    os.chdir(folder)
    for word in ports:
        port, _, name = word.partition("=")
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", int(port)))
        listening.listen(64)
        threading.Thread(target=_accept, args=(listening, name), daemon=True).start()
    code = subprocess.call(command, cwd="/")
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
