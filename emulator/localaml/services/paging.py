"""Pages of list calls: sizes, opaque tokens, and a limit in bytes so that no answer is too long for a gRPC message."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from localaml.errors import InvalidArgument
from localaml_proto.v1 import resources_pb2

DEFAULT_PAGE_SIZE = 1000
MAX_PAGE_SIZE = 10_000
# gRPC's limit for one message is 4 MiB; this leaves room for what stands around the list.
MAX_PAGE_BYTES = 3 * 1024 * 1024


def page_size(page: resources_pb2.PageRequest) -> int:
    """How many items a page may have. More than the maximum counts as the maximum (https://google.aip.dev/158).

    Raises InvalidArgument ``INVALID_PAGE_SIZE`` for a negative one.
    """
    if page.page_size < 0:
        raise InvalidArgument("INVALID_PAGE_SIZE", f"page_size must not be negative (it is {page.page_size}).")
    return min(page.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def encode_token(last_key: str) -> str:
    """The token of the page after the item with this key."""
    return base64.urlsafe_b64encode(last_key.encode()).decode().rstrip("=")


def decode_token(page: resources_pb2.PageRequest) -> str:
    """The key that the page begins after; empty for the first page. Raises InvalidArgument ``INVALID_PAGE_TOKEN``."""
    token = page.page_token
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        # Also binascii.Error and UnicodeError; text that is not ASCII raises a plain one.
        raise _bad_token() from None


def decode_number(page: resources_pb2.PageRequest) -> int:
    """As `decode_token`, for keys that are numbers; 0 for the first page."""
    key = decode_token(page)
    if key and not (key.isascii() and key.isdigit() and len(key) <= 18):
        raise _bad_token()
    return int(key or 0)


def _bad_token() -> InvalidArgument:
    return InvalidArgument(
        "INVALID_PAGE_TOKEN", "The page token is not one that this emulator gave: begin with the first page again."
    )


_M = TypeVar("_M", bound=Message)
_M_contra = TypeVar("_M_contra", bound=Message, contravariant=True)


class _Repeated(Protocol[_M_contra]):
    def append(self, value: _M_contra, /) -> None: ...


def fill_page(target: _Repeated[_M], items: Iterable[tuple[str, _M]], size: int) -> str:
    """Puts (key, message) items into a repeated field until it has `size` or the bytes are too many.

    Returns the token of the next page; empty when `items` ended before.
    """
    last_key = ""
    total = 0
    for count, (key, message) in enumerate(items):
        total += message.ByteSize()
        if count and (count == size or total > MAX_PAGE_BYTES):
            return encode_token(last_key)
        target.append(message)
        last_key = key
    return ""
