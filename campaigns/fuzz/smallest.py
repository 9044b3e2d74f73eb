"""Makes a request smaller while it still shows a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_MOST_TRIES = 150


def smaller(message: Any, shows: Callable[[Any], bool]) -> Any:
    """The smallest request that was found; the given one when the fault does not show again."""
    tries = 0
    best = message
    again = True
    while again:
        again = False
        for candidate in _candidates(best):
            tries += 1
            if tries > _MOST_TRIES:
                return best
            if shows(candidate):
                best, again = candidate, True
                break
    return best


def _candidates(message: Any) -> Iterator[Any]:
    """Copies with a field less, then with shorter lists, maps and texts; those of messages inside follow."""
    for path in _paths(message, ()):
        copy = _copy(message)
        _at(copy, path[:-1]).ClearField(path[-1])
        yield copy
    for path in _paths(message, ()):
        value = getattr(_at(message, path[:-1]), path[-1])
        if isinstance(value, str) and len(value) > 1:
            for part in (value[: len(value) // 2], value[len(value) // 2 :]):
                copy = _copy(message)
                setattr(_at(copy, path[:-1]), path[-1], part)
                yield copy
        elif hasattr(value, "pop") and hasattr(value, "append") and len(value) > 1:
            for half in (slice(0, len(value) // 2), slice(len(value) // 2, len(value))):
                copy = _copy(message)
                del getattr(_at(copy, path[:-1]), path[-1])[half]
                yield copy


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _paths(message: Any, before: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    for field, value in message.ListFields():
        path = (*before, field.name)
        yield path
        if hasattr(value, "ListFields"):
            yield from _paths(value, path)
        elif hasattr(value, "append") or hasattr(value, "add"):
            for index, each in enumerate(value):
                if index < 3 and hasattr(each, "ListFields"):
                    yield from _paths(each, (*path, index))


def _at(message: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        message = message[step] if isinstance(step, int) else getattr(message, step)
    return message
