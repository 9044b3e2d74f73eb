"""What may be true at the end, from what the clients asked for and what was answered; and the journal of all that.

Each thing has one writer, who asks for one change at a time. An answered change is the only possible value from then
on; one whose answer was lost may have happened or not, so both values are possible until the next answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from campaigns.calls import Lost, Refused

Key = tuple[str, ...]
"""Kind and name: ``("secret", "c1-a")``."""

ABSENT = None
"""The value of what is not there."""


class Journal:
    """Lines of JSON in a file, in the order in which they happened."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def note(self, what: str, **facts: Any) -> None:
        """Adds a line."""
        line = json.dumps({"time": round(time.time(), 4), "what": what, **facts}, default=str)
        with self._lock:
            self._file.write(line + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class Ledger:
    """The possible values of everything. Safe for several threads."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._possible: dict[Key, list[Any]] = {}
        # By run and metric: each value with whether its batch was answered.
        self._metrics: dict[Key, list[tuple[int, bool]]] = {}
        self.unexpected: list[str] = []

    @contextmanager
    def change(self, key: Key, value: Any, *, ends_as: frozenset[str] = frozenset()) -> Iterator[None]:
        """Around a call that gives `key` this value.

        Args:
            ends_as: codes of refusals that mean that it has been done, when an earlier attempt was lost.
        """
        with self._lock:
            before = list(self._possible.get(key, [ABSENT]))
            self._possible[key] = [*before, value]
        try:
            yield
        except Lost as error:
            self.count("lost")
            self.journal.note("lost", key=key, value=value, why=str(error))
        except Refused as error:
            self.count("refused")
            self.journal.note("refused", key=key, value=value, why=str(error))
            if error.code in ends_as and error.was_repeated:
                self._set(key, [value])
            elif not error.was_repeated:
                self._set(key, before)
            else:
                self.surprise(f"{key}: {error} (after a lost connection)")
            if not error.was_repeated:
                self.surprise(f"{key}: {error}")
        else:
            self.count("answered")
            self._set(key, [value])
            self.journal.note("answered", key=key, value=value)

    def expect(self, key: Key, values: list[Any]) -> None:
        """These values are possible now."""
        self._set(key, values)
        self.journal.note("expected", key=key, value=values)

    def count(self, how: str) -> None:
        """A call ended so."""
        with self._lock:
            self.calls[how] += 1

    def surprise(self, text: str) -> None:
        """Something that no client may meet."""
        self.journal.note("surprise", text=text)
        with self._lock:
            self.unexpected.append(text)

    def log(self, run_id: str, name: str, values: list[int], answered: bool) -> None:
        """A batch of values of a metric, by one writer."""
        with self._lock:
            self._metrics.setdefault((run_id, name), []).extend((value, answered) for value in values)
        self.journal.note("metrics", run=run_id, name=name, values=values, answered=answered)

    def possible(self, kind: str) -> dict[Key, list[Any]]:
        """All keys of a kind with what is possible."""
        with self._lock:
            return {key: list(values) for key, values in self._possible.items() if key[0] == kind}

    def values(self, key: Key) -> list[Any]:
        """What is possible for one key."""
        with self._lock:
            return list(self._possible.get(key, [ABSENT]))

    def metrics(self) -> dict[Key, list[tuple[int, bool]]]:
        """By run id and name."""
        with self._lock:
            return {key: list(values) for key, values in self._metrics.items()}

    def _set(self, key: Key, values: list[Any]) -> None:
        with self._lock:
            self._possible[key] = values
