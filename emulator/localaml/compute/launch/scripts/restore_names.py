"""Puts back the environment variables that a shell on the way drops or changes, then becomes the command.

usage: python -I -S restore_names.py FILE COMMAND...; FILE holds NAME=value records that end in a zero byte.

Shells keep only names of letters, digits and underscores (dash drops the rest), and some names are their own (IFS).
Runs with the standard library of any Python 3; started only for runs that have such names.
"""

import os
import sys

with open(sys.argv[1], "rb") as records:  # noqa: PTH123 (pathlib costs 10 ms of start-up)
    for record in records.read().split(b"\0"):
        if record:
            name, _, value = record.partition(b"=")
            os.environb[name] = value
try:
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 (without a shell: that is the point)
except OSError as error:
    print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr)
    sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
