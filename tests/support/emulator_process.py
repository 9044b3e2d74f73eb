"""An emulator in a process of its own, for tests that kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.waiting import wait_until


class EmulatorProcess:
    """Starts `python -m localaml.server` on a state dir; can be killed and started again.

    Args:
        state_dir: stays when the process ends.
        cache_dir: environments; shared between tests.
        environment: further variables of the emulator's process.
        program: what to start in place of this Python.
    """

    def __init__(
        self,
        state_dir: Path,
        cache_dir: Path,
        environment: dict[str, str] | None = None,
        program: Path = Path(sys.executable),
        **settings: Any,
    ):
        self._program = program
        self.state_dir = state_dir
        self.settings = {"state_dir": str(state_dir), "cache_dir": str(cache_dir), **settings}
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> EmulatorProcess:
        """Starts it and returns once it serves."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        (self.state_dir / "endpoint.json").unlink(missing_ok=True)
        with (self.state_dir.parent / f"{self.state_dir.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._program), "-m", "localaml.server", "--settings-json", "-"],
                stdin=subprocess.PIPE,
                stderr=log,
                env=self._environment,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self.settings).encode())
        self._process.stdin.close()
        wait_until(self._serves, 120, "the emulator to serve", on_timeout=self.log)
        return self

    def _serves(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the emulator ended with {self._process.returncode}:\n{self.log()}")
        try:
            self.endpoint = json.loads((self.state_dir / "endpoint.json").read_text())
            with urllib.request.urlopen(self.endpoint["http_address"] + "/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False

    def log(self) -> str:
        """What it wrote to stderr."""
        return (self.state_dir.parent / f"{self.state_dir.name}.log").read_text(errors="replace")

    def variables(self) -> dict[str, str]:
        """What points the SDK to it."""
        return {
            "LOCALAML_ENDPOINT": self.endpoint["http_address"],
            "LOCALAML_GRPC_ENDPOINT": self.endpoint["grpc_address"],
            "LOCALAML_TOKEN_FILE": self.endpoint["token_file"],
        }

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=10)

    def stop(self) -> None:
        """SIGTERM; waits for its end."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"the emulator did not stop:\n{self.log()}") from None

    def __enter__(self) -> EmulatorProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def processes_of(state_dir: Path) -> list[int]:
    """Processes that carry this state dir in their environment: jobs and what they started."""
    marker = f"LOCALAML_STATE_DIR={state_dir}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if marker in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def now() -> float:
    """Seconds, monotonic."""
    return time.monotonic()
