"""Logs its quality until a file tells it to end; notes that it was started, and by which process."""

import argparse
import os
import pathlib
import threading

from azureml.core import Run

parser = argparse.ArgumentParser()
parser.add_argument("--quality", type=float, required=True)
parser.add_argument("--number", type=int, default=0)
arguments = parser.parse_args()

run = Run.get_context()
folder = pathlib.Path(os.environ["TEST_FOLDER"])
with (folder / "started").open("a") as file:
    file.write(f"{run.id} {os.getpid()}\n")
pause = threading.Event()
for _ in range(1800):
    run.log("quality", arguments.quality)
    if (folder / "end").exists():
        break
    pause.wait(0.05)
else:
    raise SystemExit("nobody told it to end")
