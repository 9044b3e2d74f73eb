"""Programs of this machine that take part in a build: their lines are shown as they come, and none outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from localaml.images.importing import build_failed

# For a program that cleans up after itself (mmdebstrap unmounts and removes its folders).
_GRACE_SECONDS = 20.0
_LINES_TOLD = 12


def run_program(
    argv: Sequence[str], log: Callable[[str], None], *, cwd: Path | None = None, environment: Mapping[str, str]
) -> None:
    """Runs a program to its end; what it prints goes to `log`, line by line.

    It has a session of its own: Ctrl-C reaches this process alone, which then ends the program and all it started.

    Args:
        environment: set beside (and over) this process's own.

    Raises:
        LocalAmlError: ``IMAGE_BUILD_FAILED`` with its last lines when it fails.
    """
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    last: deque[str] = deque(maxlen=_LINES_TOLD)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            last.append(line.rstrip())
            log(last[-1])
        code = process.wait()
    finally:
        _end(process)
    if code != 0:
        raise build_failed(f"{Path(argv[0]).name} ended with {code}:\n" + "\n".join(last))


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    process.stdout.close()
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
