"""What people see of a transfer of many files.

The lines that Azure's SDK prints go to standard output, as they do there: two per file, and a last one. How far the
bytes have come goes to standard error, per file and for all together: on a terminal one line that is drawn anew, else
a line now and then, for transfers that take longer than that.
"""

import os
import shutil
import sys
import threading
import time
from typing import Callable, Dict, List, Optional, Sequence, TextIO

from azureml._localaml.transfer import Watcher

_REDRAW_SECONDS = 0.1
# Where there is no terminal, e.g. in a job's log.
_LINE_SECONDS = 5.0
_BAR = 20
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


class Display:
    """Shows one transfer. Safe to use from several threads.

    Args:
        verb: ``Upload`` or ``Download``.
        sizes: of all files that are wanted, in bytes.
        show: whether anything is to be seen.
        out, errors: standard output and standard error of the moment, unless given.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        verb: str,
        sizes: Sequence[int],
        show: bool,
        out: Optional[TextIO] = None,
        errors: Optional[TextIO] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verb = verb
        self._show = show
        self._out = sys.stdout if out is None else out
        self._errors = sys.stderr if errors is None else errors
        self._clock = clock
        self._lock = threading.Lock()
        self._files, self._bytes = len(sizes), sum(sizes)
        self._at: Dict[str, int] = {}
        self._ended = self._complete = self._position = self._travelled = 0
        self._begun = self._drawn = clock()
        self._is_drawn = False
        self._on_terminal = _is_terminal(self._errors)
        self.count = 0
        self.unchanged = 0

    def watcher(self, names: List[str], sizes: List[int]) -> Watcher:
        """Watches a batch of the files."""
        return _Batch(self, names, sizes)

    def line(self, text: str) -> None:
        """A line of standard output."""
        with self._lock:
            self._print(text)

    def started(self, name: str) -> None:
        with self._lock:
            self._at[name] = 0
            self._print("{}ing {}".format(self._verb, name))

    def moved(self, name: str, position: int, count: int, size: int) -> None:
        with self._lock:
            self._position += position - self._at.get(name, 0)
            self._at[name] = position
            self._travelled += count
            self._draw(name, position, size)

    def done(self, name: str, size: int) -> None:
        with self._lock:
            self.count += 1
            self._end(name, size)
            form = "{}ed {}, {} files out of an estimated total of {}"
            self._print(form.format(self._verb, name, self.count, self._files))

    def kept(self, name: str, size: int) -> None:
        with self._lock:
            self.unchanged += 1
            self._end(name, size)
            self._print("Target is the same already. Skipping {} of {}".format(self._verb.lower(), name))

    def skipped(self, name: str, shown: str, size: int) -> None:
        """It is there already, and is not to be replaced."""
        with self._lock:
            self._end(name, size)
            self._print("Target already exists. Skipping {} for {}".format(self._verb.lower(), shown))

    def finish(self) -> None:
        """The last line; also when it ends by an error."""
        with self._lock:
            if self._is_drawn:
                self._clear()
                self._errors.write(self._total() + "\n")
                self._errors.flush()
            self._print("{}ed {} files".format(self._verb, self.count))

    def _end(self, name: str, size: int) -> None:
        self._position -= self._at.pop(name, 0)
        self._complete += size
        self._ended += 1
        self._draw("", 0, 0)

    def _print(self, text: str) -> None:
        if self._show:
            self._clear()
            self._out.write(text + "\n")  # in one piece: others write to it, too

    def _clear(self) -> None:
        if self._is_drawn and self._on_terminal:
            self._errors.write("\r\033[K")
            self._errors.flush()

    def _draw(self, name: str, position: int, size: int) -> None:
        now = self._clock()
        if not self._show or now - self._drawn < (_REDRAW_SECONDS if self._on_terminal else _LINE_SECONDS):
            return
        self._drawn = now
        self._is_drawn = True
        text = self._total()
        if size:
            text += "; {} {} %".format(os.path.basename(name), position * 100 // size)
        if self._on_terminal:
            filled = _BAR * self._moved() // (self._bytes or 1)
            width = shutil.get_terminal_size().columns - 1
            bar = "[{}{}] ".format("#" * filled, "." * (_BAR - filled))
            self._errors.write("\r\033[K" + (bar + text)[: max(width, _BAR)])
        else:
            self._errors.write(text + "\n")
        self._errors.flush()

    def _moved(self) -> int:
        return min(self._complete + self._position, self._bytes)

    def _total(self) -> str:
        moved = self._moved()
        percent = moved * 100 // self._bytes if self._bytes else 100
        seconds = max(self._clock() - self._begun, 0.001)
        return "{} {} %: {} of {}, {} of {} files, {}/s".format(
            self._verb,
            percent,
            _size(moved),
            _size(self._bytes),
            self._ended,
            self._files,
            _size(int(self._travelled / seconds)),
        )


class _Batch(Watcher):
    def __init__(self, display: "Display", names: List[str], sizes: List[int]) -> None:
        self._display = display
        self._names = names
        self._sizes = sizes

    def started(self, index: int) -> None:
        self._display.started(self._names[index])

    def moved(self, index: int, position: int, count: int) -> None:
        self._display.moved(self._names[index], position, count, self._sizes[index])

    def done(self, index: int) -> None:
        self._display.done(self._names[index], self._sizes[index])

    def kept(self, index: int) -> None:
        self._display.kept(self._names[index], self._sizes[index])


def _size(count: int) -> str:
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return "{:.{}f} {}".format(value, 1 if unit and value < 100 else 0, _UNITS[unit])


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False
