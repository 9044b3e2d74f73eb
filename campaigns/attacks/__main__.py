"""`scripts/campaign attacks [arguments of pytest]`: all attacks, also those from containers where an engine answers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main([str(Path(__file__).parent), *sys.argv[1:]]))
