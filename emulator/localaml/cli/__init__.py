"""The command `localaml`."""

from __future__ import annotations

import sys

from localaml import __version__


def main() -> None:
    """Entry point of the console script. The version is told without loading anything else."""
    if sys.argv[1:] in (["--version"], ["version"]):
        print(f"localaml {__version__}")
        return
    from localaml.cli.app import run

    run()
