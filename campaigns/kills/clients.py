"""Clients: each a thread with names of its own, doing one thing after the other until it is told to stop."""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable

from campaigns.calls import Caller, Lost, Refused
from campaigns.kills.own_runs import OwnRunWork
from campaigns.kills.resources import ResourceWork
from campaigns.kills.scene import Scene
from campaigns.kills.submits import SubmitWork

_MOST_PAUSE_SECONDS = 0.15


class Client(threading.Thread):
    """One client.

    Args:
        number: counts from 0; what it does follows from it and the campaign's seed.
    """

    def __init__(self, scene: Scene, number: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._scene = scene
        self._random = random.Random(f"{scene.seed}/client/{number}")
        self._caller = Caller(scene.emulator, "http" if number % 2 else "grpc", ended=scene.given_up)
        parts = (scene, self._caller, self._random, number)
        self._submits = SubmitWork(*parts)
        resources, own_runs = ResourceWork(*parts), OwnRunWork(*parts)
        self._work: list[tuple[Callable[[], None], int]] = [
            (self._submits.submit, 30),
            (own_runs.one_run, 10),
            *resources.work(),
        ]

    def run(self) -> None:
        """Works; an error that is none of the emulator's answers is a surprise, too."""
        actions, weights = zip(*self._work, strict=True)
        while not self._scene.stopping.is_set():
            self._attempt(self._submits.look)
            self._attempt(self._random.choices(actions, weights)[0])
            self._scene.stopping.wait(self._random.uniform(0, _MOST_PAUSE_SECONDS))
        self._attempt(self._submits.cancel_all)
        self._caller.close()

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Lost:
            self._scene.ledger.count("lost")
        except Refused as error:
            self._scene.ledger.surprise(f"{self.name}, {action.__name__}: {error}")
        except Exception:
            self._scene.ledger.surprise(f"{self.name}, {action.__name__}:\n{traceback.format_exc()}")
