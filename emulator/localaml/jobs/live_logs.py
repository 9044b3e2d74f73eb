"""The logs of runs that go on: files in the run's folder, not artifacts yet."""

from __future__ import annotations

import os
from pathlib import Path

from localaml import job_files
from localaml.domain.models import RunKey
from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument
from localaml.paths import StatePaths


class LiveLogs:
    """Finds the logs in runs' folders."""

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths

    def names(self, key: RunKey) -> list[str]:
        """Names (``azureml-logs/...``) of the logs in a run's folder now; those of an ended run are artifacts."""
        logs = self._folder(key)
        try:
            # A job can put a link in the place of the folder, too.
            with job_files.pinned_folder(logs.parents[1], logs) as place, os.scandir(place) as found:
                return sorted(f"azureml-logs/{entry.name}" for entry in found if _is_log(entry))
        except OSError:
            return []

    def path(self, key: RunKey, log_name: str) -> Path | None:
        """The file of a live log, None when it is not live (any more)."""
        prefix, _, name = log_name.partition("/")
        if prefix != "azureml-logs" or not name or "/" in name or name in (".", ".."):
            return None
        path = self._folder(key) / name
        try:
            os.close(job_files.open_plain(path.parents[2], path))
        except OSError:
            return None
        return path

    def _folder(self, key: RunKey) -> Path:
        """Where the logs are now: elsewhere while the run is prepared."""
        prepared = self._paths.prepared(key).logs
        return prepared if prepared.is_dir() else self._paths.run(key).logs


def _is_log(entry: os.DirEntry[str]) -> bool:
    """A plain file with a name that an artifact can have."""
    try:
        return entry.is_file(follow_symlinks=False) and check_relative_path(entry.name) == entry.name
    except (OSError, InvalidArgument):
        return False
