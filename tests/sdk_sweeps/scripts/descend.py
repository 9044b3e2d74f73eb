"""Descends to the minimum of (x - 3)^2 + 1 and logs how far it has come: a real optimisation, however small."""

import argparse

from azureml.core import Run

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--steps", type=int, default=10)
parser.add_argument("--start", type=float, default=0.0)
arguments = parser.parse_args()

run = Run.get_context()
x = arguments.start
for _ in range(arguments.steps):
    x -= arguments.rate * 2 * (x - 3)
    run.log("loss", (x - 3) ** 2 + 1)
print("ended at", x)
