"""What a terminal is shown of text that jobs and callers wrote: nothing that does more than colour it.

A terminal obeys what it is sent: sequences set its title and the clipboard, move the cursor to lines that are already
there, and have it type answers. Let through is what cannot leave the current line: tabs, ``\\r`` and backspaces (bars
of progress), colours and styles (SGR: ``ESC [ ... m``), and clearing the line (EL: ``ESC [ ... K``). All else is
spelled out: ``\\x1b]0;title\\x07``.
"""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

_RESET = "\x1b[0m"
_PARTS = re.compile(
    r"(?P<style>\x1b\[[0-9;:]{0,64}m)|(?P<clear>\x1b\[[0-2]?K)"
    # C0 without backspace, tab, newline and return; DEL and C1; what turns the direction of text around; line
    # separators; bytes that are no UTF-8.
    r"|(?P<bad>[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff])"
)
# May become one of the sequences that are let through.
_UNFINISHED = re.compile(r"\x1b(\[[0-9;:]{0,64})?\Z")
_RESETS = re.compile(r"\x1b\[0*m")


def spelled_out(char: str) -> str:
    """A character as an escape in Python's spelling; a byte that was no UTF-8 (``surrogateescape``) as that byte."""
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


class HarmlessText:
    """Makes a stream of text harmless. A sequence may be cut anywhere between two pieces."""

    def __init__(self) -> None:
        self._kept = ""
        self._is_styled = False

    def feed(self, text: str) -> str:
        """What may be shown now."""
        text = self._kept + text
        unfinished = _UNFINISHED.search(text)
        self._kept = unfinished.group() if unfinished else ""
        return self._clean(text[: len(text) - len(self._kept)])

    def end(self) -> str:
        """What is left at the end of the stream; takes colours back that are still on."""
        left, self._kept = self._clean(self._kept), ""
        reset, self._is_styled = (_RESET if self._is_styled else ""), False
        return left + reset

    def _clean(self, text: str) -> str:
        return _PARTS.sub(self._part, text)

    def _part(self, match: re.Match[str]) -> str:
        part = match.group()
        if match.group("style"):
            self._is_styled = _RESETS.fullmatch(part) is None
            return part
        return part if match.group("clear") else spelled_out(part)


class HarmlessBytes:
    """`HarmlessText` for bytes that should be UTF-8; a character may be cut between two pieces, too."""

    def __init__(self) -> None:
        self._text = HarmlessText()
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def feed(self, data: bytes) -> bytes:
        """What may be shown now."""
        return self._text.feed(self._decoder.decode(data)).encode()

    def end(self) -> bytes:
        """What is left at the end of the stream."""
        return (self._text.feed(self._decoder.decode(b"", True)) + self._text.end()).encode()


class HarmlessTerminal(io.TextIOBase):
    """A terminal's stream that is written through `HarmlessText`. `buffer` leads around it."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self.buffer = terminal.buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._terminal.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._terminal.errors

    def write(self, text: str) -> int:
        part = HarmlessText()
        self._terminal.write(part.feed(text))
        self._terminal.write(part.end())
        return len(text)

    def flush(self) -> None:
        self._terminal.flush()

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._terminal.fileno()

    def writable(self) -> bool:
        return True


def protect_terminal() -> None:
    """From here on nothing that is printed can make the terminal do things: names and errors come from jobs, too."""
    if sys.stdout is not None and sys.stdout.isatty():
        sys.stdout = HarmlessTerminal(sys.stdout)
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr = HarmlessTerminal(sys.stderr)


@contextmanager
def log_writer(*, raw: bool) -> Iterator[Callable[[bytes], None]]:
    """Writes a log to stdout, piece by piece and at once: its bytes, but on a terminal as harmless text.

    Args:
        raw: its bytes also on a terminal.
    """
    out = sys.stdout.buffer

    def write(data: bytes) -> None:
        out.write(data)
        out.flush()

    if raw or not sys.stdout.isatty():
        yield write
        return
    text = HarmlessBytes()
    try:
        yield lambda data: write(text.feed(data))
    finally:
        # Also when somebody hangs up: colours must not stay on.
        write(text.end())
