"""Values from strategies without hypothesis's search: a campaign makes each call once, and thousands of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis.control import BuildContext
from hypothesis.errors import StopTest
from hypothesis.internal.conjecture.data import ConjectureData

_T = TypeVar("_T")


def drawn(number: int, make: Callable[[Callable[[Any], Any]], _T]) -> _T | None:
    """What `make` makes of values that it draws: the same for the same number. None when it drew too many."""
    data = ConjectureData(random=random.Random(number))
    try:
        with BuildContext(data, is_final=False, wrapped_test=drawn):
            return make(data.draw)
    except StopTest:
        return None
