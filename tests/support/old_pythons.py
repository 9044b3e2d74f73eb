"""Old interpreters of this machine, for tests of what the SDK promises to them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def find_python(version: str) -> Path | None:
    """An interpreter ``3.7`` that really runs (pyenv's shims exist for versions that are not switched on), or None."""
    found = shutil.which(f"python{version}")
    candidates = [
        *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
        *([Path(found)] if found else []),
    ]
    check = f"import sys; sys.exit(sys.version_info[:2] != {tuple(map(int, version.split('.')))})"
    for candidate in candidates:
        if subprocess.run([candidate, "-c", check], capture_output=True).returncode == 0:
            return candidate
    return None


def need_python(version: str) -> str:
    """An interpreter of that version; without one the test is skipped, with the reason."""
    found = find_python(version)
    if found is None:
        pytest.skip(f"no Python {version} on this machine")
    return str(found)
