"""Starts the processes of a run that have parts of their own, and ends the run when it is decided.

usage: python -I -S supervise.py CONTROL; CONTROL is the run's control folder, `processes.json` in it a list of objects:

    name        worker_0
    command     words
    variables   what the process has beside this one's environment
    log         file for its output
    serves      whether it goes on for ever

Leaves `pid` (its own), `<name>.exit` for each process, `failed_first` (a name) and `exit`. The run ends when all
processes that do not serve have ended; or when one fails. What still goes on then is asked to end, and killed a little
later. Told to end itself (SIGTERM), it leaves the processes alone, which have been told, too, and notes how they end.

Runs with the standard library of any Python from 3.7 on. A shell would do but for this: what it starts in the
background ignores SIGINT for good.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

# Time that a process has, once it is asked to end because others have.
_GRACE_SECONDS = 3.0
_TOLD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def main(control: str) -> None:
    # They stay pending until they are asked for: nothing is missed, and nothing interrupts.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_TOLD, signal.SIGCHLD, signal.SIGALRM))
    _write(control, "pid", str(os.getpid()))
    with open(os.path.join(control, "processes.json"), encoding="ascii") as file:  # noqa: PTH118, PTH123
        processes = json.load(file)
    serving = {process["name"] for process in processes if process["serves"]}
    living: dict[int, str] = {}
    first_code = 0
    decided = told = False

    def ended(name: str, code: int) -> None:
        nonlocal first_code
        _write(control, f"{name}.exit", str(code))
        if code != 0 and first_code == 0 and not decided:
            first_code = code
            _write(control, "failed_first", name)

    for process in processes:
        # Nobody would tell one to end that is started after that.
        is_over = not signal.sigpending().isdisjoint(_TOLD)
        number, code = (0, 128 + signal.SIGTERM) if is_over else _start(process, before)
        if number:
            living[number] = process["name"]
        else:
            ended(process["name"], code)
    while living:
        if not (decided or told) and (first_code or serving.issuperset(living.values())):
            decided = True
            _send(living, signal.SIGTERM)
            signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)
        received = signal.sigwait((*_TOLD, signal.SIGCHLD, signal.SIGALRM))
        if received in _TOLD:
            told = True
        elif received == signal.SIGALRM:
            _send(living, signal.SIGKILL)
        for number, code in _reap():
            if number in living:
                ended(living.pop(number), code)
    _write(control, "exit", str(first_code))


def _start(process: dict[str, Any], signal_mask: Iterable[int]) -> tuple[int, int]:
    """The process id, or 0 and an exit code as a shell gives it."""

    def prepare() -> None:
        # A group of its own: a script that signals its group means its own processes.
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)

    with open(process["log"], "ab") as log:  # noqa: PTH123
        try:
            started = subprocess.Popen(
                process["command"],
                env={**os.environ, **process["variables"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=prepare,
            )
        except OSError as error:
            log.write(f"{process['command'][0]}: {error.strerror}\n".encode(errors="surrogateescape"))
            return 0, 127 if isinstance(error, FileNotFoundError) else 126
    # Waited for by its id.
    started.returncode = 0
    return started.pid, 0


def _reap() -> Iterator[tuple[int, int]]:
    """Those who have ended, with exit codes as a shell gives them."""
    while True:
        try:
            number, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if number == 0:
            return
        yield number, os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _send(groups: Iterable[int], what: signal.Signals) -> None:
    for group in groups:
        # Its leader lives, or is a corpse that was not taken away: the number is nobody else's.
        os.killpg(group, what)


def _write(control: str, name: str, text: str) -> None:
    with open(os.path.join(control, name), "w", encoding="ascii") as file:  # noqa: PTH118, PTH123
        file.write(f"{text}\n")


main(sys.argv[1])
