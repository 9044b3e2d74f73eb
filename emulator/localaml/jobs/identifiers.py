"""New ids. Randomness is injected, so that tests and seeded emulators can repeat them."""

from __future__ import annotations

import random
import uuid
from datetime import datetime


class Identifiers:
    """Makes ids, each kind from a source of randomness of its own: so nodes that come and go change no run's id.

    Args:
        source: `random.SystemRandom()` in earnest; see `seeded`.
    """

    def __init__(self, source: random.Random) -> None:
        self._guids = self._nodes = self._runs = source

    @classmethod
    def seeded(cls, seed: int, start: int) -> Identifiers:
        """Ids that repeat: the same ones for the same seed.

        Args:
            start: counts the starts of an emulator on its state dir: each has ids that the ones before did not give.
        """
        made = cls(random.SystemRandom())
        made._guids, made._nodes, made._runs = (
            random.Random(f"{seed}:{start}:{kind}")  # noqa: S311 - ids are no secrets
            for kind in ("guid", "node", "run")
        )
        return made

    def guid(self) -> str:
        """A random GUID, lower case, as Azure writes them."""
        return str(uuid.UUID(int=self._guids.getrandbits(128), version=4))

    def node_id(self) -> str:
        """An id of a node, in the form of the Batch service beneath AmlCompute."""
        return f"tvmps_{self._nodes.getrandbits(96):024x}_d"

    def run_id(self, experiment: str, now: datetime) -> str:
        """`{experiment}_{unix seconds}_{8 hex}`."""
        return f"{experiment}_{int(now.timestamp())}_{self._runs.getrandbits(32):08x}"
