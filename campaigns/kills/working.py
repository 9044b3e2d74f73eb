"""What all work of a client has."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable

from campaigns.calls import Caller, Lost, Message, Refused
from campaigns.kills.ledger import Ledger
from campaigns.kills.scene import Scene

_GIVE_UP_SHARE = 0.1
_MOST_ATTEMPTS = 200
_LARGE_SHARE, _LARGE_BYTES = 0.03, 20_000_000


class Work:
    """A kind of work of one client.

    Args:
        number: of the client; part of all its names.
    """

    def __init__(self, scene: Scene, caller: Caller, source: random.Random, number: int) -> None:
        self.scene, self.caller, self.random, self.number = scene, caller, source, number
        self._made = 0

    @property
    def ledger(self) -> Ledger:
        """Of the campaign."""
        return self.scene.ledger

    def new_name(self, kind: str) -> str:
        """A name that nobody else gives."""
        self._made += 1
        return f"c{self.number}-{kind}{self._made}"

    def new_id(self) -> str:
        """A GUID, by the seed."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def gives_up(self) -> bool:
        """Whether the next call is not to be repeated."""
        return self.random.random() < _GIVE_UP_SHARE

    def data(self, *, large: bool = False) -> bytes:
        """Bytes by the seed; mostly few.

        Args:
            large: sometimes so many that a store in a cloud gets them in several parts.
        """
        size = self.random.choice((0, 1, 100, 3000, 60_000))
        if large and self.random.random() < _LARGE_SHARE:
            size = _LARGE_BYTES
        return self.random.randbytes(size)

    def upload(self, ask: Callable[[], list[Message]], files: dict[str, bytes]) -> None:
        """Sends files, each until it is answered; new URLs after each lost connection.

        Args:
            ask: gets the URLs.

        Raises Lost, Refused.
        """
        once = self.gives_up()
        sent: set[str] = set()
        was_repeated = False
        for _ in range(_MOST_ATTEMPTS):
            try:
                for url in ask():
                    if url["path"] not in sent:
                        self.caller.put(url["url"], files[url["path"]])
                        sent.add(url["path"])
                return
            except Lost:
                was_repeated = True
                if once or self.scene.given_up.wait(0.05):
                    raise
            except Refused as error:
                # What an earlier attempt had sent, without an answer, is taken now.
                if error.code == "ALREADY_EXISTS" and was_repeated:
                    return
                raise
        raise Lost("too many attempts")


def digest(data: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(data).hexdigest()
