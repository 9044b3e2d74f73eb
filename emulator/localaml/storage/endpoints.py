"""Addresses of stores, as far as they are the same everywhere. Pure.

They are kept in the state dir, told in messages and handed to jobs: so there must be nothing secret in them.
"""

from __future__ import annotations


def without_secrets(endpoint: str) -> str:
    """An address as it may be shown: neither user and password, nor a query, which may be a signature."""
    scheme, separator, rest = endpoint.partition("?")[0].rpartition("://")
    authority, slash, path = rest.partition("/")
    return scheme + separator + authority.rpartition("@")[2] + slash + path


def has_secrets(endpoint: str) -> bool:
    """Whether something in it is not to be shown."""
    return without_secrets(endpoint) != endpoint
