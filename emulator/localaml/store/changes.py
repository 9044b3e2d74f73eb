"""Telling waiters that a record has changed: no values travel, so nothing can be stale and nothing can pile up."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from types import TracebackType

_Topic = tuple[type, Hashable]


class Subscription:
    """One waiter, for a topic or several. A context manager; after it has ended, nothing is noted any more."""

    def __init__(self, feed: ChangeFeed, topic: _Topic) -> None:
        self._feed = feed
        self._topics = [topic]
        self._changed = asyncio.Event()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the subscription. Idempotent."""
        for topic in self._topics:
            self._feed._remove(topic, self)

    def also(self, topic: Hashable) -> None:
        """Waits for another topic, too."""
        self._topics.append((type(topic), topic))
        self._feed._add(self._topics[-1], self)

    def _notify(self) -> None:
        self._changed.set()

    async def wait(self) -> None:
        """Returns once something was published since the last `wait` (or since the subscription began).

        At once when that has happened already.
        """
        await self._changed.wait()
        self._changed.clear()


class ChangeFeed:
    """Topics are any hashable values; two topics are the same when their type and their value are."""

    def __init__(self) -> None:
        self._subscriptions: dict[_Topic, set[Subscription]] = {}

    def publish(self, topic: Hashable) -> None:
        """Wakes the waiters of `topic`. Cheap when there are none."""
        for subscription in self._subscriptions.get((type(topic), topic), ()):
            subscription._notify()

    def publish_all(self) -> None:
        """Wakes every waiter (each looks by itself whether its record has changed)."""
        for waiters in self._subscriptions.values():
            for subscription in waiters:
                subscription._notify()

    def subscribe(self, topic: Hashable) -> Subscription:
        """A subscription that notes everything published from now on: subscribe first, then read, then wait."""
        key = (type(topic), topic)
        subscription = Subscription(self, key)
        self._add(key, subscription)
        return subscription

    @property
    def subscription_count(self) -> int:
        """How many subscriptions there are (a leak shows here)."""
        return sum(len(waiters) for waiters in self._subscriptions.values())

    def _add(self, topic: _Topic, subscription: Subscription) -> None:
        self._subscriptions.setdefault(topic, set()).add(subscription)

    def _remove(self, topic: _Topic, subscription: Subscription) -> None:
        waiters = self._subscriptions.get(topic)
        if waiters is None:
            return
        waiters.discard(subscription)
        if not waiters:
            del self._subscriptions[topic]
