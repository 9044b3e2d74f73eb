"""What the emulator itself writes into a run's logs, and what it quotes from them."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from localaml import job_files
from localaml.errors import is_disk_full

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.compute.runtime import LaunchResult

_LOG = logging.getLogger(__name__)
BUILD_LOG = "20_image_build_log.txt"
# Of a distributed run every rank has a control log of its own; what is about all of them goes into the service's log.
CONTROL_LOG = "60_control_log.txt"
DISTRIBUTED_CONTROL_LOG = "55_batchai_execution.txt"
_TAIL_BYTES = 4096
_TAIL_LINES = 12


class ControlLog:
    """The story of a run, line by line, in its log folder."""

    def __init__(self, folder: Path, *, clock: Clock, distributed: bool = False, name: str = "") -> None:
        self._folder = folder
        self._name = name or (DISTRIBUTED_CONTROL_LOG if distributed else CONTROL_LOG)
        self._clock = clock
        self._file: io.TextIOWrapper | None = None

    def move(self, folder: Path) -> None:
        """The log folder is elsewhere now, with all that is in it."""
        if folder != self._folder:
            self.close()
            self._folder = folder

    def line(self, text: str) -> None:
        """Appends a line with the time."""
        if self._file is None:
            self._file = _append(self._folder / self._name)
        self._file.write(f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%fZ} {text}\n")
        self._file.flush()

    def close(self) -> None:
        """Lets go of the file; a later line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextmanager
    def build_log(self) -> Iterator[Callable[[str], None]]:
        """Gives a function that writes a line to the build log, which exists from the first line on."""
        opened: list[io.TextIOWrapper] = []

        def write(text: str) -> None:
            if not opened:
                opened.append(_append(self._folder / BUILD_LOG))
            opened[0].write(text.rstrip("\n") + "\n")
            opened[0].flush()

        try:
            yield write
        finally:
            for file in opened:
                file.close()


def error_with_log_tail(message: str, logs: Path, result: LaunchResult) -> str:
    """`message`, followed by the last lines of the log of the process that failed first."""
    # When nobody is to blame, the first process may have something to say.
    for name in (result.failed_log, *(f"80_driver_log{of}.txt" for of in ("", "_rank_0", "_worker_0"))):
        tail = _tail(logs / name) if name else ""
        if tail:
            return f"{message}\nThe end of azureml-logs/{name}:\n{tail}"
    return message


def _base(log: Path) -> Path:
    """The folder above the run's folder: the run's processes cannot replace it (see `job_files`)."""
    return log.parents[2]


def _append(log: Path) -> io.TextIOWrapper:
    """A log to be written to. Where a job has put something else in the place of its logs, the lines are lost."""
    try:
        _base(log).mkdir(parents=True, exist_ok=True)
        file = job_files.open_append(_base(log), log)
    except OSError as error:
        if is_disk_full(error):
            raise
        _LOG.warning("nothing can be written to %s: %s", log, error)
        file = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    return os.fdopen(file, "a", encoding="utf-8", errors="replace")


def _tail(path: Path) -> str:
    try:
        data = job_files.read(_base(path), path, _TAIL_BYTES, end=True).data
    except OSError:
        return ""
    text = data.decode("utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    readable = (
        "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line) for line in lines
    )
    return "\n".join(list(readable)[-_TAIL_LINES:])
