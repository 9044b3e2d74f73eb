"""Starts the launchers of an emulator's runs, and stays with each until nothing of its run is left.

usage: python -I -S keeper.py; standard input is a unix socket, the emulator has its other end.

For every run the keeper forks a *guard*, which starts the run's launcher in a session of its own. Linux gives every
process whose parent has ended to its nearest ancestor that asks for them (a subreaper): that is the guard, so that
nothing of a run leaves it, whatever became of its session and environment. When the launcher has ended, the guard ends
all that is left, and itself. A guard that is killed leaves its processes to the keeper, which ends them at once.
Both outlive the emulator; the keeper goes with the last of its guards.

A request is the length of what follows in 8 bytes, with the descriptor for the launcher's output, and a JSON object:
``words``, ``environment``, ``directory`` (one character for each byte). The answer is a line: ``{"launcher": [id, start
time], "guard": [...]}`` or ``{"errno": number, "file": name}``. SIGTERM asks a guard to leave the run's processes the
time that they were given, also when the launcher has ended; SIGQUIT says that it is over.

Small on purpose: to fork the emulator itself takes twenty times as long.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)
_AWAITED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGQUIT)
# Processes get no more time than this to end by themselves, when nobody says that it is over.
_LONGEST_GRACE_SECONDS = 120.0
_LIBC = ctypes.CDLL(None)


def main() -> None:
    """Serves until the emulator has gone and the last guard has ended."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _collect_orphans()
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    emulator = socket.socket(fileno=0)
    guards: set[int] = set()
    gc.collect()
    gc.freeze()
    emulator.sendall(b"\n")
    is_asked = True
    while is_asked or guards:
        ready = select.select([woken, *([emulator.fileno()] if is_asked else [])], [], [])[0]
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
            for ended in _reap():
                guards.discard(ended)
            _kill(set(_children()) - guards)
        if is_asked and emulator.fileno() in ready:
            is_asked = _serve(emulator, guards)


def _serve(emulator: socket.socket, guards: set[int]) -> bool:
    """Takes a request and forks a guard for it; False when there are no more."""
    try:
        head, descriptors, _, _ = socket.recv_fds(emulator, 8, 1, socket.MSG_CMSG_CLOEXEC)
        if not head:
            return False
        request = json.loads(_receive(emulator, int.from_bytes(head, "big")))
    except (OSError, ValueError):
        return False
    guard = os.fork()
    if guard == 0:
        try:
            _guard(request, descriptors[0], emulator)
        finally:
            os._exit(1)
    os.close(descriptors[0])
    guards.add(guard)
    return True


def _receive(emulator: socket.socket, length: int) -> bytes:
    parts = []
    while length:
        part = emulator.recv(min(length, 1 << 20))
        if not part:
            raise ConnectionError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _guard(request: Mapping[str, Any], output: int, emulator: socket.socket) -> None:
    """Starts a launcher, and ends what it leaves behind."""
    signal.set_wakeup_fd(-1)
    # They stay pending until they are asked for: nothing is missed, and nothing interrupts.
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    _collect_orphans()
    problem, told = os.pipe()
    launcher = os.fork()
    if launcher == 0:
        try:
            _become(request, output)
        except OSError as error:
            answer = {"errno": error.errno, "file": os.fsdecode(error.filename or request["words"][0])}
            os.write(told, json.dumps(answer).encode("ascii"))
        finally:
            os._exit(127)
    os.close(told)
    # The other end closes when the launcher's program begins.
    answered = os.read(problem, 4096)
    if not answered:
        started = {"launcher": _told(launcher), "guard": _told(os.getpid())}
        answered = json.dumps(started).encode("ascii")
    with contextlib.suppress(OSError):
        emulator.sendall(answered + b"\n")
    emulator.close()
    # The keeper's few descriptors, and the run's log: a guard may be here for days.
    os.closerange(3, 64)
    has_grace = _await_launcher(launcher)
    limit = time.monotonic() + _LONGEST_GRACE_SECONDS
    while has_grace and _children():
        received = signal.sigtimedwait(_AWAITED, max(0.0, limit - time.monotonic()))
        has_grace = received is not None and received.si_signo != signal.SIGQUIT
        _reap()
    while left := _children():
        _kill(left)
        # What it leaves is ours by then.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)
    os._exit(0)


def _await_launcher(launcher: int) -> bool:
    """Returns when the launcher has ended: whether other processes are to have time."""
    has_grace = False
    while True:
        number = signal.sigwait(_AWAITED)
        if number != signal.SIGCHLD:
            has_grace = number == signal.SIGTERM
        elif launcher in _reap():
            return has_grace


def _become(request: Mapping[str, Any], output: int) -> None:
    """Turns this process into the launcher, with the usual meaning of all signals: whatever the emulator ignores."""
    os.setsid()
    os.chdir(_bytes(request["directory"]))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    words = [_bytes(word) for word in request["words"]]
    environment = {_bytes(name): _bytes(value) for name, value in request["environment"].items()}
    os.execve(words[0], words, environment)  # noqa: S606 (without a shell: that is the point)


def _bytes(text: str) -> bytes:
    """What a path, word or variable is on the way here: one character for each byte."""
    return text.encode("latin-1")


def _collect_orphans() -> None:
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _kill(processes: set[int]) -> None:
    """Ends children, each with its process group: those in it cannot start others meanwhile. A group of a run's
    processes holds nobody else's, since the launcher began a session."""
    own = os.getpgrp()
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            group = os.getpgid(process)
            if group != own:
                os.killpg(group, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def _reap() -> list[int]:
    """Takes the corpses of children away; their ids."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while number := os.waitpid(-1, os.WNOHANG)[0]:
            ended.append(number)
    return ended


def _children() -> set[int]:
    """Ids of this process' children, corpses also."""
    own = os.getpid()
    with contextlib.suppress(OSError), open(f"/proc/{own}/task/{own}/children", encoding="ascii") as file:  # noqa: PTH123
        return {int(word) for word in file.read().split()}
    # A kernel without that file. The newest first: whoever forks without end is among them.
    everybody = sorted((int(name) for name in os.listdir("/proc") if name.isdecimal()), reverse=True)  # noqa: PTH208
    return {process for process in everybody if (fields := _status(process)) and int(fields[1]) == own}


def _told(process: int) -> tuple[int, str]:
    """Id and start time."""
    return process, _status(process)[19]


def _status(process: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the third one on; none when there is no such process."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return []


main()
