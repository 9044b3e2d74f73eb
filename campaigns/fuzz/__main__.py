"""`python -m campaigns.fuzz --calls 20000 --seed 1`: exit code 1 when a fault was found."""

from __future__ import annotations

import argparse
import sys

from campaigns.fuzz.hunt import Hunt


def main() -> int:
    parser = argparse.ArgumentParser(prog="campaign fuzz", description="Feeds every rpc with values that nobody meant.")
    parser.add_argument("--calls", type=int, default=20_000, help="how many calls (default: 20000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same calls (default: 1)")
    parser.add_argument("--minutes", type=float, default=60.0, help="end after so many minutes (default: 60)")
    chosen = parser.parse_args()
    hunt = Hunt(chosen.seed, lambda text: print(text, flush=True))
    try:
        found = hunt.run(chosen.calls, chosen.minutes * 60)
    finally:
        hunt.close()
    answers = ", ".join(f"{code} {count}" for code, count in found.codes.most_common())
    print(
        f"seed {chosen.seed}: {found.calls} calls of {len(found.rpcs)} rpcs in {found.seconds:.0f} s "
        f"({found.calls / found.seconds:.0f} a second), {found.accepted} accepted, {found.listings} listings read"
    )
    print(f"answers: {answers}")
    for number, fault in enumerate(found.faults.values(), 1):
        print(f"\nFAULT {number}: {fault}")
    print(f"\n{len(found.faults)} faults")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
