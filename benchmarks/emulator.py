"""A real emulator process to measure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

# Compiled bytecode is part of how a program starts; where it is switched off every start-up figure is wrong.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


class EmulatorProcess:
    """An emulator in a process of its own, with a temporary state dir and the user's environment cache.

    Args:
        more: further settings.
    """

    def __init__(self, cache_dir: Path, **more: Any) -> None:
        self.state_dir = Path(tempfile.mkdtemp(prefix="localaml-bench-"))
        self.ready_seconds = 0.0
        settings = {"state_dir": str(self.state_dir), "cache_dir": str(cache_dir), **more}
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "localaml.server", "--settings-json", "-"],
            stdin=subprocess.PIPE,
            stderr=(self.state_dir / "stderr.log").open("wb"),
            env=ENVIRONMENT,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(settings).encode())
        self._process.stdin.close()
        try:
            self.endpoint = self._wait()
        except BaseException:
            self.close()
            raise
        self.ready_seconds = time.perf_counter() - started

    def _wait(self) -> dict[str, str]:
        deadline = time.perf_counter() + 30
        pause = threading.Event()
        path = self.state_dir / "endpoint.json"
        while time.perf_counter() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError((self.state_dir / "stderr.log").read_text())
            try:
                endpoint: dict[str, str] = json.loads(path.read_text())
                with urllib.request.urlopen(endpoint["http_address"] + "/healthz", timeout=5) as answer:
                    if answer.status == 200:
                        return endpoint
            except (OSError, ValueError):
                pass
            pause.wait(0.002)
        raise RuntimeError("the emulator did not become ready")

    @property
    def memory_mib(self) -> float:
        """Resident memory, MiB."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20

    def select(self) -> None:
        """Makes the SDK in this process talk to it."""
        os.environ["LOCALAML_ENDPOINT"] = self.endpoint["http_address"]
        os.environ["LOCALAML_GRPC_ENDPOINT"] = self.endpoint["grpc_address"]
        os.environ["LOCALAML_TOKEN_FILE"] = self.endpoint["token_file"]

    def close(self) -> None:
        """Stops it and removes its state."""
        self._process.terminate()
        self._process.wait(timeout=30)
        shutil.rmtree(self.state_dir, ignore_errors=True)
