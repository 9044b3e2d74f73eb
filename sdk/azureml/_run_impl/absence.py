"""Tells people who wait for a run that the emulator is away, and that it is back."""

import sys

from azureml._localaml.errors import ConnectionFailed

_AWAY = (
    "\nLocalAML: the emulator does not answer: it was stopped or killed. Run {run}, if its processes had begun, goes "
    "on without it.\nStart the emulator again with 'localaml start -d' (with the same state folder); this goes "
    "on by itself when it is back, and gives up after {seconds:.0f} seconds.\n"
)
_BACK = "LocalAML: the emulator is back; run {run} is followed again.\n"


class Absence:
    """What is told on stderr, once each, while a run is followed.

    Args:
        run_name: resource name of the run.
        give_up_seconds: after how long without an answer following ends.
    """

    def __init__(self, run_name: str, give_up_seconds: float) -> None:
        self._run = run_name.rpartition("/")[2]
        self._seconds = give_up_seconds
        self._failures = 0

    def failed(self, error: Exception) -> None:
        """It did not answer. A single time is nothing: streams end when it is started anew."""
        if isinstance(error, ConnectionFailed):
            self._failures += 1
            if self._failures == 2:
                _tell(_AWAY.format(run=self._run, seconds=self._seconds))

    def answered(self) -> None:
        """It answers."""
        if self._failures >= 2:
            _tell(_BACK.format(run=self._run))
        self._failures = 0


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
