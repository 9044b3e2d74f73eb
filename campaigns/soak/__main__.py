"""`python -m campaigns.soak`: see `scripts/campaign soak --help`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from campaigns.soak.campaign import Options, perform


def main() -> int:
    """Returns 1 when something grows."""
    parser = argparse.ArgumentParser(
        prog="scripts/campaign soak",
        description="Keeps an emulator busy with small runs, and compares what it needs at the start (second fifth of "
        "the time) and at the end (last fifth). Exit code 1 when something grows, or went wrong.",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="for how long (default: 20)")
    parser.add_argument("--clients", type=int, default=3, help="how many at the same time (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="decides what the clients do (default: 1)")
    parser.add_argument(
        "--folder",
        type=Path,
        help="a new folder for everything, which stays (default: a temporary one)",
    )
    options = parser.parse_args()
    if options.folder is not None and options.folder.exists() and any(options.folder.iterdir()):
        parser.error(f"{options.folder} is not empty: name a new folder")
    # What ends it also ends what it started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    is_flat = perform(Options(options.minutes * 60, clients=options.clients, seed=options.seed, folder=options.folder))
    return 0 if is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
