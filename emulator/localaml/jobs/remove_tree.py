"""Removes folders of runs, also where a job or a read-only view has taken the permission to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """Removes a folder with all that is in it, as far as that can be done. A missing one is fine. Follows no links."""
    shutil.rmtree(folder, ignore_errors=True)
    if not os.path.lexists(folder):
        return
    # What is left lies in folders that may not be written to: they are the owner's, who may allow it again.
    for current, _, _ in os.walk(folder):
        _open(current)
    shutil.rmtree(folder, ignore_errors=True)


def _open(folder: str) -> None:
    try:
        Path(folder).chmod(0o700)
        with os.scandir(folder) as entries:
            for entry in entries:
                # Before the walk goes in: it could not look into a closed one.
                if entry.is_dir(follow_symlinks=False):
                    Path(entry.path).chmod(0o700)
    except OSError:
        return
