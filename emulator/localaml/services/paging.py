"""Pages of list calls: sizes, opaque tokens, and a limit in bytes so that no answer is too long for a gRPC message."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from localaml.errors import InvalidArgument, LocalAmlError, unreadable_record
from localaml.services.answers import AnswerCheck
from localaml.store.stored import Stored, printable
from localaml_proto.v1 import resources_pb2

_LOG = logging.getLogger(__name__)
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


_T = TypeVar("_T")
_M = TypeVar("_M", bound=Message)
_M_contra = TypeVar("_M_contra", bound=Message, contravariant=True)


class _Repeated(Protocol[_M_contra]):
    def append(self, value: _M_contra, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Item(Generic[_M]):
    """Something that is listed.

    Attributes:
        key: what the next page begins after.
        id: what it is called, should it be unreadable.
        make: its message. May raise anything: then it is listed as unreadable.
    """

    key: str
    id: str
    make: Callable[[], _M]


def items_of(records: Iterable[tuple[str, Stored[_T]]], message: Callable[[_T], _M]) -> Iterator[Item[_M]]:
    """Records, each with its key, as items; `message` makes the message of one."""
    for key, record in records:
        yield Item(key, record.id, lambda record=record: message(record.read()))  # type: ignore[misc]


def fill_page(
    target: _Repeated[_M], items: Iterable[Item[_M]], size: int, unreadable: _Repeated[resources_pb2.UnreadableRecord]
) -> str:
    """Puts items into a repeated field until it has `size` or the bytes are too many.

    Args:
        unreadable: what is told of records that cannot be read.

    Returns the token of the next page; empty when `items` ended before.
    """
    check = AnswerCheck()
    last_key = ""
    total = 0
    for count, item in enumerate(items):
        message, error = attempt(item.id, item.make, check)
        total += message.ByteSize() if message is not None else error.ByteSize()
        if count and (count == size or total > MAX_PAGE_BYTES):
            return encode_token(last_key)
        if message is not None:
            target.append(message)
        else:
            unreadable.append(error)
        last_key = item.key
    return ""


def fill_files(target: _Repeated[_M], items: Iterable[tuple[str, _M]], size: int) -> str:
    """As `fill_page`, of what is no record of its own and so can always be read: keys and messages."""
    made = (Item(key, key, lambda message=message: message) for key, message in items)  # type: ignore[misc]
    return fill_page(target, made, size, [])


def unreadable_ones(records: Iterable[Stored[Any]]) -> list[resources_pb2.UnreadableRecord]:
    """What is told of records that cannot be read, of a listing without pages."""
    told = []
    for record in records:
        try:
            record.read()
        except LocalAmlError as error:
            told.append(_told(record.id, error))
    return told


def is_readable(record: Stored[Any]) -> bool:
    """Whether a record can be read: what cannot be is listed whatever the filter says."""
    try:
        record.read()
    except LocalAmlError:
        return False
    return True


def _told(id_: str, error: Exception) -> resources_pb2.UnreadableRecord:
    told = error if isinstance(error, LocalAmlError) else unreadable_record(f"{type(error).__name__}: {error}")
    _LOG.warning("%r is listed as unreadable: %s", id_, told)
    detail = resources_pb2.ErrorDetail(code=told.reason, message=printable(told.message))
    return resources_pb2.UnreadableRecord(id=printable(id_), error=detail)


def attempt(id_: str, make: Callable[[], _M], check: AnswerCheck) -> tuple[_M | None, resources_pb2.UnreadableRecord]:
    """A message, when it can be made and clients can read it; else None and what to tell of it."""
    try:
        message = make()
        check.check(message)
        return message, _NO_ERROR
    except Exception as error:
        # One record must never be in the way of the others, whatever is the matter with it.
        return None, _told(id_, error)


_NO_ERROR = resources_pb2.UnreadableRecord()
