"""The logs of runs that go on: files in the run's folder, not artifacts yet."""

from __future__ import annotations

from pathlib import Path

from localaml.domain.models import RunKey
from localaml.paths import StatePaths


class LiveLogs:
    """Finds the logs in runs' folders."""

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths

    def names(self, key: RunKey) -> list[str]:
        """Names (``azureml-logs/...``) of the logs in a run's folder now; those of an ended run are artifacts."""
        folder = self._paths.run(key).logs
        try:
            return sorted(f"azureml-logs/{entry.name}" for entry in folder.iterdir() if entry.is_file())
        except FileNotFoundError:
            return []

    def path(self, key: RunKey, log_name: str) -> Path | None:
        """The file of a live log, None when it is not live (any more)."""
        prefix, _, name = log_name.partition("/")
        if prefix != "azureml-logs" or not name or "/" in name or name in (".", ".."):
            return None
        path = self._paths.run(key).logs / name
        return path if path.is_file() and not path.is_symlink() else None
