"""Open files: how many this process may have, and what share of them connections get."""

from __future__ import annotations

import resource
from dataclasses import dataclass

# More than anybody needs; some engines give processes a thousand million, and programs loop over them.
_MOST = 1 << 20
_MOST_CONNECTIONS = 4096


def raise_limit() -> int:
    """Lets this process have as many open files as it may; returns the limit that it had, which is its jobs' one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a further limit; what it had is what it has
        return soft
    return soft


@dataclass(frozen=True, slots=True)
class ConnectionShares:
    """How many connections each port takes at a time. The rest of the descriptors is for the work on runs.

    Attributes:
        http: of the HTTP port.
        http_of_others: how many of these may be busy with calls that are not the owner's.
        grpc: of the gRPC port.
    """

    http: int
    http_of_others: int
    grpc: int


def connection_shares(limit: int | None = None) -> ConnectionShares:
    """The shares of so many descriptors; None: of those that this process may have."""
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        limit = _MOST
    # A large transfer takes two more for its file and its thread, of which there are only some dozens; containers'
    # connections are relayed, see `compute.docker.relay`.
    http = min(_MOST_CONNECTIONS, max(16, limit // 4))
    return ConnectionShares(http, http - max(4, http // 8), min(_MOST_CONNECTIONS, max(16, limit // 5)))
