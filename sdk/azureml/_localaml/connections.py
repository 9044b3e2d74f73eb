"""Connections of the standard library's HTTP client, for bytes and for streams.

Not imported before one is needed: `http.client` loads TLS and the library of mails, 20 ms for a process that may only
want to log a metric. Control calls have `plain_http`.
"""

import http.client
import sys
from typing import Any

from azureml._localaml.connection_pool import Address, ConnectionPool, split_address

__all__ = ["BLOCK_SIZE", "LOST", "ConnectionPool", "new_connection", "split_address"]

# What a lost or refused connection looks like. A time-out is told apart first: `socket.timeout` is an OSError, too.
LOST = (OSError, http.client.HTTPException)

BLOCK_SIZE = 1 << 20


def new_connection(address: Address, timeout: Any) -> http.client.HTTPConnection:
    """A connection that is opened at its first request. The environment's proxies are not asked: it is this machine."""
    if sys.version_info < (3, 7):  # noqa: UP036  # ruff knows nothing older; blocks are of 8 KiB there
        return http.client.HTTPConnection(address[0], address[1], timeout=timeout)
    return http.client.HTTPConnection(address[0], address[1], timeout=timeout, blocksize=BLOCK_SIZE)
