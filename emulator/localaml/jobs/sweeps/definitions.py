"""What performing sweeps needs of the stored definitions of runs."""

from __future__ import annotations

from typing import Protocol

from localaml.domain.models import Run
from localaml.domain.sweeps import Sweep, Values


class SweepDefinitions(Protocol):
    """Reads sweeps, and makes their children."""

    def sweep(self, run: Run) -> Sweep:
        """The sweep that a stored run is."""
        ...

    def child(self, parent: Run, index: int, values: Values) -> Run:
        """A child that is not stored yet: an ordinary run, with its values among its arguments."""
        ...

    def machine(self, parent: Run) -> tuple[str, str]:
        """VM size and priority of the clusters that are made for the children; empty where none are made."""
        ...
