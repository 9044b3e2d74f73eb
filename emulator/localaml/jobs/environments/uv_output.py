"""What uv prints, as it comes in pieces: kept and logged line by line, without secrets."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from localaml.domain.redaction import redact

Log = Callable[[str], None]
# A line without an end must not fill the memory.
_LONGEST_LINE = 64 * 1024


class UvOutput:
    """Gathers the output of one run of uv.

    Args:
        log: gets each line once it is complete.

    Attributes:
        lines: all of them so far.
    """

    def __init__(self, log: Log) -> None:
        self.lines: list[str] = []
        self._log = log
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, part: bytes) -> None:
        """Takes in the next piece."""
        *complete, self._rest = (self._rest + self._decoder.decode(part)).split("\n")
        if len(self._rest) > _LONGEST_LINE:
            complete.append(self._rest)
            self._rest = ""
        for line in complete:
            self._note(line)

    def end(self) -> tuple[str, ...]:
        """There is no more; all lines."""
        rest, self._rest = (self._rest + self._decoder.decode(b"", final=True)).rstrip(), ""
        if rest:
            self._note(rest)
        return tuple(self.lines)

    def _note(self, text: str) -> None:
        line = redact(text.rstrip())
        self.lines.append(line)
        self._log(line)
