"""`python -m campaigns.kills`: see `scripts/campaign kills --help`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from campaigns.kills.campaign import Options, perform


def main() -> int:
    """Returns 1 when anything was found."""
    parser = argparse.ArgumentParser(
        prog="scripts/campaign kills",
        description="Kills an emulator again and again among clients at work, and compares everything afterwards. "
        "Exit code 1 when anything was lost, wrong, stuck or left.",
    )
    parser.add_argument("--kills", type=int, default=250, help="how many (default: 250)")
    parser.add_argument("--minutes", type=float, default=60.0, help="kills for at most so long (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="decides kills, calls and contents (default: 1)")
    parser.add_argument("--store", choices=("disk", "moto"), default="disk", help="where objects are (default: disk)")
    parser.add_argument(
        "--compute", choices=("process", "docker"), default="process", help="what nodes are (default: process)"
    )
    parser.add_argument("--clients", type=int, default=4, help="how many at the same time (default: 4)")
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
    found = perform(
        Options(
            kills=options.kills,
            seconds=options.minutes * 60,
            seed=options.seed,
            store=options.store,
            compute=options.compute,
            clients=options.clients,
            folder=options.folder,
        )
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
