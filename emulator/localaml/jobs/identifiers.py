"""New ids. Randomness is injected, so that tests and seeded emulators can repeat them."""

from __future__ import annotations

import random
import uuid
from datetime import datetime


class Identifiers:
    """Makes ids from one source of randomness.

    Args:
        source: `random.SystemRandom()` in earnest, `random.Random(seed)` where ids have to repeat.
    """

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def guid(self) -> str:
        """A random GUID, lower case, as Azure writes them."""
        return str(uuid.UUID(int=self._source.getrandbits(128), version=4))

    def node_id(self) -> str:
        """An id of a node, in the form of the Batch service beneath AmlCompute."""
        return f"tvmps_{self._source.getrandbits(96):024x}_d"

    def run_id(self, experiment: str, now: datetime) -> str:
        """`{experiment}_{unix seconds}_{8 hex}`."""
        return f"{experiment}_{int(now.timestamp())}_{self._source.getrandbits(32):08x}"
