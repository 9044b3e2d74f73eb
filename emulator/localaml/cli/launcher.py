"""Starting an emulator as a process of its own, and waiting until it serves."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, NoReturn

from localaml.cli.endpoint import Presence, is_healthy, look_up, read_endpoint
from localaml.cli.failure import CliError
from localaml.paths import StatePaths
from localaml.settings import Settings
from localaml.settings_json import settings_to_json
from localaml.state_dir import Endpoint

_LOOK_SECONDS = 0.01
_LOG_KEPT_BYTES = 8 * 1024 * 1024
_TAIL_LINES = 12
# How the server begins its one line about an expected failure.
_REFUSAL = "The emulator cannot start: "


def prepare_state_dir(settings: Settings, *, named: bool) -> Settings:
    """Settings whose state folder exists and is free to use.

    Args:
        named: whether the state folder was asked for. An ephemeral emulator without one gets a temporary folder; a
            named one must be new or empty, since it is removed when the emulator stops.

    Raises:
        CliError: an emulator uses the folder already, or the folder cannot be had.
    """
    if settings.ephemeral and not named:
        return replace(settings, state_dir=Path(tempfile.mkdtemp(prefix="localaml-")))
    path = settings.state_dir
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if settings.ephemeral and any(path.iterdir()) and not StatePaths(path).ephemeral.exists():
            raise CliError(f"{path} is not empty: an ephemeral emulator would remove it. Name a new folder.")
    except OSError as error:
        raise CliError(f"The state folder {path} cannot be had: {error.strerror}.") from None
    presence, endpoint = look_up(path)
    if endpoint is not None and presence in (Presence.RUNNING, Presence.SILENT):
        raise CliError(
            f"An emulator runs on {path} already (pid {endpoint.process_id}, {endpoint.http_address}). "
            "Use it, stop it with 'localaml stop', or name another folder with --state-dir."
        )
    return settings


def start_detached(settings: Settings, timeout: float) -> Endpoint:
    """Starts an emulator in a session of its own, with its log in the state folder; returns once it serves.

    Raises:
        CliError: it ended before (with the end of its log), or does not serve within `timeout` seconds (it is ended).
    """
    paths = StatePaths(settings.state_dir)
    log_path, is_new = paths.log, not paths.log.exists()

    def give_up(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    earlier = signal.signal(signal.SIGTERM, give_up)
    with _open_log(log_path) as log:
        begin = log.tell()
        process, alive = _spawn(settings, log)
    try:
        return _wait_until_serving(settings, process, alive, timeout, lambda: _tail(log_path, begin))
    except BaseException:
        # Also when this command itself is interrupted: nobody would know of the emulator.
        process.kill()
        process.wait()
        if settings.ephemeral:
            shutil.rmtree(settings.state_dir, ignore_errors=True)
        elif is_new and not paths.format.exists():
            # It did not become a state folder: nothing of ours stays in it.
            log_path.unlink(missing_ok=True)
        raise
    finally:
        os.close(alive)
        signal.signal(signal.SIGTERM, earlier)


def run_attached(settings: Settings, timeout: float, announce: Callable[[Endpoint], None]) -> int:
    """Starts an emulator that belongs to this process; returns its exit code once it has ended.

    SIGINT, SIGTERM and SIGHUP make it stop in good order.
    """
    received: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def hand_on(number: int, _frame: object) -> None:
        received.append(number)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)

    earlier = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        process, alive = _spawn(settings, None)
        try:
            endpoint = _wait_until_serving(settings, process, alive, timeout, lambda: "")
        except CliError:
            process.kill()
            process.wait()
            if received:
                return 128 + received[0]
            raise
        finally:
            os.close(alive)
        announce(endpoint)
        code = process.wait()
        return 0 if received and code in (0, -signal.SIGTERM) else code if code >= 0 else 128 - code
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        if settings.ephemeral:
            shutil.rmtree(settings.state_dir, ignore_errors=True)


def _open_log(path: Path) -> IO[bytes]:
    if path.exists() and path.stat().st_size > _LOG_KEPT_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    log = path.open("ab")
    path.chmod(0o600)
    return log


def _spawn(settings: Settings, log: IO[bytes] | None) -> tuple[subprocess.Popen[bytes], int]:
    """The process, in a session of its own, and a descriptor that becomes readable the moment that it ends."""
    alive, held_by_child = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "localaml.server", "--settings-json", "-"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=settings.state_dir,
            start_new_session=True,
            pass_fds=(held_by_child,),
        )
    except BaseException:
        os.close(alive)
        raise
    finally:
        os.close(held_by_child)
    assert process.stdin is not None
    try:
        process.stdin.write(settings_to_json(settings).encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # It has ended already: the wait tells why.
    return process, alive


def _wait_until_serving(
    settings: Settings, process: subprocess.Popen[bytes], alive: int, timeout: float, tail: Callable[[], str]
) -> Endpoint:
    deadline = time.monotonic() + timeout
    while not select.select([alive], [], [], _LOOK_SECONDS)[0]:
        endpoint = _endpoint_of(settings.state_dir, process.pid)
        if endpoint is not None and is_healthy(endpoint.http_address):
            return endpoint
        if time.monotonic() > deadline:
            raise CliError(f"The emulator did not serve within {timeout:g} seconds and was ended.{_quoted(tail())}")
    raise CliError(f"The emulator ended at its start with exit code {process.wait()}.{_quoted(tail())}")


def _endpoint_of(state_dir: Path, process_id: int) -> Endpoint | None:
    try:
        endpoint = read_endpoint(state_dir)
    except CliError:
        return None
    return endpoint if endpoint is not None and endpoint.process_id == process_id else None


def _tail(path: Path, begin: int) -> str:
    with path.open("rb") as log:
        log.seek(begin)
        return "\n".join(log.read()[-16_384:].decode("utf-8", "replace").splitlines()[-_TAIL_LINES:])


def _quoted(tail: str) -> str:
    *_, last = tail.splitlines() or [""]
    if last.startswith(_REFUSAL):
        return f" {last.removeprefix(_REFUSAL)}"
    return f" The end of its log:\n{tail}" if tail else ""


def follow_file(path: Path, *, tail: int | None, follow: bool, write: Callable[[bytes], object]) -> None:
    """Writes a text file's last `tail` lines (None: all), and with `follow` what is added, until interrupted."""
    pause = threading.Event()
    with path.open("rb") as file:
        if tail is not None:
            file.seek(_start_of_last_lines(file, tail))
        while True:
            data = file.read(65_536)
            if data:
                write(data)
            elif not follow:
                return
            else:
                pause.wait(0.1)


def _start_of_last_lines(file: IO[bytes], count: int) -> int:
    position = file.seek(0, os.SEEK_END)
    found = 0
    while position > 0:
        size = min(65_536, position)
        file.seek(position - size)
        block = file.read(size)
        # The newline at the very end closes the last line, it begins none.
        end = len(block) - 1 if found == 0 and block.endswith(b"\n") else len(block)
        while (end := block.rfind(b"\n", 0, end)) >= 0:
            found += 1
            if found == count:
                return position - size + end + 1
        position -= size
    return 0
