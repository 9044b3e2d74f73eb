"""A program with a terminal of its own."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def on_a_terminal(words: Sequence[str], environment: Mapping[str, str], cwd: Path) -> tuple[int, bytes]:
    """Runs a program with stdout and stderr on a terminal; returns its exit code and what the terminal was sent."""
    mine, its = pty.openpty()
    try:
        process = subprocess.Popen(
            words,
            env={**environment, "TERM": "xterm-256color"},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=its,
            stderr=its,
        )
    finally:
        os.close(its)
    sent = b""
    try:
        while True:
            try:
                piece = os.read(mine, 65_536)
            except OSError:  # the last end on the other side was closed
                break
            if not piece:
                break
            sent += piece
    finally:
        os.close(mine)
        code = process.wait(timeout=60)
    return code, sent
