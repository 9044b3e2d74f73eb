"""An emulator as a process of its own that a campaign starts, stops, pauses and kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PAUSE_SECONDS = 0.003


class Trouble(Exception):
    """The emulator did something that no emulator may do: it did not start, did not stop, or ended by itself."""


class EmulatorProcess:
    """`python -m localaml.server` on a state dir that stays.

    Args:
        folder: gets `state` (the state dir), `tmp` (its folder for temporary files) and `emulator.log`.
        cache_dir: environments of jobs.
        variables: further variables of its environment.
        settings: further settings, as in `localaml.settings`.
    """

    def __init__(
        self, folder: Path, cache_dir: Path, variables: Mapping[str, str] | None = None, **settings: Any
    ) -> None:
        self.state_dir = folder / "state"
        self.temporary = folder / "tmp"
        self.log = folder / "emulator.log"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self._settings = {"state_dir": str(self.state_dir), "cache_dir": str(cache_dir), **settings}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOCALAML_", "PYTEST_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self._environment = {**kept, "TMPDIR": str(self.temporary), **(variables or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.http_address = self.grpc_address = self.token = ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Starts the process, and does not wait for anything."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "localaml.server", "--settings-json", "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                # Ctrl-C is for the campaign, which ends it.
                start_new_session=True,
            )
        self._process = process
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(self._settings).encode())
            process.stdin.close()

    def wait_until_serving(self, seconds: float = 60.0) -> None:
        """Returns once this process answers. Raises Trouble when it ended or took too long."""
        self.wait_until(self._serves, seconds, "the emulator to serve")

    def wait_until_recovering(self, seconds: float = 60.0) -> bool:
        """Returns once the process has opened its records: what follows is the recovery. False when it has ended."""
        with suppress(Trouble):
            self.wait_until(self._has_opened_records, seconds, "the emulator to open its records")
            return True
        return False

    def start(self) -> None:
        """`spawn` and `wait_until_serving`."""
        self.spawn()
        self.wait_until_serving()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; one that has ended does not mind."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, also of a stopped one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def stop(self, seconds: float = 60.0) -> None:
        """Asks it to end, and waits. Raises Trouble when it does not, or ends with an error."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Trouble(f"the emulator did not stop within {seconds:g} s") from None
        if code not in (0, -signal.SIGTERM):
            raise Trouble(f"the emulator stopped with exit code {code}:\n{self.log_tail()}")

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Returns once `condition` holds. Raises Trouble when the process ends before, or it takes too long."""
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not condition():
            if not self.is_alive:
                code = None if self._process is None else self._process.returncode
                raise Trouble(f"waited for {what}, but it ended with {code}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise Trouble(f"waited {seconds:g} s in vain for {what}:\n{self.log_tail()}")
            pause.wait(_PAUSE_SECONDS)

    def log_tail(self, count: int = 4000) -> str:
        """The end of what it wrote."""
        with suppress(OSError):
            return self.log.read_bytes()[-count:].decode("utf-8", "replace")
        return ""

    def look(self) -> bool:
        """Reads the addresses that the newest emulator has left; whether there were any."""
        with suppress(OSError, ValueError, KeyError):
            found = json.loads((self.state_dir / "endpoint.json").read_text("utf-8"))
            self.token = Path(found["token_file"]).read_text("utf-8").strip()
            self.http_address, self.grpc_address = found["http_address"], found["grpc_address"]
            return True
        return False

    def _serves(self) -> bool:
        with suppress(OSError, ValueError, KeyError):
            found = json.loads((self.state_dir / "endpoint.json").read_text("utf-8"))
            return found["process_id"] == self.pid and self.look() and _is_healthy(self.http_address)
        return False

    def _has_opened_records(self) -> bool:
        wanted = str(self.state_dir / "metadata.sqlite3")
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(OSError):
                if str(link.readlink()) == wanted:
                    return True
        return False


def _is_healthy(address: str) -> bool:
    import http.client

    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
