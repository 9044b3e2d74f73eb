"""What `sys.stdout` is shown of a run's log.

A terminal obeys what it is sent: sequences set its title and the clipboard, move the cursor to lines that are already
there, and have it type answers. It gets what cannot leave the current line: tabs, ``\\r`` and backspaces (bars of
progress), colours (``ESC [ ... m``), and clearing the line (``ESC [ ... K``); all else is spelled out. Files, pipes and
notebooks get the text as it is.
"""

import re
import sys
from typing import Any

_BAD = re.compile(
    "(?P<good>\x1b\\[[0-9;:]{0,64}m|\x1b\\[[0-2]?K)"
    "|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# May become one of the sequences that are let through.
_UNFINISHED = re.compile("\x1b(\\[[0-9;:]{0,64})?\\Z")


class Screen:
    """Writes text to `sys.stdout` at once, piece by piece; a sequence may be cut anywhere between two pieces."""

    def __init__(self) -> None:
        self._kept = ""

    def __call__(self, text: str) -> None:
        out = sys.stdout
        if _is_terminal(out):
            text = self._kept + text
            unfinished = _UNFINISHED.search(text)
            self._kept = unfinished.group() if unfinished else ""
            text = _BAD.sub(_spelled_out, text[: len(text) - len(self._kept)])
        write_stdout(text)


def write_stdout(text: str) -> None:
    """Writes text to `sys.stdout` at once; characters that it cannot show become question marks."""
    out = sys.stdout
    try:
        out.write(text)
    except UnicodeEncodeError:
        encoding = getattr(out, "encoding", None) or "ascii"
        out.write(text.encode(encoding, "replace").decode(encoding))
    out.flush()


def _is_terminal(out: Any) -> bool:
    try:
        return bool(out.isatty())
    except (AttributeError, ValueError):
        return False


def _spelled_out(match: Any) -> str:
    part: str = match.group()
    return part if match.group("good") else part.encode("unicode_escape").decode("ascii")
