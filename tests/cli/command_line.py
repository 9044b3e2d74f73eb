"""Runs `localaml` as a person does: as a process, with an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class CommandLine:
    """Calls the command line with a home of its own, so that nothing of the machine's user is touched."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("LOCALAML_", "XDG_", "AZUREML_"))
        }
        self.environment = {**kept, "HOME": str(home), "LOCALAML_CACHE_DIR": str(home / "cache"), "COLUMNS": "200"}

    @property
    def state_dir(self) -> Path:
        """The default state folder of this home (Linux)."""
        return self.home / ".local" / "share" / "localaml"

    def words(self, *words: str) -> list[str]:
        """The command line of a call."""
        return [sys.executable, "-m", "localaml.cli", *words]

    def run(self, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Calls it; returns whatever comes out."""
        return subprocess.run(
            self.words(*words),
            env={**self.environment, **environment},
            cwd=cwd or self.home,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def succeed(self, *words: str, cwd: Path | None = None, **environment: str) -> str:
        """Calls it, and fails unless it succeeds; returns what it printed."""
        done = self.run(*words, cwd=cwd, **environment)
        assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def fail(self, *words: str, code: int = 1, cwd: Path | None = None, **environment: str) -> str:
        """Calls it, and fails unless it fails with this exit code, in one line without a traceback; returns that."""
        done = self.run(*words, cwd=cwd, **environment)
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stderr

    def json(self, *words: str, cwd: Path | None = None) -> Any:
        """Calls it with `-o json`; returns what that means."""
        return json.loads(self.succeed(*words, "-o", "json", cwd=cwd))

    def endpoint(self) -> dict[str, Any]:
        """The endpoint.json of the default state folder."""
        content: dict[str, Any] = json.loads((self.state_dir / "endpoint.json").read_text())
        return content
