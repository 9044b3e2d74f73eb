"""Whose connections end, and when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from azureml._localaml.connection_pool import Address, ConnectionPool

ADDRESS = ("127.0.0.1", 1)
SECONDS = 20


class Connection:
    """Only knows whether it was closed."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.sock: Any = None
        self.timeout = timeout
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Owner:
    """Of a pool."""


def _let_go(pools: list[ConnectionPool], owners: list[Owner]) -> None:
    del owners[:]


def _close(pools: list[ConnectionPool], owners: list[Owner]) -> None:
    pools[0].close()


@pytest.mark.parametrize("end", [_close, _let_go])
def test_the_connections_of_all_threads_end_with_the_pool(
    end: Callable[[list[ConnectionPool], list[Owner]], None],
) -> None:
    made: list[Connection] = []

    def new(address: Address, timeout: float) -> Connection:
        made.append(Connection(address, timeout))
        return made[-1]

    owners = [Owner()]
    pools = [ConnectionPool(owners[0], new)]
    used, may_end = threading.Event(), threading.Event()

    def use() -> None:
        pools[0].get(ADDRESS, 1)
        used.set()
        may_end.wait(SECONDS)

    other = threading.Thread(target=use)
    other.start()
    assert used.wait(SECONDS)
    mine = pools[0].get(ADDRESS, 1)
    assert mine is pools[0].get(ADDRESS, 2)
    assert len(made) == 2
    assert not any(connection.is_closed for connection in made)
    end(pools, owners)
    assert [connection.is_closed for connection in made] == [True, True]
    may_end.set()
    other.join(SECONDS)


def test_a_threads_connections_end_with_it() -> None:
    made: list[Connection] = []

    def new(address: Address, timeout: float) -> Connection:
        made.append(Connection(address, timeout))
        return made[-1]

    owner = Owner()
    pool = ConnectionPool(owner, new)
    other = threading.Thread(target=lambda: pool.get(ADDRESS, 1))
    other.start()
    other.join(SECONDS)
    assert made[0].is_closed
    assert not pool.get(ADDRESS, 1).is_closed
