"""Kills the emulator, at moments that the seed spreads over what it may be doing, and starts it again."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from azureml._localaml.errors import ConnectionFailed, ServiceError
from campaigns.calls import Caller
from campaigns.emulator import Trouble
from campaigns.waiting import pause

if TYPE_CHECKING:
    from azureml._localaml.transport import Stream
    from campaigns.kills.scene import Scene

_PHASES = ("Preparing", "Starting", "Running", "Finalizing", "CancelRequested")
# How a kill comes about, and how often. A phase: as soon as a run is in that state, and a little later.
_WAYS = {
    "Preparing": 8,
    "Starting": 12,
    "Running": 8,
    "Finalizing": 22,
    "CancelRequested": 4,
    "any moment": 14,
    "while stopped (SIGSTOP)": 10,
    "in start": 7,
    "in recovery": 11,
    "in an orderly stop": 4,
}
_ORDERLY_STOP_SHARE = 0.08
_PHASE_SECONDS = 4.0
_MOST_DELAY_SECONDS = 0.08
# Where starts take long (a busy machine) the emulator also gets longer to do something: this part of a start.
_UPTIME_SHARE = 0.5


class Killer:
    """The one who kills.

    Attributes:
        kills: how often, by way.
        states: how many runs were in which state at a kill, as far as was seen.
        starts: seconds that each start took until the emulator served.
        orderly_stops: how often it was asked to end instead.
    """

    def __init__(self, scene: Scene, most_uptime_seconds: float = 1.2) -> None:
        self._scene = scene
        self._random = random.Random(f"{scene.seed}/killer")
        self._most_uptime = most_uptime_seconds
        self._watcher = RunWatcher(scene)
        self.kills: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.starts: list[float] = []
        self.orderly_stops = 0

    def work(self, kills: int, deadline: float) -> None:
        """Kills so often, or until the deadline (monotonic); the emulator serves when this returns.

        Raises Trouble: it does not start, does not stop, or ended by itself.
        """
        self._watcher.begin()
        try:
            while self.kills.total() < kills and time.monotonic() < deadline:
                if self._random.random() < _ORDERLY_STOP_SHARE:
                    self._stop_in_order()
                else:
                    self._kill(self._random.choices(list(_WAYS), list(_WAYS.values()))[0])
        finally:
            self._watcher.end()

    def _kill(self, way: str) -> None:
        emulator, delay = self._scene.emulator, self._random.random()
        if way in ("in start", "in recovery"):
            # Of an emulator that goes down first in the plainest way.
            emulator.kill()
            emulator.spawn()
            if way == "in start":
                pause(delay * (self.starts[-1] if self.starts else 1.0))
            elif emulator.wait_until_recovering():
                pause(delay * 0.3)
            if not emulator.is_alive:
                raise Trouble(f"the emulator ended while it started:\n{emulator.log_tail()}")
        elif way in _PHASES:
            if not self._watcher.wait_for(way, max(_PHASE_SECONDS, self._uptime)):
                way = "any moment"
            pause(delay * delay * _MOST_DELAY_SECONDS)
        else:
            pause(delay * self._uptime)
            if way == "while stopped (SIGSTOP)":
                emulator.send(signal.SIGSTOP)
                pause(self._random.random() * 0.5)
                if self._random.random() < 0.3:
                    emulator.send(signal.SIGCONT)
                    pause(self._random.random() * 0.1)
            elif way == "in an orderly stop":
                emulator.send(signal.SIGTERM)
                pause(self._random.random() * 0.3)
        self._check_alive(way)
        self._scene.ledger.journal.note("kill", way=way, number=self.kills.total() + 1)
        emulator.kill()
        self.kills[way] += 1
        self.states.update(self._watcher.states())
        self._start()

    def _stop_in_order(self) -> None:
        pause(self._random.random() * self._uptime)
        self._scene.ledger.journal.note("orderly stop")
        self._check_alive("")
        self._scene.emulator.stop()
        self.orderly_stops += 1
        self._start()

    @property
    def _uptime(self) -> float:
        """Seconds that the emulator has at most before a kill at any moment."""
        return max(self._most_uptime, _UPTIME_SHARE * (self.starts[-1] if self.starts else 0.0))

    def _check_alive(self, way: str) -> None:
        if not self._scene.emulator.is_alive and way != "in an orderly stop":
            raise Trouble(f"the emulator ended by itself:\n{self._scene.emulator.log_tail()}")

    def _start(self) -> None:
        began = time.monotonic()
        self._scene.emulator.start()
        self.starts.append(time.monotonic() - began)


class RunWatcher:
    """Follows the states of all runs by the stream of events; begins anew after each kill."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._changed = threading.Condition()
        self._states: dict[str, str] = {}
        self._entered: Counter[str] = Counter()
        self._ended = False
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._follow, name="watcher", daemon=True)

    def begin(self) -> None:
        """Starts to follow."""
        self._thread.start()

    def end(self) -> None:
        """Stops. The emulator may be there or not."""
        self._ended = True
        stream = self._stream
        if stream is not None:
            stream.close()
        self._thread.join(10)

    def wait_for(self, state: str, seconds: float) -> bool:
        """Returns when a run enters the state; False when none does in time."""
        with self._changed:
            before = self._entered[state]
            return self._changed.wait_for(lambda: self._entered[state] > before, seconds)

    def states(self) -> Counter[str]:
        """How many of the runs that go on are in which state, as far as was told."""
        with self._changed:
            return Counter(self._states.values())

    def _follow(self) -> None:
        caller = Caller(self._scene.emulator, "grpc")
        after = -1
        while not self._ended:
            try:
                request = {"filter": {"kind": "run"}, "after": str(after)}
                self._stream = caller.stream("localaml.admin.v1.EventService", "WatchEvents", request)
                with self._stream as events:
                    for event in events:
                        after = int(event["sequence"])
                        self._note(event["runId"], event["newState"])
            except (ConnectionFailed, ServiceError):
                self._scene.given_up.wait(0.02)
        caller.close()

    def _note(self, run_id: str, state: str) -> None:
        if not run_id.startswith("killed_"):
            return  # clients perform it themselves
        with self._changed:
            self._entered[state] += 1
            if state in ("Completed", "Failed", "Canceled"):
                self._states.pop(run_id, None)
            else:
                self._states[run_id] = state
            self._changed.notify_all()
